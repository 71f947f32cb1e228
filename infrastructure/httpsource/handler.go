// Package httpsource receives deliveries of events over HTTP: what provision
// and notify share. It is the other side of Knative's KafkaSource, PingSource
// and Trigger.
//
// It does not verify, count or store: it hands an event to one function and
// answers with that function's verdict.
//
// # Configuration
//
// The largest body, and how long one delivery may be worked on.
//
// # Guarantees
//
// Only POST / with a CloudEvent, binary or structured, reaches the function. The
// answer is a status and an empty body, because a Trigger takes a 2xx body for
// another event and a KafkaSource discards it. What Knative added on the way
// (partition and offset, marks of earlier failures) is taken off, so the event
// is the one that was sent. A panic is trouble, never a lost connection. No
// goroutine is started.
//
// # Errors
//
// 200 acknowledge, 409 busy, 429 not ready, 503 trouble: the last three are
// retried by every Knative source. 400 for what is no CloudEvent, 413 too
// large, 415 no encoding of CloudEvents, 404 and 405 another path or method:
// those but for 404 go straight to the dead letter sink.
//
// # Limits
//
// Batches are not accepted; no Knative source sends them.
package httpsource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/eventing"
)

// DefaultMaxBody is the largest record a Kafka broker takes unless told otherwise.
const DefaultMaxBody = 1 << 20

// grace is what is left after Patience to write the answer.
const grace = 10 * time.Second

// Options of a handler.
type Options struct {
	// Function names who receives, for [application.Arrival]: "provision".
	Function string

	// Handle does the work. Its context ends with the request, and after
	// Patience. Its error becomes the verdict ([application.VerdictOf]). Required.
	Handle func(context.Context, application.Event, application.Arrival) error

	// Log gets a line for each delivery, with its verdict: loud for trouble, quiet
	// for waiting. Nil: slog.Default.
	Log *slog.Logger

	// MaxBody in bytes. 0: DefaultMaxBody.
	MaxBody int64

	// Patience is the longest one delivery may take. The server's own limit on
	// writing the answer is moved behind it for this request. 0: whatever the
	// server allows (30 s behind func's middleware).
	Patience time.Duration
}

type handler struct{ Options }

// Handler receives events for one function. It is safe for concurrent use.
func Handler(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.MaxBody <= 0 {
		o.MaxBody = DefaultMaxBody
	}
	return handler{o}
}

// ServeHTTP implements [http.Handler].
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer h.recover(w, r)
	switch {
	case r.URL.Path != "/":
		w.WriteHeader(http.StatusNotFound)
		return
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	ctx := r.Context()
	if h.Patience > 0 {
		h.extend(w)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, h.Patience)
		defer cancel()
	}
	event, arrival, status, err := h.read(w, r)
	if err != nil {
		h.Log.WarnContext(ctx, "delivery refused", "status", status, "error", err)
		w.WriteHeader(status)
		return
	}
	err = h.Handle(ctx, event, arrival)
	verdict := application.VerdictOf(err)
	h.tell(ctx, event, arrival, verdict, err)
	w.WriteHeader(statusOf(verdict))
}

// tell logs a delivery. The error of a use case is logged here and nowhere else.
func (h handler) tell(ctx context.Context, e application.Event, a application.Arrival, v application.Verdict, err error) {
	level := slog.LevelDebug
	switch v {
	case application.Trouble:
		level = slog.LevelWarn
	case application.Acknowledge:
		level = slog.LevelInfo
	}
	attributes := []slog.Attr{slog.String("function", h.Function), slog.String("verdict", v.String()), slog.String("type", e.Type), slog.String("eventId", e.ID)}
	if id := e.Extensions[eventing.ExtRequestID]; id != "" {
		attributes = append(attributes, slog.String("requestId", id), slog.String("correlationId", e.Extensions[eventing.ExtCorrelationID]),
			slog.String("tenant", e.Extensions[eventing.ExtTenantID]), slog.String("traceId", application.TraceID(e.Extensions[eventing.ExtTraceParent])),
			slog.Int("partition", a.Partition), slog.Int64("offset", a.Offset))
	} else if v == application.Acknowledge {
		level = slog.LevelDebug // a tick or a hint, of which there are many
	}
	if err != nil {
		attributes = append(attributes, slog.Any("error", err))
	}
	h.Log.LogAttrs(ctx, level, "delivery", attributes...)
}

// read takes the event out of the request; with an error comes the status to answer.
func (h handler) read(w http.ResponseWriter, r *http.Request) (application.Event, application.Arrival, int, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.MaxBody))
	if err != nil {
		status := http.StatusBadRequest
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			status = http.StatusRequestEntityTooLarge
		}
		return application.Event{}, application.Arrival{}, status, fmt.Errorf("read the body: %w", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	event, arrival, err := decode(r)
	switch {
	case errors.Is(err, errEncoding):
		return application.Event{}, application.Arrival{}, http.StatusUnsupportedMediaType, err
	case err != nil:
		return application.Event{}, application.Arrival{}, http.StatusBadRequest, err
	}
	arrival.Function = h.Function
	return event, arrival, http.StatusOK, nil
}

// extend moves the server's deadline for the answer behind Patience. The one for
// reading stays: the request must come in time, and once it was read the server
// lifts that limit by itself. A writer without deadlines needs none moved.
func (h handler) extend(w http.ResponseWriter) {
	err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(h.Patience + grace))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		h.Log.Warn("the server's time limit stays", "error", err)
	}
}

// recover answers a panic with trouble. ErrAbortHandler is the server's own.
func (h handler) recover(w http.ResponseWriter, r *http.Request) {
	switch p := recover(); p {
	case nil:
	case http.ErrAbortHandler:
		panic(p)
	default:
		h.Log.ErrorContext(r.Context(), "panic while handling a delivery",
			"panic", fmt.Sprint(p), "event", fmt.Sprintf("%.80s", r.Header.Get("Ce-Id")), "stack", string(debug.Stack()))
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// statusOf is the one mapping from verdict to status.
func statusOf(v application.Verdict) int {
	switch v {
	case application.Acknowledge:
		return http.StatusOK
	case application.Busy:
		return http.StatusConflict
	case application.NotReady:
		return http.StatusTooManyRequests
	}
	return http.StatusServiceUnavailable
}
