package intake

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"kbnt.dev/virtualization/domain"
)

// exchange is one HTTP request and its answer.
type exchange struct {
	f           *Function
	w           *response
	r           *http.Request
	ctx         context.Context // of r, bounded by Ports.Patience
	received    time.Time
	caller      domain.Caller
	correlation string // the client's, or made
	counted     bool   // a use case has counted the refusal
}

// Bounds of what net/http lets through.
const (
	maxHeader = 32 << 10 // bytes of all names and values
	maxTarget = 4 << 10  // bytes of path and query
)

// enter admits a request to the routes.
func (f *Function) enter(w http.ResponseWriter, r *http.Request) {
	busy := false
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	default:
		busy = r.URL.Path != "/metrics" // an overloaded function is still observed
	}
	var refused error
	switch {
	case busy:
		refused = tooBusy()
	case len(r.RequestURI) > maxTarget:
		refused = &refusal{status: http.StatusRequestURITooLong, code: "uri-too-long", detail: "the address is longer than 4 KiB"}
	case headerSize(r.Header) > maxHeader:
		refused = &refusal{status: http.StatusRequestHeaderFieldsTooLarge, code: "header-too-large", detail: "the header is larger than 32 KiB"}
	case !direct(r.URL.Path):
		refused = noSuchPath()
	default:
		f.mux.ServeHTTP(w, r)
		return
	}
	f.serve(w, r, route{open: true, serve: func(*Function, *exchange) error { return refused }})
}

func headerSize(h http.Header) (n int) {
	for name, values := range h {
		for _, v := range values {
			n += len(name) + len(v)
		}
	}
	return n
}

// serve runs one operation. Whatever goes wrong in it, the client hears a
// problem, once.
func (f *Function) serve(w http.ResponseWriter, r *http.Request, to route) {
	x := &exchange{f: f, w: &response{ResponseWriter: w}, r: r, received: f.Clock()}
	if x.correlation = r.Header.Get("X-Correlation-Id"); !isCorrelation(x.correlation) {
		x.correlation = f.NewID()
	}
	head := x.w.Header()
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Cache-Control", "no-store")
	if f.Version != "" {
		head.Set("Server", "kbnt-intake/"+f.Version)
	}
	var cancel context.CancelFunc
	base := r.Context()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		base = context.WithoutCancel(base) // what is begun is finished, though the client may have gone
	}
	x.ctx, cancel = context.WithTimeout(base, f.Patience)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			x.panicked(p)
		}
	}()
	if err := x.run(to); err != nil {
		x.refuse(err)
	}
}

func (x *exchange) run(to route) error {
	if !to.open {
		caller, err := x.f.Identify(x.r)
		if err != nil {
			return err
		}
		x.caller = caller
		if !slices.ContainsFunc([]string{domain.RoleUser, domain.RoleOperator, domain.RoleViewer}, x.has) {
			return &domain.Error{Op: "identify", Kind: domain.Forbidden, Code: "role-missing", Detail: "this needs the role user, operator or viewer"}
		}
	}
	return to.serve(x.f, x)
}

func (x *exchange) has(role string) bool { return slices.Contains(x.caller.Roles, role) }

func (x *exchange) panicked(p any) {
	if p == http.ErrAbortHandler {
		panic(p)
	}
	x.f.Log.ErrorContext(x.ctx, "panic", "panic", p, "stack", string(debug.Stack()),
		"path", clip(x.r.URL.Path), "tenant", x.caller.Tenant, "correlationId", x.correlation)
	if x.w.begun {
		panic(http.ErrAbortHandler) // an answer cut off must not look like a whole one
	}
	x.refuse(&domain.Error{Op: "serve", Kind: domain.Internal, Code: "panic"})
}

// id is the last part of the path that names something. What cannot be a name
// is not asked for: it is nowhere.
func (x *exchange) id(what string) (string, error) {
	if id := x.r.PathValue("id"); usableID(id) {
		return id, nil
	}
	return "", notFound("there is no such " + what)
}

// write sends a JSON answer.
func (x *exchange) write(status int, body any) error {
	return x.send(status, "application/json", encode(body))
}

func (x *exchange) send(status int, contentType string, body []byte) error {
	x.w.Header().Set("Content-Type", contentType)
	x.w.Header().Set("X-Correlation-Id", x.correlation)
	x.w.WriteHeader(status)
	_, _ = x.w.Write(body) // the client has gone: nobody is left to be told
	return nil
}

// encode renders one of our own views.
func encode(body any) []byte {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(body); err != nil {
		panic(err) // views hold plain data and details that were JSON when stored
	}
	return []byte(b.String())
}

// lift moves the deadlines of the connection, which the middleware of func sets
// to 30 s. Servers without deadlines have none to move.
func (x *exchange) lift(until time.Time) {
	c := http.NewResponseController(x.w)
	_ = c.SetWriteDeadline(until)
	_ = c.SetReadDeadline(until) // or the read of the next request ends this one's context
}

// response remembers whether an answer has begun.
type response struct {
	http.ResponseWriter
	begun bool
}

func (w *response) WriteHeader(status int) {
	w.begun = true
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(b []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// isCorrelation reports whether s is fit to be kept as a correlation id.
func isCorrelation(s string) bool {
	return s != "" && len(s) <= 128 && !strings.ContainsFunc(s, func(r rune) bool {
		return r == unicode.ReplacementChar || !unicode.IsGraphic(r) || unicode.IsSpace(r)
	})
}

var traceParent = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)
})

// isTrace reports whether s is a traceparent (W3C Trace Context, section 3.2).
func isTrace(s string) bool {
	return traceParent().MatchString(s) && !strings.HasPrefix(s, "ff") &&
		strings.Trim(s[3:35], "0") != "" && strings.Trim(s[36:52], "0") != ""
}
