package intake_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"kbnt.dev/virtualization/functions/intake"
)

func TestHandle_nowhere(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{})
	for _, path := range []string{"/", "/api", "/api/v1", "/api/v1/virtualize/", "/api/v1//virtualize", "/api/v1/../v1/virtualize", "/api/v1/requests/", "/api/v1/requests/a/b", "/health/x", "/index.html"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			a := b.call(method, path, "")
			if a.status != http.StatusNotFound || a.header.Get("Content-Type") != "application/problem+json" || a.text("instance") != path {
				t.Errorf("%s %s: got %d %s, want a problem 404", method, path, a.status, a.body)
			}
		}
	}
}

func TestHandle_methods(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{})
	for path, allow := range map[string]string{
		"/api/v1/virtualize":            "POST",
		"/virtualize":                   "POST",
		"/api/v1/requests":              "GET, HEAD",
		"/api/v1/requests/a":            "DELETE, GET, HEAD",
		"/api/v1/requests/a/events":     "GET, HEAD",
		"/api/v1/dead-letters/a/resume": "POST",
		"/openapi.yaml":                 "GET, HEAD",
	} {
		for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodOptions, http.MethodTrace} {
			a := b.call(method, path, "")
			if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != allow || a.text("code") != "method-not-allowed" {
				t.Errorf("%s %s: got %d %q %s, want 405 %q", method, path, a.status, a.header.Get("Allow"), a.body, allow)
			}
		}
	}
}

func TestHandle_bounds(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{})
	if a := b.call(http.MethodGet, "/api/v1/requests?cursor="+strings.Repeat("x", 5000), ""); a.status != http.StatusRequestURITooLong {
		t.Errorf("long address: got %d, want 414", a.status)
	}
	if a := b.call(http.MethodGet, "/api/v1/quota", "", "X-Long", strings.Repeat("x", 40000)); a.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("large header: got %d, want 431", a.status)
	}
	inside, leave := make(chan struct{}), make(chan struct{})
	b = newBench(t, setup{ports: func(p *intake.Ports) {
		p.Concurrency = 1
		p.Metrics = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { inside <- struct{}{}; <-leave })
	}})
	done := make(chan struct{})
	go func() { defer close(done); b.call(http.MethodGet, "/metrics", "") }()
	<-inside
	if a := b.call(http.MethodGet, "/api/v1/quota", ""); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("one too many at once: got %d %v, want 503 with Retry-After", a.status, a.header)
	}
	close(leave)
	<-done
	if a := b.call(http.MethodGet, "/api/v1/quota", ""); a.status != http.StatusOK {
		t.Errorf("afterwards: got %d, want 200", a.status)
	}
}

func TestHandle_open(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{})
	for _, path := range []string{"/openapi.yaml", "/metrics"} {
		if a := b.call(http.MethodGet, path, "", "Test-Caller", "nobody"); a.status != http.StatusOK {
			t.Errorf("%s for nobody: got %d, want 200", path, a.status)
		}
	}
	if ready, err := b.f.Ready(t.Context()); !ready || err != nil {
		t.Errorf("ready: got %v %v", ready, err)
	}
	if alive, err := b.f.Alive(t.Context()); !alive || err != nil {
		t.Errorf("alive: got %v %v", alive, err)
	}
}

// A body that breaks off was not what the client meant to send.
func TestVirtualize_bodyCutOff(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{})
	r := httptest.NewRequest(http.MethodPost, "/virtualize", io.MultiReader(strings.NewReader(volume), iotest.ErrReader(io.ErrUnexpectedEOF)))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	b.f.Handle(w, r)
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "body-cut-off") {
		t.Errorf("got %d %s, want 400", w.Code, w.Body)
	}
	b.untouched()
}
