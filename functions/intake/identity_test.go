package intake_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/config"
	"kbnt.dev/virtualization/functions/intake"
	"kbnt.dev/virtualization/infrastructure/oidc"
)

// provider is an OpenID Connect issuer on this machine.
type provider struct {
	t    *testing.T
	url  string
	key  *ecdsa.PrivateKey
	away atomic.Bool
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{t: t, key: key}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case p.away.Load():
		w.WriteHeader(http.StatusBadGateway)
	case r.URL.Path == "/keys":
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: "k", Algorithm: "ES256"}}})
	default:
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": p.url, "jwks_uri": p.url + "/keys"})
	}
}

// bearer is the header of a caller, as [bench.call] takes headers.
func (p *provider) bearer(tenant, user string, roles ...string) []string {
	return p.token(map[string]any{"sub": user, "tenant": tenant, "realm_access": map[string]any{"roles": roles}, "exp": time.Now().Add(time.Minute).Unix()})
}

func (p *provider) token(claims map[string]any) []string {
	p.t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: p.key, KeyID: "k"}}, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	claims["iss"], claims["aud"] = p.url, "kbnt"
	raw, err := jwt.Signed(s).Claims(claims).Serialize()
	if err != nil {
		p.t.Fatal(err)
	}
	return []string{"Authorization", "Bearer " + raw}
}

// bench is a function that asks this issuer who is calling.
func (p *provider) bench() *bench {
	return newBench(p.t, setup{ports: func(ports *intake.Ports) {
		issuer, err := oidc.New(oidc.Options{Issuer: p.url, Audience: "kbnt", RolesClaim: "realm_access.roles", Pause: time.Nanosecond, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			p.t.Fatal(err)
		}
		ports.Identify = issuer.Identify
	}})
}

// TestTokens_tenantsDoNotSeeEachOther tries every way to a resource of another
// tenant.
func TestTokens_tenantsDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	b, c := p.bench(), loadContract(t)
	ann, bob := p.bearer("acme", "ann", "user"), p.bearer("beta", "bob", "user", "operator")
	a := b.post(volume, ann...)
	if a.status != http.StatusAccepted {
		t.Fatalf("ann posts: got %d %s", a.status, a.body)
	}
	request, resource := a.text("requestId"), a.text("virtualResourceId")
	for operation, target := range map[string]string{
		"GET /api/v1/requests/{requestId}":          "/api/v1/requests/" + request,
		"GET /api/v1/requests/{requestId}/events":   "/api/v1/requests/" + request + "/events",
		"DELETE /api/v1/requests/{requestId}":       "/api/v1/requests/" + request,
		"GET /api/v1/resources/{virtualResourceId}": "/api/v1/resources/" + resource,
	} {
		method, _, _ := strings.Cut(operation, " ")
		got := b.call(method, target, "", bob...)
		c.check(operation, got)
		if got.status != http.StatusNotFound || strings.Contains(got.body, "acme") || strings.Contains(got.body, "ann") {
			t.Errorf("%s of another tenant: got %d %s, want 404 and nothing of it", operation, got.status, got.body)
		}
	}
	for _, target := range []string{"/api/v1/requests", "/api/v1/resources"} {
		if got := b.call(http.MethodGet, target, "", bob...); got.status != http.StatusOK || strings.Contains(got.body, request) || strings.Contains(got.body, resource) {
			t.Errorf("GET %s: got %d %s, want a page without it", target, got.status, got.body)
		}
	}
	if got := b.post(`{"type":"RELEASE_STORAGE","virtualResourceId":"`+resource+`"}`, bob...); got.status != http.StatusNotFound {
		t.Errorf("bob deletes it: got %d %s, want it refused", got.status, got.body)
	}
	if got := b.call(http.MethodGet, "/api/v1/requests/"+request, "", ann...); got.status != http.StatusOK || got.text("status") == "CANCELLED" {
		t.Errorf("ann looks: got %d %s, want it untouched", got.status, got.body)
	}
}

func TestTokens_roles(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	b := p.bench()
	post := func(headers []string, body string) answer { return b.post(body, headers...) }
	get := func(target string) func([]string, string) answer {
		return func(headers []string, _ string) answer { return b.call(http.MethodGet, target, "", headers...) }
	}
	forCarl := strings.TrimSuffix(volume, "}") + `,"metadata":{"userId":"carl"}}`
	cases := map[string]struct {
		reason string
		who    []string
		do     func([]string, string) answer
		body   string
		status int
		code   string
	}{
		"a viewer reads":             {"that is the role", p.bearer("acme", "eve", "viewer"), get("/api/v1/requests"), "", 200, ""},
		"a viewer posts":             {"viewers change nothing", p.bearer("acme", "eve", "viewer"), post, volume, 403, "role-missing"},
		"a user for another":         {"users act for themselves", p.bearer("acme", "ann", "user"), post, forCarl, 403, "acting-for-others"},
		"an operator for another":    {"that is the role", p.bearer("acme", "bob", "operator"), post, forCarl, 202, ""},
		"a user and dead letters":    {"they are operators'", p.bearer("acme", "ann", "user"), get("/api/v1/dead-letters"), "", 403, "role-missing"},
		"roles of somebody else":     {"only ours count", p.bearer("acme", "ann", "admin", "root"), get("/api/v1/requests"), "", 403, "role-missing"},
		"no tenant":                  {"everything belongs to one", p.bearer("", "ann", "user"), get("/api/v1/requests"), "", 403, "tenant-missing"},
		"metrics without a token":    {"the scraper has none", nil, get("/metrics"), "", 200, ""},
		"the contract without token": {"anybody may read it", nil, get("/openapi.yaml"), "", 200, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.do(c.who, c.body); got.status != c.status || got.status >= 400 && got.text("code") != c.code {
				t.Errorf("got %d %s, want %d %s (%s)", got.status, got.body, c.status, c.code, c.reason)
			}
		})
	}
}

// TestTokens_refusals holds what a client hears against the contract.
func TestTokens_refusals(t *testing.T) {
	t.Parallel()
	const operation = "GET /api/v1/requests"
	p, c := newProvider(t), loadContract(t)
	b := p.bench()
	good := p.bearer("acme", "ann", "user")
	expired := p.token(map[string]any{"sub": "ann", "tenant": "acme", "realm_access": map[string]any{"roles": []string{"user"}}, "exp": time.Now().Add(-time.Hour).Unix()})
	forged := []string{"Authorization", good[1][:len(good[1])-8] + "AAAAAAAA"}
	see := func(name string, headers []string, status int, code, challenge string) {
		t.Helper()
		a := b.call(http.MethodGet, "/api/v1/requests", "", headers...)
		c.check(operation, a)
		if a.status != status || a.text("code") != code || a.header.Get("WWW-Authenticate") != challenge || a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: got %d %v %s, want %d %s with the challenge %q", name, a.status, a.header, a.body, status, code, challenge)
		}
		if status == http.StatusServiceUnavailable && a.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", name)
		}
		if len(headers) > 1 && strings.Contains(b.log.String()+a.body, strings.TrimPrefix(headers[1], "Bearer ")) {
			t.Errorf("%s: the token is in the log or the answer", name)
		}
	}
	p.away.Store(true)
	see("the issuer is away", good, http.StatusServiceUnavailable, "issuer-away", "")
	p.away.Store(false)
	see("no token", nil, http.StatusUnauthorized, "token-missing", `Bearer realm="kbnt"`)
	see("an expired one", expired, http.StatusUnauthorized, "token-expired", `Bearer realm="kbnt", error="invalid_token", error_description="the token has expired"`)
	see("a forged one", forged, http.StatusUnauthorized, "token-invalid", `Bearer realm="kbnt", error="invalid_token", error_description="the signature of the token is wrong"`)
	see("no role", p.bearer("acme", "ann"), http.StatusForbidden, "role-missing", "")
	if a := b.call(http.MethodGet, "/api/v1/requests", "", good...); a.status != http.StatusOK {
		t.Errorf("a good one: got %d %s, want 200", a.status, a.body)
	}
}

func policyFile(text string) config.PolicyFile {
	return config.PolicyFile{Path: "/etc/kbnt/policies.yaml", Data: []byte(text)}
}

// Policies that cannot be applied admit nothing, and the client hears why.
func TestPoliciesBroken(t *testing.T) {
	t.Parallel()
	policies, prepare := intake.Policies(policyFile("policies:\n- name: p\n  message: m\n  require: request.coers > 1\n  tests:\n  - {name: a, draft: {}, allowed: true}\n  - {name: b, draft: {}, allowed: false}\n"), slog.New(slog.DiscardHandler))
	if err := prepare(t.Context()); err == nil {
		t.Fatal("prepare: no error, so the function would be ready")
	}
	b := newBench(t, setup{ports: func(p *intake.Ports) { p.Submit.Policies = policies }})
	a := b.post(volume)
	loadContract(t).check("POST /api/v1/virtualize", a)
	if a.status != http.StatusServiceUnavailable || a.text("code") != application.PoliciesBroken || !strings.Contains(a.text("detail"), "policies.yaml line 4, policy p: require: column 1: undeclared") || a.header.Get("Retry-After") == "" {
		t.Errorf("got %d %s, want 503 with the policy and its place", a.status, a.body)
	}
}

// The operator's policies and the built-in ones hold together.
func TestPolicies_both(t *testing.T) {
	t.Parallel()
	policies, _ := intake.Policies(policyFile("policies:\n- name: small\n  message: m\n  require: request.cores < 2\n  tests:\n  - {name: a, draft: {cores: 1}, allowed: true}\n  - {name: b, draft: {cores: 2}, allowed: false}\n"), slog.New(slog.DiscardHandler))
	b := newBench(t, setup{ports: func(p *intake.Ports) { p.Submit.Policies = policies }})
	a := b.post(`{"type":"CREATE_VIRTUAL_MACHINE","specifications":{"cpu":4,"memory":8,"disk":100,"network":"bridged","userData":"#cloud-config\npassword: x"}}`)
	if got := strings.Join(a.errors(), ", "); a.status != http.StatusUnprocessableEntity || got != "/specifications/userData policy-no-passwords,  policy-small" {
		t.Errorf("got %d %s, want both refusals", a.status, a.body)
	}
}
