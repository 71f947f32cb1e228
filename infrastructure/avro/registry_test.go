package avro

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	twmb "github.com/twmb/avro"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
)

// isAway reports whether err is what the port promises of a registry in trouble.
func isAway(err error) bool {
	return domain.KindOf(err) == domain.Unavailable && domain.CodeOf(err) == application.CodeRegistryAway
}

func TestPrepareRegistersOnce(t *testing.T) {
	t.Parallel()
	f := newFakeRegistry(t)
	f.user, f.password = "kbnt", "p:ss word" // also: credentials of the URL
	const lookMessage, lookResult = "POST /subjects/virtualization-requests-value", "POST /subjects/virtualization-results-value"
	steps := []struct {
		reason string
		codec  *Codec
		asked  []string
	}{
		{"what is not there is registered", New(Options{Registry: f.options()}), []string{lookMessage, lookMessage + "/versions", lookResult, lookResult + "/versions"}},
		{"another process looks it up", New(Options{Registry: f.options()}), []string{lookMessage, lookResult}},
	}
	for _, step := range steps {
		for range 3 {
			if err := step.codec.Prepare(t.Context()); err != nil {
				t.Fatalf("%s: %v", step.reason, err)
			}
		}
		if got := f.questions(); !slices.Equal(got, step.asked) {
			t.Errorf("%s: asked %q, want %q", step.reason, got, step.asked)
		}
	}
	if len(f.schemas) != 2 || f.schemas[0] != mustNewest(t, eventing.SchemaMessage).String() {
		t.Errorf("registered are %d schemas, want two, with all their words", len(f.schemas))
	}
}

func TestPrepareNames(t *testing.T) {
	t.Parallel()
	f := newFakeRegistry(t)
	c := New(Options{Registry: f.options()})
	if err := c.Prepare(t.Context(), eventing.SchemaResult); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Result(decided(machineRecord(), domain.Completed, "", true), accepted); err != nil {
		t.Errorf("encode what was prepared: %v", err)
	}
	if _, err := c.Requested(machineRecord(), accepted); !isAway(err) {
		t.Errorf("encode what was not: got %v, want away", err)
	}
	if err := c.Prepare(t.Context(), eventing.SchemaEvent); err == nil || domain.KindOf(err) != domain.Internal {
		t.Errorf("prepare what is no Avro: got %v, want Internal", err)
	}
	if err := New(Options{}).Prepare(t.Context()); err != nil {
		t.Errorf("without a registry: got %v", err)
	}
}

// Whatever is wrong with the registry, preparing says away, and so does opening
// an event whose schema is not known; it is no event's fault.
func TestTroubleWithTheRegistry(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", registryType)
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	followed := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s was led elsewhere", r.Method, r.URL)
	}))
	t.Cleanup(followed.Close)
	tests := map[string]struct {
		reason  string
		trouble http.HandlerFunc
		says    string // to the operator
	}{
		"backend away":     {"the store of the registry", answer(500, `{"error_code":50001,"message":"Error in the backend data store"}`), "50001"},
		"no leader":        {"a new leader will be found", answer(500, `{"error_code":50003,"message":"Error while forwarding the request to the primary"}`), "50003"},
		"too many":         {"a quota of the registry", answer(429, `{"error_code":42901,"message":"Too many requests"}`), "429"},
		"bad gateway":      {"something between answers HTML", answer(502, `<html>Bad Gateway</html>`), "Bad Gateway"},
		"not allowed":      {"credentials are ours to mend", answer(403, `{"error_code":40301,"message":"denied"}`), "denied"},
		"not known":        {"credentials are ours to mend", answer(401, `{"error_code":40101,"message":"Unauthorized"}`), "Unauthorized"},
		"incompatible":     {"another release registered what ours cannot read", answer(409, `{"error_code":409,"message":"incompatible with an earlier schema"}`), "earlier"},
		"invalid":          {"a registry that knows another Avro", answer(422, `{"error_code":42201,"message":"Invalid schema"}`), "42201"},
		"not there":        {"a wrong path, or a registry that lost its data", answer(404, `{"error_code":40403,"message":"Schema not found"}`), "40403"},
		"no content":       {"204 is no answer", answer(204, ""), "204"},
		"no JSON":          {"200 with a page", answer(200, `<html>Hello</html>`), "read the answer"},
		"cut JSON":         {"the answer ends early", answer(200, `{"id":1,"schema":"{`), "read the answer"},
		"empty":            {"no body", answer(200, ``), "read the answer"},
		"nothing of use":   {"an object of another API", answer(200, `{}`), ""},
		"a list":           {"what GET of versions answers", answer(200, `[1]`), "read the answer"},
		"id zero":          {"ids begin with 1", answer(200, `{"id":0,"schema":""}`), ""},
		"negative id":      {"ids begin with 1", answer(200, `{"id":-5,"schema":""}`), ""},
		"id too large":     {"the wire has 31 bits for it", answer(200, `{"id":2147483648,"schema":""}`), ""},
		"id no number":     {"an id of another API", answer(200, `{"id":"7","schema":7}`), "read the answer"},
		"huge":             {"an answer is bounded", answer(200, `{"id":1,"schema":"`+strings.Repeat("x", maxAnswer)+`"}`), "bytes"},
		"huge refusal":     {"what is told of it is bounded", answer(500, strings.Repeat("x", maxAnswer)), "500"},
		"moved":            {"a POST that is led elsewhere may become a GET", http.RedirectHandler(followed.URL, http.StatusFound).ServeHTTP, "302"},
		"moved, with body": {"credentials are for one place", http.RedirectHandler(followed.URL, http.StatusTemporaryRedirect).ServeHTTP, "307"},
		"hangs up":         {"no answer at all", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		"hangs up half way": {"an answer in part", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{"id":1,`)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, "read the answer"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeRegistry(t)
			other := New(Options{Registry: f.options()})
			if err := other.Prepare(t.Context()); err != nil {
				t.Fatal(err)
			}
			e, err := other.Requested(machineRecord(), accepted)
			if err != nil {
				t.Fatal(err)
			}
			f.fail(test.trouble)
			c := New(Options{Registry: f.options()})
			err = c.Prepare(t.Context(), eventing.SchemaMessage)
			if !isAway(err) || !strings.Contains(err.Error(), test.says) || len(err.Error()) > 1000 {
				t.Errorf("%s: prepare: got %v (%d bytes), want away, with %q", test.reason, err, len(err.Error()), test.says)
			}
			if _, err := c.Requested(machineRecord(), accepted); !isAway(err) {
				t.Errorf("%s: encode: got %v, want away", test.reason, err)
			}
			if _, err := c.Open(t.Context(), e); !isAway(err) {
				t.Errorf("%s: open: got %v, want away", test.reason, err)
			}
			if _, err := other.Open(t.Context(), e); err != nil {
				t.Errorf("%s: what is known stays known: %v", test.reason, err)
			}
			f.fail(nil)
			if err := c.Prepare(t.Context(), eventing.SchemaMessage); err != nil {
				t.Errorf("%s: when it is over: %v", test.reason, err)
			}
			if _, err := c.Open(t.Context(), e); err != nil {
				t.Errorf("%s: when it is over: %v", test.reason, err)
			}
		})
	}
}

// silence is a registry that takes questions and answers none.
type silence struct{}

func (silence) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestASlowRegistryCostsItsTimeoutOnce(t *testing.T) {
	t.Parallel()
	f := newFakeRegistry(t)
	other := New(Options{Registry: f.options()})
	if err := other.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	e, err := other.Requested(machineRecord(), accepted)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		c := New(Options{Registry: RegistryOptions{URL: &url.URL{Scheme: "http", Host: "registry.example"}, Client: &http.Client{Transport: silence{}}}})
		for name, call := range map[string]func() error{
			"prepare": func() error { return c.Prepare(t.Context(), eventing.SchemaMessage) },
			"open":    func() error { _, err := c.Open(t.Context(), e); return err },
		} {
			start := time.Now()
			outcomes := make(chan error)
			for range 20 {
				go func() { outcomes <- call() }()
			}
			for range 20 {
				if err := <-outcomes; !isAway(err) {
					t.Errorf("%s: got %v, want away", name, err)
				}
			}
			if took := time.Since(start); took != DefaultRegistryTimeout {
				t.Errorf("%s: 20 at a time took %s, want %s", name, took, DefaultRegistryTimeout)
			}
		}
		start := time.Now()
		if _, err := c.Requested(machineRecord(), accepted); !isAway(err) || time.Since(start) != 0 {
			t.Errorf("encode: got %v after %s, want away at once", err, time.Since(start))
		}
	})
}

// A balancer or an operator reads errors: none of them shows a password.
func TestErrorsShowNoPassword(t *testing.T) {
	t.Parallel()
	u, err := url.Parse("http://kbnt:hunter2@127.0.0.1:1/base?token=hunter2")
	if err != nil {
		t.Fatal(err)
	}
	err = New(Options{Registry: RegistryOptions{URL: u}}).Prepare(t.Context(), eventing.SchemaMessage)
	if !isAway(err) || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "/base/subjects/") {
		t.Errorf("got %v, want away with the address and without the password", err)
	}
	e, _ := errors.AsType[*domain.Error](err)
	if strings.Contains(e.Detail+e.Remedy, "127.0.0.1") {
		t.Errorf("a client reads %q %q, want no address", e.Detail, e.Remedy)
	}
}

func mustNewest(t *testing.T, name string) *twmb.Schema {
	t.Helper()
	all, err := loadEmbedded()
	if err != nil {
		t.Fatal(err)
	}
	return all.newest[name]
}
