package oidc_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"kbnt.dev/virtualization/infrastructure/oidc"
)

// now is when all tests are.
var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// issuer publishes keys on this machine and makes tokens.
type issuer struct {
	t   *testing.T
	url string
	log lines

	mu      sync.Mutex
	time    time.Time
	keys    []any // as published: jose.JSONWebKey, or anything else
	asked   int   // times the keys were asked for
	failure http.HandlerFunc
	name    string // what it calls itself; its URL when empty
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{t: t, time: now}
	server := httptest.NewServer(i)
	t.Cleanup(server.Close)
	i.url = server.URL
	return i
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	failure, name, keys := i.failure, i.name, i.keys
	if strings.HasSuffix(r.URL.Path, "/keys") {
		i.asked++
	}
	i.mu.Unlock()
	if name == "" {
		name = i.url
	}
	switch {
	case failure != nil:
		failure(w, r)
	case r.URL.Path == "/.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": name, "jwks_uri": i.url + "/keys"})
	case r.URL.Path == "/keys":
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": keys})
	default:
		http.NotFound(w, r)
	}
}

func (i *issuer) set(change func(*issuer)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change(i)
}

func (i *issuer) fetches() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

func (i *issuer) pass(d time.Duration) { i.set(func(i *issuer) { i.time = i.time.Add(d) }) }

func (i *issuer) clock() time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.time
}

// open is what is on trial.
func (i *issuer) open(change func(*oidc.Options)) *oidc.Issuer {
	i.t.Helper()
	o := oidc.Options{Issuer: i.url, Audience: "kbnt", Clock: i.clock, Log: slog.New(slog.NewTextHandler(&i.log, nil))}
	if change != nil {
		change(&o)
	}
	x, err := oidc.New(o)
	if err != nil {
		i.t.Fatal(err)
	}
	return x
}

// signer is one key of an issuer.
type signer struct {
	id  string
	alg jose.SignatureAlgorithm
	key crypto.Signer
}

// published is the public half.
func (s signer) published() jose.JSONWebKey {
	return jose.JSONWebKey{Key: s.key.Public(), KeyID: s.id, Algorithm: string(s.alg), Use: "sig"}
}

// rsaKey is made once: it takes long.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey { k, _ := rsa.GenerateKey(rand.Reader, 2048); return k })

func rs256(id string) signer { return signer{id, jose.RS256, rsaKey()} }

func es256(id string) signer {
	k, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return signer{id, jose.ES256, k}
}

func eddsa(id string) signer {
	_, k, _ := ed25519.GenerateKey(rand.Reader)
	return signer{id, jose.EdDSA, k}
}

// claims of a good token.
func (i *issuer) claims(change ...any) map[string]any {
	c := map[string]any{"iss": i.url, "aud": "kbnt", "sub": "ann", "tenant": "acme", "roles": []string{"user"},
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
	for n := 0; n < len(change); n += 2 {
		if c[change[n].(string)] = change[n+1]; change[n+1] == nil {
			delete(c, change[n].(string))
		}
	}
	return c
}

// token signs claims.
func token(t *testing.T, s signer, claims any) string {
	t.Helper()
	return sign(t, jose.SigningKey{Algorithm: s.alg, Key: jose.JSONWebKey{Key: s.key, KeyID: s.id}}, claims)
}

func sign(t *testing.T, key jose.SigningKey, claims any) string {
	t.Helper()
	s, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := s.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// request carries a token.
func request(t *testing.T, token string) *http.Request {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/requests", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
