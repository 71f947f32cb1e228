// Package provision is the function that creates real resources: a KafkaSource
// posts the events of virtualization-requests to it, a PingSource its sweeps,
// and other KafkaSources what went to the dead letters and, where that component
// is installed, hints that a machine changed.
//
// It decides nothing by itself: it receives a delivery, hands it to the use case
// and answers with the verdict. It is not called by clients.
package provision

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/eventing"
	"kbnt.dev/virtualization/infrastructure/httpsource"
)

// Ports are what the function needs of the world.
type Ports struct {
	Provision *application.Provision
	Sweep     *application.Sweep
	Relay     *application.Relay
	Metrics   http.Handler
	Ready     func(context.Context) error // nil error: deliveries can be handled
	Log       *slog.Logger
	Patience  time.Duration // longest time for one delivery: its work, and Reserve
	Unsent    time.Duration // how long an event may wait before any function sends it
	Close     func() error  // closes what the ports hold open; nil: nothing
}

// Reserve is what a delivery may take after its work, to save and to send what
// came of it. The patience of the KafkaSource is the sum of both and a cold start.
const Reserve = 4 * time.Second

// Function is an instanced function of func's HTTP middleware.
type Function struct {
	ports Ports
	mux   *http.ServeMux
}

// New makes the function.
func New(p Ports) *Function {
	f := &Function{ports: p, mux: http.NewServeMux()}
	f.mux.Handle("GET /metrics", p.Metrics)
	f.mux.Handle("/", httpsource.Handler(httpsource.Options{Function: "provision", Handle: f.deliver, Log: p.Log, Patience: p.Patience}))
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
	switch {
	case e.Type == eventing.TypeSweep:
		f.sweep(ctx)
		return nil
	case strings.HasPrefix(e.Type, eventing.TypeHintPrefix):
		f.hint(ctx, e)
		return nil
	case a.GaveUp != "":
		return f.ports.Provision.Poison.Undelivered(ctx, e, a)
	case e.Extensions[eventing.ExtReason] != "":
		return nil // a dead letter of a function, which has stored it
	}
	err := f.ports.Provision.Handle(ctx, e, a)
	f.ports.Relay.Tidy(ctx, f.ports.Unsent)
	return err
}

// sweep runs to its end. Trouble is logged and not redelivered: the next tick
// sweeps again. One that was cut off because the platform stops is no trouble.
func (f *Function) sweep(ctx context.Context) {
	found, err := f.ports.Sweep.Run(ctx)
	if err != nil && ctx.Err() == nil {
		f.ports.Log.WarnContext(ctx, "sweep met trouble", "error", err)
	}
	if found != (application.Findings{}) {
		f.ports.Log.InfoContext(ctx, "swept", "sent", found.Sent, "overdue", found.Overdue, "woken", found.Woken,
			"moot", found.Moot, "orphans", found.Orphans, "reaped", found.Reaped)
	}
}
