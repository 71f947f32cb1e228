package oidc_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/oidc"
)

const good = "acme/ann/[user]"

// However many come at once, the issuer is asked once, and not before.
func TestKeys_areFetchedOnceAtFirstUse(t *testing.T) {
	t.Parallel()
	k := es256("k")
	i := newIssuer(t)
	i.keys = []any{k.published()}
	x := i.open(nil)
	if got := i.fetches(); got != 0 {
		t.Fatalf("New asked the issuer %d times", got)
	}
	raw := token(t, k, i.claims())
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if got := outcome(x.Identify(request(t, raw))); got != good {
				t.Errorf("got %s, want %s", got, good)
			}
		})
	}
	all.Wait()
	if got := i.fetches(); got != 1 {
		t.Errorf("the issuer was asked %d times, want once", got)
	}
}

func TestKeys_rotate(t *testing.T) {
	t.Parallel()
	before, after := es256("before"), rs256("after")
	i := newIssuer(t)
	i.keys = []any{before.published()}
	x := i.open(nil)
	see := func(when string, s signer, want string, fetches int) {
		t.Helper()
		claims := i.claims("iat", i.clock().Unix(), "exp", i.clock().Add(time.Minute).Unix())
		if got := outcome(x.Identify(request(t, token(t, s, claims)))); got != want {
			t.Errorf("%s, key %s: got %s, want %s", when, s.id, got, want)
		}
		if got := i.fetches(); got != fetches {
			t.Errorf("%s: the issuer was asked %d times, want %d", when, got, fetches)
		}
	}
	see("at first", before, good, 1)
	i.set(func(i *issuer) { i.keys = []any{before.published(), after.published()} })
	see("a new key, at once", after, "token-invalid", 1) // within the pause
	i.pass(10 * time.Second)
	see("a new key, after the pause", after, good, 2)
	see("the old key, meanwhile", before, good, 2)
	for range 10 {
		see("made-up keys", es256("made-up"), "token-invalid", 2)
	}
	i.pass(10 * time.Second)
	see("a made-up key, after the pause", es256("made-up"), "token-invalid", 3)

	i.set(func(i *issuer) { i.keys = []any{after.published()} })
	i.pass(time.Hour)
	claims := i.claims("iat", i.clock().Unix(), "exp", i.clock().Add(time.Minute).Unix())
	until(t, "the withdrawn key is refused", func() bool {
		return outcome(x.Identify(request(t, token(t, before, claims)))) == "token-invalid"
	})
	see("after an hour", after, good, 4)
}

// until asks again and again, while something happens in the background.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("10 s have passed, and not yet: %s", what)
		}
	}
}

func TestKeys_withoutName(t *testing.T) {
	t.Parallel()
	a, b := es256(""), es256("")
	i := newIssuer(t)
	i.keys = []any{a.published(), b.published()}
	if got := outcome(i.open(nil).Identify(request(t, token(t, b, i.claims())))); got != good {
		t.Errorf("a token that names no key: got %s, want every key tried", got)
	}
}

func TestKeys_issuerIsAway(t *testing.T) {
	t.Parallel()
	forever := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	cases := map[string]struct {
		reason  string
		failure http.HandlerFunc
		change  func(*issuer)
		log     string
	}{
		"down":    {"it comes back", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, nil, "502"},
		"cut off": {"it comes back", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil, "EOF"},
		"hung":    {"nobody waits for ever", forever, nil, "deadline exceeded"},
		"endless": {"what it says is bounded", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, strings.NewReader(strings.Repeat(" ", 2<<20)))
		}, nil, "more than 1 MiB"},
		"elsewhere": {"who follows may be led anywhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		}, nil, "302"},
		"no JSON":          {"a page of a proxy", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, nil, "invalid character"},
		"another name":     {"anybody's keys would do", nil, func(i *issuer) { i.name = "https://other.example" }, "slash for slash"},
		"no keys":          {"nobody can be known", nil, func(i *issuer) { i.keys = nil }, "no key"},
		"keys not fit":     {"a short key is no key", nil, func(i *issuer) { i.keys = []any{short(t)} }, "no key"},
		"only of services": {"a secret is no key", nil, func(i *issuer) { i.keys = []any{jose.JSONWebKey{Key: []byte("secret"), KeyID: "k"}} }, "no key"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := es256("k")
			i := newIssuer(t)
			i.keys = []any{k.published()}
			keys := i.keys
			i.failure = c.failure
			if c.change != nil {
				c.change(i)
			}
			x := i.open(func(o *oidc.Options) {
				if o.Timeout = time.Minute; name == "hung" {
					o.Timeout = time.Second
				}
			})
			raw := token(t, k, i.claims())
			for range 3 {
				_, err := x.Identify(request(t, raw))
				if domain.KindOf(err) != domain.Unavailable || domain.CodeOf(err) != "issuer-away" {
					t.Fatalf("got %v, want Unavailable (%s)", err, c.reason)
				}
			}
			i.set(func(i *issuer) { i.failure, i.name, i.keys = nil, "", keys })
			i.pass(time.Second)
			if got := outcome(x.Identify(request(t, raw))); got != good {
				t.Errorf("back again: got %s, want %s", got, good)
			}
			logged := i.log.String()
			if strings.Count(logged, "hands out no keys") != 1 || !strings.Contains(logged, c.log) || !strings.Contains(logged, "again") {
				t.Errorf("logged %s, want once that it is away, with %q, and once that it is back", logged, c.log)
			}
			if strings.Contains(logged, strings.Split(raw, ".")[1]) {
				t.Errorf("a token is logged: %s", logged)
			}
		})
	}
}

func short(t *testing.T) jose.JSONWebKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: k.Public(), KeyID: "k", Algorithm: "RS256", Use: "sig"}
}

// Tokens are checked with the keys that are known while the issuer is away, for
// so long and no longer.
func TestKeys_outliveTheIssuer(t *testing.T) {
	t.Parallel()
	k := es256("k")
	i := newIssuer(t)
	i.keys = []any{k.published()}
	x := i.open(nil)
	see := func(when, want string) {
		t.Helper()
		claims := i.claims("iat", i.clock().Unix(), "exp", i.clock().Add(time.Minute).Unix())
		if got := outcome(x.Identify(request(t, token(t, k, claims)))); got != want {
			t.Errorf("%s: got %s, want %s", when, got, want)
		}
	}
	see("at first", good)
	i.set(func(i *issuer) {
		i.failure = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	})
	i.pass(2 * time.Hour)
	see("two hours away", good)
	until(t, "the look has failed", func() bool { return strings.Contains(i.log.String(), "hands out no keys") })
	if got := outcome(x.Identify(request(t, token(t, es256("new"), i.claims())))); got != "issuer-away" {
		t.Errorf("an unknown key while the issuer is away: got %s, want issuer-away: it may be a new one", got)
	}
	i.pass(10 * time.Hour)
	see("twelve hours away", "issuer-away")
}

// A client that goes away does not take the look of the others with it.
func TestKeys_aClientGoesAway(t *testing.T) {
	t.Parallel()
	k := es256("k")
	i := newIssuer(t)
	i.keys = []any{k.published()}
	reached, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	i.failure = func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() { close(reached) })
		<-goOn
		i.set(func(i *issuer) { i.failure = nil })
		i.ServeHTTP(w, r)
	}
	x := i.open(nil)
	ctx, cancel := context.WithCancel(t.Context())
	raw := token(t, k, i.claims())
	gone := make(chan error)
	go func() {
		_, err := x.Identify(request(t, raw).WithContext(ctx))
		gone <- err
	}()
	<-reached
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) || domain.KindOf(err) != domain.Unavailable {
		t.Errorf("the client that went away: got %v", err)
	}
	close(goOn)
	if got := outcome(x.Identify(request(t, raw))); got != good || i.fetches() != 1 {
		t.Errorf("the next one: got %s after %d fetches, want the look that was under way", got, i.fetches())
	}
}

func TestKeys_overTLS(t *testing.T) {
	t.Parallel()
	k := es256("k")
	i := &issuer{t: t, time: now, keys: []any{k.published()}}
	server := httptest.NewUnstartedServer(i)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of the handshake that is to fail
	server.StartTLS()
	t.Cleanup(server.Close)
	i.url = server.URL
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	raw := token(t, k, i.claims())
	if got := outcome(i.open(func(o *oidc.Options) { o.Roots = roots }).Identify(request(t, raw))); got != good {
		t.Errorf("with its authority: got %s", got)
	}
	if got := outcome(i.open(func(o *oidc.Options) { o.Roots = x509.NewCertPool() }).Identify(request(t, raw))); got != "issuer-away" {
		t.Errorf("without its authority: got %s, want issuer-away", got)
	}
	i.set(func(i *issuer) {
		i.failure = func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"issuer":"`+i.url+`","jwks_uri":"http://127.0.0.1:1/keys"}`)
		}
	})
	if got := outcome(i.open(func(o *oidc.Options) { o.Roots = roots }).Identify(request(t, raw))); got != "issuer-away" || !strings.Contains(i.log.String(), "no https URL") {
		t.Errorf("keys over http: got %s, want them refused", got)
	}
}

func BenchmarkIdentify(b *testing.B) {
	for _, s := range []signer{rs256("r"), es256("e")} {
		b.Run(string(s.alg), func(b *testing.B) {
			t := new(testing.T)
			i := &issuer{t: t, time: now, keys: []any{s.published()}}
			server := httptest.NewServer(i)
			b.Cleanup(server.Close)
			i.url = server.URL
			x := i.open(nil)
			r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
			r.Header.Set("Authorization", "Bearer "+token(t, s, i.claims()))
			for b.Loop() {
				if _, err := x.Identify(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
