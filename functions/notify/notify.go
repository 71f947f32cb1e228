// Package notify is the function that tells the world how a request ended: a
// KafkaSource posts the events of virtualization-results to it, and it posts the
// public event to the Broker of virtualization-events.
//
// It decides nothing: what it announces was decided by provision. It is not
// called by clients.
package notify

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/infrastructure/httpsource"
)

// Ports are what the function needs of the world.
type Ports struct {
	Notify   *application.Notify
	Relay    *application.Relay
	Metrics  http.Handler
	Ready    func(context.Context) error // nil error: deliveries can be handled
	Log      *slog.Logger
	Patience time.Duration // longest work on one delivery
	Unsent   time.Duration // how long an event may wait before any function sends it
	Close    func() error  // closes what the ports hold open; nil: nothing
}

// Function is an instanced function of func's HTTP middleware.
type Function struct {
	ports Ports
	mux   *http.ServeMux
}

// New makes the function.
func New(p Ports) *Function {
	f := &Function{ports: p, mux: http.NewServeMux()}
	f.mux.Handle("GET /metrics", p.Metrics)
	f.mux.Handle("/", httpsource.Handler(httpsource.Options{Function: "notify", Handle: f.deliver, Log: p.Log, Patience: p.Patience}))
	return f
}

// Handle serves deliveries on POST / and metrics on GET /metrics.
func (f *Function) Handle(w http.ResponseWriter, r *http.Request) { f.mux.ServeHTTP(w, r) }

// Ready reports whether deliveries can be handled.
func (f *Function) Ready(ctx context.Context) (bool, error) {
	err := f.ports.Ready(ctx)
	return err == nil, err
}

// Alive reports true: nothing in here can hang without the process.
func (f *Function) Alive(context.Context) (bool, error) { return true, nil }

// Stop closes what the function holds open, and waits for that. func's
// middleware calls it when the last delivery was answered.
func (f *Function) Stop(context.Context) error {
	if f.ports.Close == nil {
		return nil
	}
	return f.ports.Close()
}

func (f *Function) deliver(ctx context.Context, e application.Event, a application.Arrival) error {
	err := f.ports.Notify.Handle(ctx, e, a)
	f.ports.Relay.Tidy(ctx, f.ports.Unsent)
	return err
}
