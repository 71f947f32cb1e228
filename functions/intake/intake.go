// Package intake is the entry of the product: clients post requests here, as
// JSON or as CloudEvents, and read and steer what became of them. It turns HTTP
// into calls of the use cases and their answers into HTTP, by the contract of
// openapi.yaml, which tests hold against the handlers.
//
// It is not where anything is decided. It has no rule about machines, volumes or
// networks, it opens no connection but those it is given, and it keeps nothing
// from one request to the next.
//
// # Guarantees
//
// 202 means durable. Everything that comes from outside is bounded: the length
// of address, header and body, the depth of a document, the time of an answer,
// the number of requests at once. A refusal is always a problem document (RFC
// 9457), one line in the log and, for a posted request, one count; what only the
// operator may know stays in the log. A panic is answered by 500, and the next
// request is served.
package intake

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// Ports is what the function works with. Those above the empty line are required.
type Ports struct {
	Submit    *application.Submit
	Track     *application.Track
	Cancel    *application.Cancel
	Resume    *application.Resume
	Records   application.Records
	Graveyard application.Graveyard
	Meter     application.Meter
	Metrics   http.Handler                               // serves /metrics, to anybody
	Identify  func(*http.Request) (domain.Caller, error) // Unauthenticated: nobody knows who it is; Forbidden: it has no place here; Unavailable: that cannot be found out just now
	Ready     func(context.Context) error                // nil: requests can be served

	Leaving  <-chan struct{}   // closed when the instance is about to end: event streams end, their clients come back to another one; may be nil
	Close    func() error      // closes what the ports hold open; nil: nothing
	Log      *slog.Logger      // slog.Default when nil
	Version  string            // of the software, shown in the header Server; may be empty
	Clock    application.Clock // time.Now when nil
	NewID    func() string     // ids of requests and correlations; UUIDv7 when nil
	NewTrace func() string     // W3C traceparent values; random when nil

	Concurrency int           // requests served at once, default 512; more hear 503
	Streams     int           // of them, those that wait or follow, default 256
	Patience    time.Duration // longest time of one answer, default 25 s: the server allows 30 s
	Heartbeat   time.Duration // between comments in a silent event stream, default 15 s
	Stream      time.Duration // longest event stream, default 15 min; clients come back by themselves
}

// Function serves the HTTP interface. It is safe for concurrent use, and has
// nothing to start.
type Function struct {
	Ports
	mux     *http.ServeMux
	slots   chan struct{}
	streams chan struct{}
}

// New returns a function that works with these ports.
func New(p Ports) *Function {
	p.Log = cmp.Or(p.Log, slog.Default())
	p.Concurrency = cmp.Or(p.Concurrency, 512)
	p.Streams = cmp.Or(p.Streams, 256)
	p.Patience = cmp.Or(p.Patience, 25*time.Second)
	p.Heartbeat = cmp.Or(p.Heartbeat, 15*time.Second)
	p.Stream = cmp.Or(p.Stream, 15*time.Minute)
	if p.Clock == nil {
		p.Clock = time.Now
	}
	if p.NewID == nil {
		p.NewID = newID
	}
	if p.NewTrace == nil {
		p.NewTrace = newTrace
	}
	f := &Function{Ports: p, slots: make(chan struct{}, p.Concurrency), streams: make(chan struct{}, p.Streams)}
	f.mux = f.routes()
	return f
}

// Handle serves one HTTP request. The middleware of func calls it for every path
// but its own health endpoints.
func (f *Function) Handle(w http.ResponseWriter, r *http.Request) { f.enter(w, r) }

// Ready reports whether requests can be served; the error says what is missing.
func (f *Function) Ready(ctx context.Context) (bool, error) {
	if err := f.Ports.Ready(ctx); err != nil {
		return false, err
	}
	return true, nil
}

// Alive reports true: nothing in here can hang without the process.
func (f *Function) Alive(context.Context) (bool, error) { return true, nil }

// Stop closes what the function holds open, and waits for that. func's
// middleware calls it when the last request was answered.
func (f *Function) Stop(context.Context) error {
	if f.Close == nil {
		return nil
	}
	return f.Close()
}

// newID returns a UUIDv7 (RFC 9562): ids in the order of time keep indexes small.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// newTrace returns the traceparent of a new, sampled trace.
func newTrace() string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return "00-" + hex.EncodeToString(b[:16]) + "-" + hex.EncodeToString(b[16:]) + "-01"
}
