package oidc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// Bounds of what an issuer may answer.
const (
	maxAnswer = 1 << 20
	maxKeys   = 64
)

// client asks an issuer, every hour or so: it keeps no connection.
func client(roots *x509.CertPool) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10,
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		},
		// Neither document moves; who follows may be led anywhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// discover returns the keys that an issuer publishes (OpenID Connect Discovery
// 1.0, section 4).
func discover(ctx context.Context, c *http.Client, issuer string) ([]jose.JSONWebKey, error) {
	var about struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := get(ctx, c, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", &about); err != nil {
		return nil, fmt.Errorf("read about the issuer: %w", err)
	}
	if about.Issuer != issuer { // section 4.3: or anybody's keys would do
		return nil, fmt.Errorf("the issuer calls itself %.200q, not %q: KBNT_OIDC_ISSUER has to be the same, slash for slash", about.Issuer, issuer)
	}
	from, err := url.Parse(about.Keys)
	if err != nil || from.Scheme != "https" && (from.Scheme != "http" || !strings.HasPrefix(issuer, "http:")) {
		return nil, fmt.Errorf("the issuer has its keys at %.200q, which is no https URL", about.Keys)
	}
	var published struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := get(ctx, c, about.Keys, &published); err != nil {
		return nil, fmt.Errorf("read the issuer's keys: %w", err)
	}
	var keys []jose.JSONWebKey
	for _, raw := range published.Keys[:min(len(published.Keys), maxKeys)] {
		var key jose.JSONWebKey
		if err := key.UnmarshalJSON(raw); err == nil && usable(key) { // others are passed over (RFC 7517, section 5)
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the issuer publishes no key that tokens can be signed with")
	}
	return keys, nil
}

func get(ctx context.Context, c *http.Client, from string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/json")
	answer, err := c.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", from, answer.Status)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("GET %s: %w", from, err)
	case len(body) > maxAnswer:
		return fmt.Errorf("GET %s: more than 1 MiB", from)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("GET %s: %w", from, err)
	}
	return nil
}
