package kubevirt_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/kubevirt"
)

// refusal is the body of a Status.
func refusal(code int, reason, message, details string) string {
	if details == "" {
		details = "{}"
	}
	return fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d,"reason":%q,"message":%q,"details":%s}`, code, reason, message, details)
}

// TestRefusals maps what a server says to a Kind and a code, for a look and for a
// change: only after a change may something still happen.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason     string
		status     int
		body       string
		look, make string // kind/code of Observe, and of the POST of Ensure
	}{
		"bad request":         {"strict validation names the field", 400, refusal(400, "BadRequest", "unknown field \"spec.coffee\"", ""), "invalid/invalid-spec", "invalid/invalid-spec"},
		"unauthorized":        {"our token is not known", 401, refusal(401, "Unauthorized", "Unauthorized", ""), "forbidden/unauthenticated", "forbidden/unauthenticated"},
		"no permission":       {"RBAC", 403, refusal(403, "Forbidden", "persistentvolumeclaims is forbidden: User \"x\" cannot create", ""), "forbidden/denied", "forbidden/denied"},
		"quota":               {"the same status, and the user's own doing", 403, refusal(403, "Forbidden", "\"a\" is forbidden: exceeded quota: few, requested: count/x=1", ""), "exhausted/cluster-quota", "exhausted/cluster-quota"},
		"a quota unmet":       {"a quota that wants limits", 403, refusal(403, "Forbidden", "\"a\" is forbidden: failed quota: few: must specify limits", ""), "exhausted/cluster-quota", "exhausted/cluster-quota"},
		"namespace goes":      {"nothing can be made there any more", 403, refusal(403, "Forbidden", "unable to create new content", `{"causes":[{"reason":"NamespaceTerminating"}]}`), "unavailable/try-again", "not-found/no-namespace"},
		"no namespace":        {"a dependency", 404, refusal(404, "NotFound", "namespaces \"x\" not found", `{"kind":"namespaces","name":"x"}`), "", "not-found/no-namespace"},
		"no API":              {"nothing is known of the thing", 404, "404 page not found\n", "unavailable/try-again", "not-found/no-api"},
		"method":              {"no API server answers like that", 405, refusal(405, "MethodNotAllowed", "no", ""), "internal/unexpected-answer", "internal/unexpected-answer"},
		"conflict":            {"somebody was faster", 409, refusal(409, "Conflict", "the object has been modified", ""), "unavailable/try-again", "unavailable/try-again"},
		"too large":           {"it never gets smaller", 413, refusal(413, "RequestEntityTooLarge", "limit is 3145728", ""), "invalid/invalid-spec", "invalid/invalid-spec"},
		"invalid":             {"a schema or a webhook", 422, refusal(422, "Invalid", "is invalid", ""), "invalid/invalid-spec", "invalid/invalid-spec"},
		"another uid":         {"the object of that name is a new one", 422, refusal(422, "Invalid", "is invalid", `{"causes":[{"field":"metadata.uid"}]}`), "unavailable/try-again", "unavailable/try-again"},
		"too many requests":   {"the server did nothing", 429, refusal(429, "TooManyRequests", "slow down", ""), "unavailable/try-again", "unavailable/try-again"},
		"internal error":      {"a change may have happened", 500, refusal(500, "InternalError", "etcdserver: request timed out", ""), "unavailable/try-again", "unavailable/unavailable"},
		"bad gateway":         {"a proxy, with a body of its own", 502, "<html>", "unavailable/try-again", "unavailable/unavailable"},
		"service unavailable": {"who said it is not known", 503, refusal(503, "ServiceUnavailable", "shutting down", ""), "unavailable/try-again", "unavailable/unavailable"},
		"timeout":             {"the server gave up, not the change", 504, refusal(504, "Timeout", "request did not complete", ""), "unavailable/try-again", "unavailable/unavailable"},
		"a redirect":          {"none is followed", 307, "", "internal/unexpected-answer", "internal/unexpected-answer"},
		"no JSON":             {"a success that cannot be read", 200, "<html>", "internal/internal", "internal/internal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, s := bare(t)
			said := func(method string) {
				s.before = func(r *http.Request) (int, string, http.Header) {
					if r.Method == method {
						return c.status, c.body, http.Header{"Retry-After": {"0"}}
					}
					return 0, "", nil
				}
			}
			said(http.MethodGet)
			_, err := w.Observe(t.Context(), w.volume("a").Key)
			if got := verdict(err); got != c.look {
				t.Errorf("look: got %q (%v), want %q: %s", got, err, c.look, c.reason)
			}
			said(http.MethodPost)
			_, err = w.Ensure(t.Context(), w.volume("a"))
			if got := verdict(err); got != c.make {
				t.Errorf("make: got %q (%v), want %q: %s", got, err, c.make, c.reason)
			}
		})
	}
}

func verdict(err error) string {
	if err == nil {
		return ""
	}
	return domain.KindOf(err).String() + "/" + domain.CodeOf(err)
}

// bare is a world and its fake server.
func bare(t *testing.T, change ...func(*kubevirt.Options)) (*world, *server) {
	t.Helper()
	w := fakeWorld(t, func(o *kubevirt.Options) {
		for _, c := range change {
			c(o)
		}
	})
	s := w.controllers.transport.(*server)
	s.asked = nil
	return w, s
}

// TestTooManyRequestsAreWaitedOut holds that a server that asks to come back is asked
// again, a few times.
func TestTooManyRequestsAreWaitedOut(t *testing.T) {
	t.Parallel()
	w, s := bare(t)
	var n atomic.Int32
	s.before = func(*http.Request) (int, string, http.Header) {
		if n.Add(1) <= 2 {
			return 429, refusal(429, "TooManyRequests", "slow down", ""), http.Header{"Retry-After": {"0"}}
		}
		return 0, "", nil
	}
	network := domain.Key{Resource: "a", Kind: domain.ThingNetwork}
	if o, err := w.Observe(t.Context(), network); err != nil || o.Phase != domain.ThingAbsent || n.Load() != 3 {
		t.Errorf("after two refusals: got %s, %v after %d calls, want Absent after 3", o.Phase, err, n.Load())
	}
}

// TestTokenIsReadAgain rotates the token under the driver.
func TestTokenIsReadAgain(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/token"
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old")
	w, s := bare(t, func(o *kubevirt.Options) { o.Cluster.TokenFile = file })
	good := "old"
	s.before = func(r *http.Request) (int, string, http.Header) {
		if r.Header.Get("Authorization") != "Bearer "+good {
			return 401, refusal(401, "Unauthorized", "Unauthorized", ""), nil
		}
		return 0, "", nil
	}
	key := w.volume("a").Key
	if _, err := w.Observe(t.Context(), key); err != nil {
		t.Errorf("with the first token: %v", err)
	}
	write("new")
	good = "new"
	if _, err := w.Observe(t.Context(), key); err != nil {
		t.Errorf("with a rotated token: got %v, want it read again", err)
	}
	good = "nobody's"
	if _, err := w.Observe(t.Context(), key); verdict(err) != "forbidden/unauthenticated" {
		t.Errorf("with a wrong token: got %v, want forbidden", err)
	}
}

// TestLines are real connections: whether something was sent decides whether it can
// still land.
func TestLines(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		w.WriteHeader(404)
		_, _ = w.Write([]byte(refusal(404, "NotFound", name+" not found", `{"name":"`+name+`"}`)))
	})
	mux.HandleFunc("POST /", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("DELETE /", func(_ http.ResponseWriter, r *http.Request) { <-hang })
	up := httptest.NewServer(mux)
	t.Cleanup(up.Close)
	t.Cleanup(func() { close(hang) })
	down := httptest.NewServer(mux)
	down.Close()
	untrusted := httptest.NewTLSServer(mux)
	untrusted.Config.ErrorLog = nil
	t.Cleanup(untrusted.Close)

	for name, c := range map[string]struct {
		reason, server, code string
	}{
		"nobody listens": {"nothing was sent", down.URL, "try-again"},
		"no such host":   {"nothing was sent", "http://kbnt.invalid", "try-again"},
		"not trusted":    {"the handshake failed", untrusted.URL, "try-again"},
		"answer is lost": {"the volume may have been made", up.URL, "unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := bare(t)
			o := w.options
			o.Cluster = kubevirt.Cluster{Server: c.server}
			h, err := kubevirt.New(o)
			if err != nil {
				t.Fatal(err)
			}
			_, err = h.Ensure(t.Context(), w.volume("a"))
			if got := verdict(err); got != "unavailable/"+c.code {
				t.Errorf("got %q (%v), want %q: %s", got, err, c.code, c.reason)
			}
		})
	}
}

// TestFindingCostsOneRoundTrip counts the calls, and that those of one round trip do not
// wait for one another is seen by their overlap.
func TestFindingCostsOneRoundTrip(t *testing.T) {
	t.Parallel()
	w, s := bare(t)
	root, machine := w.volume("a"), w.machine("a")
	network := w.network("a")
	for _, want := range []domain.Desired{root, machine, network} {
		w.ready(t, want)
	}
	for _, c := range []struct {
		want domain.Desired
		most int
	}{{root, 2}, {machine, 2}, {network, 1}} {
		for what, call := range map[string]func() (domain.Observation, error){
			"ensure":  func() (domain.Observation, error) { return w.Ensure(t.Context(), c.want) },
			"observe": func() (domain.Observation, error) { return w.Observe(t.Context(), c.want.Key) },
		} {
			s.asked = nil
			if o, err := call(); err != nil || o.Phase != domain.ThingReady || len(s.asked) != c.most {
				t.Errorf("%s a %s that exists: got %s, %v by %q, want Ready by %d calls", what, c.want.Key.Kind, o.Phase, err, s.asked, c.most)
			}
		}
	}

	blank, s := bare(t, shapes()["blank volumes, bound late, and no agent"])
	blank.ready(t, root)
	s.asked = nil
	if _, err := blank.Ensure(t.Context(), root); err != nil || len(s.asked) != 2 {
		t.Errorf("ensure a blank volume that exists: got %v by %q, want 2 calls: how its class binds is known", err, s.asked)
	}
}

// TestWithoutCDI makes blank volumes, and says what is missing for others.
func TestWithoutCDI(t *testing.T) {
	t.Parallel()
	w, s := bare(t)
	s.before = func(r *http.Request) (int, string, http.Header) {
		if strings.Contains(r.URL.Path, "cdi.kubevirt.io") && strings.HasPrefix(r.Header.Get("User-Agent"), "kbnt") {
			return 404, "404 page not found\n", http.Header{"Content-Type": {"text/plain"}}
		}
		return 0, "", nil
	}
	blank := w.volume("a")
	blank.Image = ""
	w.ready(t, blank)
	w.ready(t, w.machine("a"))
	if _, err := w.Ensure(t.Context(), w.volume("b")); verdict(err) != "not-found/no-api" {
		t.Errorf("a volume with an image: got %v, want not-found/no-api", err)
	}
	n := 0
	for _, err := range w.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 2 {
		t.Errorf("list: got %d things, want 2", n)
	}
	if _, err := w.Delete(t.Context(), blank.Key); err != nil {
		t.Errorf("delete a blank volume: %v", err)
	}
}

// TestAnotherOfThatNameIsNotHit exchanges an object between the look and the change.
func TestAnotherOfThatNameIsNotHit(t *testing.T) {
	t.Parallel()
	w, s := bare(t)
	w.ready(t, w.volume("a"))
	machine := w.machine("a")
	first := w.ready(t, machine)
	exchange := func(method string) {
		done := false
		s.before = func(r *http.Request) (int, string, http.Header) {
			if r.Method == method && !done {
				done = true
				o := s.objects[w.controllers.in(vmsPath)+"/"+machine.Key.Name()]
				o["metadata"].(fields)["uid"] = "00000000-0000-4000-8000-ffffffffffff"
			}
			return 0, "", nil
		}
	}
	for what, call := range map[string]func() error{
		http.MethodDelete: func() error { _, err := w.Delete(t.Context(), machine.Key); return err },
		http.MethodPatch: func() error {
			off := machine
			off.On = false
			_, err := w.Ensure(t.Context(), off)
			return err
		},
	} {
		s.objects[w.controllers.in(vmsPath)+"/"+machine.Key.Name()]["metadata"].(fields)["uid"] = first.ProviderID
		exchange(what)
		if err := call(); verdict(err) != "unavailable/try-again" {
			t.Errorf("%s of what was exchanged: got %v, want unavailable/try-again", what, err)
		}
		o := s.objects[w.controllers.in(vmsPath)+"/"+machine.Key.Name()]
		if meta(o, "deletionTimestamp") != "" || text(o, "spec", "runStrategy") != "Always" {
			t.Errorf("%s of what was exchanged: the new one was hit: %s", what, show(o))
		}
	}
}

// TestLeftOverSecret holds that the Secret of a machine that has gone is neither used nor
// taken for somebody else's.
func TestLeftOverSecret(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason, owner, want string
	}{
		"of the machine before": {"the garbage collector is about to take it", `[{"apiVersion":"kubevirt.io/v1","kind":"VirtualMachine","name":"x","uid":"before"}]`, "unavailable/deleting"},
		"of somebody":           {"nothing of it may reach the machine", `[]`, "conflict/foreign"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := bare(t)
			w.ready(t, w.volume("a"))
			machine := w.machine("a")
			var owners []any
			if err := json.Unmarshal([]byte(c.owner), &owners); err != nil {
				t.Fatal(err)
			}
			w.controllers.create(t, w.controllers.in(secretsPath), fields{"apiVersion": "v1", "kind": "Secret", "data": fields{"userdata": "aGVsbG8="},
				"metadata": fields{"name": machine.Key.Name(), "ownerReferences": owners}})
			if _, err := w.Ensure(t.Context(), machine); verdict(err) != c.want {
				t.Errorf("got %v, want %s: %s", err, c.want, c.reason)
			}
			w.pass(t, time.Second) // the garbage collector
			if c.want != "conflict/foreign" {
				w.ready(t, machine)
			}
		})
	}
}
