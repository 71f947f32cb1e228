// Package oidc tells from a bearer token who is asking: it checks that an OpenID
// Connect issuer has signed the token for us and that it holds now, and reads the
// caller from its claims.
//
// It is not a login, and decides nothing: it asks no user for a password, makes
// no session, and what a caller may do is the application's business.
//
// # Configuration
//
// The issuer and the audience, and which claims are the user, the tenant and the
// roles. Nothing is opened by New: the issuer's keys are fetched by the first
// token.
//
// # Guarantees
//
// Only asymmetric signatures count, made with a key that the issuer publishes now
// or published within MaxAge (while the issuer is away: Stale). A token needs the
// issuer, the audience and an expiry. However many callers wait, one look at the
// issuer is under way, it ends within Timeout, and between two looks lies a pause,
// whatever tokens come. No token and no part of one is logged, or repeated in an
// error.
//
// # Errors
//
// Unauthenticated: there is no token (code token-missing), or it is not to be
// believed (token-invalid, token-expired). Forbidden: it is good, but names no
// tenant, no user or no role that is known here (tenant-missing, user-missing,
// role-missing). Unavailable (issuer-away): keys are needed and the issuer does
// not hand them out.
//
// # Limits
//
// A token of 16 KiB, an answer of the issuer of 1 MiB, 64 keys, RSA of 2048 to
// 8192 bits. Tokens cannot be revoked: they hold until they expire, so issuers
// should make them short. A new key of the issuer may be unknown for Pause.
package oidc

import (
	"cmp"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"kbnt.dev/virtualization/domain"
)

// Options of an [Issuer]. Issuer and Audience are required.
type Options struct {
	Issuer   string // as the claim iss has it: "https://login.example/realms/kbnt"
	Audience string // that the claim aud has to hold: "kbnt"

	UserClaim   string // default "sub"
	TenantClaim string // default "tenant"
	RolesClaim  string // default "roles"; of Keycloak "realm_access.roles"

	Roots   *x509.CertPool // authorities of the issuer's certificate; nil: the system's
	Leeway  time.Duration  // by how much our clocks may differ, default 30 s
	Timeout time.Duration  // of one look at the issuer, default 5 s
	Pause   time.Duration  // from a look that brought keys to the next for the sake of an unknown one, default 10 s; after one that failed a tenth of it
	MaxAge  time.Duration  // after which keys are fetched anew, default 1 h
	Stale   time.Duration  // for how long keys hold while the issuer is away, default 12 h

	Clock func() time.Time // time.Now when nil
	Log   *slog.Logger     // slog.Default when nil
}

// Issuer knows callers by the tokens of one issuer. It is safe for concurrent
// use, and has nothing to close.
type Issuer struct {
	Options
	keys *keys
}

// New opens nothing. The error names the option that is wrong.
func New(o Options) (*Issuer, error) {
	u, err := url.Parse(o.Issuer)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("oidc: the issuer is no URL")
	case o.Audience == "":
		return nil, errors.New("oidc: there is no audience: tokens for any other program would do")
	}
	o.UserClaim = cmp.Or(o.UserClaim, "sub")
	o.TenantClaim = cmp.Or(o.TenantClaim, "tenant")
	o.RolesClaim = cmp.Or(o.RolesClaim, "roles")
	o.Leeway = cmp.Or(o.Leeway, 30*time.Second)
	o.Timeout = cmp.Or(o.Timeout, 5*time.Second)
	o.Pause = cmp.Or(o.Pause, 10*time.Second)
	o.MaxAge = cmp.Or(o.MaxAge, time.Hour)
	o.Stale = cmp.Or(o.Stale, 12*time.Hour)
	o.Log = cmp.Or(o.Log, slog.Default())
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return &Issuer{Options: o, keys: newKeys(o)}, nil
}

// Identify returns the caller that the request's bearer token names. It waits for
// the issuer for Timeout at most, and only where its keys are not known yet.
func (i *Issuer) Identify(r *http.Request) (domain.Caller, error) {
	token, err := bearer(r.Header)
	if err != nil {
		return domain.Caller{}, err
	}
	claims, err := i.verify(r.Context(), token)
	if err != nil {
		return domain.Caller{}, err
	}
	return i.caller(claims)
}

// maxToken is far above what issuers make, and far below what a header may have.
const maxToken = 16 << 10

// bearer returns the token of a request (RFC 6750, section 2.1).
func bearer(h http.Header) (string, error) {
	fields := h.Values("Authorization")
	if len(fields) == 0 {
		return "", unauthenticated("token-missing", "there is no bearer token")
	}
	scheme, token, _ := strings.Cut(fields[0], " ")
	token = strings.TrimSpace(token)
	switch {
	case len(fields) > 1:
		return "", unauthenticated("token-invalid", "there is more than one header Authorization")
	case !strings.EqualFold(scheme, "Bearer"):
		return "", unauthenticated("token-missing", "the header Authorization holds no bearer token")
	case len(token) > maxToken:
		return "", unauthenticated("token-invalid", "the token is longer than 16 KiB")
	}
	return token, nil
}

func unauthenticated(code, detail string) error {
	return &domain.Error{Op: "identify", Kind: domain.Unauthenticated, Code: code, Detail: detail}
}

func forbidden(code, detail, remedy string) error {
	return &domain.Error{Op: "identify", Kind: domain.Forbidden, Code: code, Detail: detail, Remedy: remedy}
}
