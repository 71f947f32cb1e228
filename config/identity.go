package config

import (
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// OIDC says whose tokens name the caller, and by which claims (docs/identity.md).
type OIDC struct {
	Issuer      Issuer       `desc:"whose bearer tokens are taken: the address of an OpenID Connect issuer, as it stands in their claim iss (docs/identity.md)"`
	Audience    Audience     `desc:"required with an issuer: what the claim aud of a token has to hold"`
	UserClaim   Claim        `default:"sub" desc:"claim that is the user"`
	TenantClaim Claim        `default:"tenant" desc:"claim that is the tenant; a path with dots leads into objects"`
	RolesClaim  Claim        `default:"roles" desc:"claim with the roles user, operator and viewer; of Keycloak: realm_access.roles"`
	CA          Certificates `desc:"PEM file of the authorities that the issuer's certificate is checked against; empty: the system's"`
}

// Issuer is the identifier of an OpenID Connect issuer: an https URL, or an http
// one of this machine, without query and fragment (OpenID Connect Discovery 1.0,
// section 2). It is compared with the claim iss as it is, slash for slash.
type Issuer string

// Decode reads an issuer.
func (i *Issuer) Decode(value string) error {
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return errors.New("an https URL such as https://login.example/realms/kbnt")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("an https URL without user, query and fragment")
	case u.Scheme == "http" && !loopback(u.Host):
		return errors.New("an https URL: over http anybody on the way could hand out the keys that tokens are checked with")
	}
	*i = Issuer(value)
	return nil
}

// hide shows nothing of a URL that may name a password.
func (Issuer) hide(refused string) string { return URL("").hide(refused) }

func loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// Audience is what tokens for us are made out to: 1 to 255 printable characters
// of ASCII without spaces.
type Audience string

func isAudience(s string) bool {
	return s != "" && len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// Decode reads an audience.
func (a *Audience) Decode(value string) error {
	if !isAudience(value) {
		return errors.New("1 to 255 printable characters of ASCII without spaces")
	}
	*a = Audience(value)
	return nil
}

// Claim names a claim of a token. realm_access.roles is the claim of that very
// name or, where there is none, the member roles of the claim realm_access.
type Claim string

// Decode reads the name of a claim.
func (c *Claim) Decode(value string) error {
	if !isAudience(value) || strings.HasPrefix(value, ".") || strings.HasSuffix(value, ".") || strings.Contains(value, "..") {
		return errors.New("the name of a claim, such as roles or realm_access.roles")
	}
	*c = Claim(value)
	return nil
}

// Certificates are the authorities of a PEM file.
type Certificates struct {
	Path string
	Pool *x509.CertPool // nil: there is no file
}

// Decode reads the file that value names.
func (c *Certificates) Decode(value string) error {
	pem, err := readFile(value)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return errors.New("a PEM file with a certificate in it")
	}
	*c = Certificates{Path: value, Pool: pool}
	return nil
}

// String is the path of the file.
func (c Certificates) String() string { return c.Path }

// whoAsks: there is one answer to who is calling, and it is never a guess.
func (c *Intake) whoAsks() (wrong []*Mistake) {
	const issuer, audience, user = "KBNT_OIDC_ISSUER", "KBNT_OIDC_AUDIENCE", "KBNT_DEV_USER"
	mistake := func(variable, value, with, want string) {
		wrong = append(wrong, &Mistake{Variable: variable, Value: value, Want: want, with: with})
	}
	switch {
	case c.OIDC.Issuer == "" && c.DevUser == "":
		mistake(issuer, "", user, "the issuer whose tokens are taken; to try the product out where nobody else reaches it, set KBNT_DEV_USER instead, who everybody is then")
	case c.OIDC.Issuer != "" && c.DevUser != "":
		mistake(user, string(c.DevUser), issuer, "it unset, because KBNT_OIDC_ISSUER is set: either tokens say who asks, or everybody is one user")
	case c.OIDC.Issuer != "" && c.OIDC.Audience == "":
		mistake(audience, "", issuer, "what the tokens for this product are made out to: without it, tokens for any other program of the issuer would do")
	case c.OIDC.Issuer == "" && c.OIDC.Audience != "":
		mistake(audience, string(c.OIDC.Audience), issuer, "it unset, or KBNT_OIDC_ISSUER, too: without an issuer no token is looked at")
	}
	return wrong
}
