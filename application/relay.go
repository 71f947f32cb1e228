package application

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"kbnt.dev/virtualization/domain"
)

// Relay sends stored events and notes that they were taken: transaction S. It
// runs after the commit that stored an event, and from the sweep for those that
// nobody sent. No lock is held while it waits for a sink.
type Relay struct {
	Store  Store
	Agenda Agenda
	Sender Sender
	Meter  Meter
	Clock  Clock

	tidied atomic.Int64 // when Tidy last looked, in nanoseconds of Clock
}

// Send posts an event that waits to be sent and notes its acknowledgement, with
// what that means for its request: steps 4 to 7 of a request's event, steps 15
// to 17 and the final status of a terminal one. received is when the client
// posted, for the response time; zero when nobody waits for an answer.
//
// On any error the event stays armed, and is sent again by the next sweep.
func (r *Relay) Send(ctx context.Context, o Outgoing, received time.Time) error {
	_, err := r.send(ctx, o, received)
	return err
}

// send also returns the response time that the request's history has.
func (r *Relay) send(ctx context.Context, o Outgoing, received time.Time) (answered time.Duration, err error) {
	started := r.Clock()
	if err := r.Sender.Send(ctx, o.Event); err != nil {
		return 0, err
	}
	took := r.Clock().Sub(started)
	if o.MessageID == "" {
		return 0, r.Agenda.Acknowledge(ctx, o.ID, o.ArmedAt)
	}
	var t tally
	err = r.Store.Change(ctx, Scope{MessageID: o.MessageID}, func(w *Work) error {
		t = tally{}
		first := w.Outbox[o.ID].Sends == 0
		w.Acknowledge(o.ID, o.ArmedAt)
		if first {
			t.add(MessagesSent, 1, o.Topic)
			t.add(TopicMessages, 1, o.Topic)
			t.add(ProcessingDuration, took.Seconds(), "publish")
		}
		switch o.ID {
		case domain.RequestedID(o.MessageID):
			if first {
				t.add(RequestsTotal, 1, string(w.Request.Type))
				t.add(BusinessOperations, 1, string(w.Request.Type), "accepted")
			}
			if w.Request.Phase == domain.PhaseValidated {
				w.Request.Phase = domain.PhasePublished
			}
			notePublished(w, o.Event, took, t.series())
			noteAccepted(w, r.since(received))
		case domain.TerminalID(o.MessageID):
			announce(w, o.Event, took, &t)
		}
		answered = w.Request.ResponseTime
		return nil
	})
	if err != nil {
		return 0, err
	}
	t.count(r.Meter)
	return answered, nil
}

// Later notes that a request was accepted although its event is not known to be
// in the topic: the answer is 202 all the same, because the event is stored. It
// returns the response time that the request's history has.
func (r *Relay) Later(ctx context.Context, messageID string, received time.Time) (answered time.Duration, err error) {
	err = r.Store.Change(ctx, Scope{MessageID: messageID}, func(w *Work) error {
		noteAccepted(w, r.since(received))
		answered = w.Request.ResponseTime
		return nil
	})
	return answered, err
}

func (r *Relay) since(received time.Time) time.Duration {
	if received.IsZero() {
		return 0
	}
	return r.Clock().Sub(received).Round(time.Microsecond) // as exactly as stores keep it
}

// notePublished writes steps 4 to 6: the event is in its topic.
func notePublished(w *Work, e Event, took time.Duration, series []string) {
	w.Note(
		domain.NewStep(domain.MessagePublished, w.Now, took, map[string]any{
			"topic": e.Topic, "key": e.Extensions["partitionkey"], "schema": e.DataSchema, "bytes": len(e.Data), "eventId": e.ID}),
		domain.NewStep(domain.RequestMetricsRecorded, w.Now, 0, map[string]any{"series": series}),
		domain.NewStep(domain.PublicationConfirmed, w.Now, 0, map[string]any{
			"acknowledgedAt": w.Now.Format(time.RFC3339Nano), "checksum": e.Extensions["checksum"]}),
	)
}

// noteAccepted writes step 7: the client has its 202, or had its chance.
func noteAccepted(w *Work, took time.Duration) {
	if _, done := w.Step(domain.RequestAccepted); done {
		return
	}
	w.Request.ResponseTime = took
	w.Note(domain.NewStep(domain.RequestAccepted, w.Now, took, map[string]any{
		"status": 202, "responseTime": responseTime(took), "queuePosition": w.Request.QueuePosition}))
}

func responseTime(took time.Duration) string {
	if took == 0 {
		return ""
	}
	return took.Round(time.Microsecond).String()
}

// announce writes what the acknowledged terminal event means: transaction N3.
func announce(w *Work, e Event, took time.Duration, t *tally) {
	q := w.Request
	if !q.Finish(w.Now) {
		return
	}
	endToEnd := w.Now.Sub(q.AcceptedAt)
	status := statusOf(q.Decided)
	t.add(MessagesProcessed, 1, status)
	t.add(EndToEndLatency, endToEnd.Seconds())
	t.add(BusinessOperations, 1, string(q.Type), status)
	t.add(EstimateError, max(q.Estimate-q.DecidedAt.Sub(q.AcceptedAt), q.DecidedAt.Sub(q.AcceptedAt)-q.Estimate).Seconds(), string(q.Type))
	if o, ok := w.Outbox[domain.RequestedID(q.MessageID)]; ok { // nobody heard that the first event was taken
		notePublished(w, o.Event, 0, nil)
		noteAccepted(w, 0)
	}
	w.Note(
		domain.NewStep(domain.EventPublished, w.Now, took, map[string]any{
			"eventId": e.ID, "type": e.Type, "topic": e.Topic, "key": e.Extensions["partitionkey"], "bytes": len(e.Data),
			"checksum": e.Extensions["checksum"], "schema": e.DataSchema}),
		domain.NewStep(domain.CompletionMetricsRecorded, w.Now, 0, map[string]any{
			"series": t.series(), "endToEndMs": endToEnd.Milliseconds(), "success": q.Decided == domain.Completed, "withinDeadline": !w.Now.After(q.DeadlineAt)}),
		domain.NewStep(domain.EventAcknowledged, w.Now, 0, map[string]any{"acknowledgedAt": w.Now.Format(time.RFC3339Nano)}),
	)
}

// Flush sends the events that were armed longer ago than the given time, oldest
// first, and says how many were taken. A topic whose sink does not answer is left
// alone for the rest, an event that its sink refuses holds up no other, and the
// errors are joined.
func (r *Relay) Flush(ctx context.Context, longer time.Duration) (sent int, err error) {
	away := map[string]bool{}
	for {
		batch, e := r.Agenda.Armed(ctx, longer, flushBatch)
		if e != nil {
			return sent, errors.Join(err, e)
		}
		before := sent
		for _, o := range batch {
			if away[o.Topic] {
				continue
			}
			if e := r.Send(ctx, o, time.Time{}); e != nil {
				err = errors.Join(err, e)
				away[o.Topic] = domain.KindOf(e) == domain.Unavailable
				continue
			}
			sent++
		}
		if len(batch) < flushBatch || sent == before || ctx.Err() != nil {
			return sent, err
		}
	}
}

// sendStored sends one stored event that waits to be sent, if it is among the
// oldest that do; the sweep sends it otherwise.
func (r *Relay) sendStored(ctx context.Context, id string) error {
	batch, err := r.Agenda.Armed(ctx, 0, flushBatch)
	if err != nil {
		return err
	}
	for _, o := range batch {
		if o.ID == id {
			return r.Send(ctx, o, time.Time{})
		}
	}
	return nil
}

const flushBatch = 500

// Tidy is the part of the sweep that every function does once it is awake: it
// sends what was left unsent for longer than the given time, and looks no more
// often than that. What it cannot send now, it leaves.
func (r *Relay) Tidy(ctx context.Context, longer time.Duration) {
	last, now := r.tidied.Load(), r.Clock().UnixNano()
	if now-last < int64(longer) || !r.tidied.CompareAndSwap(last, now) {
		return
	}
	within, cancel := context.WithTimeout(ctx, tidyFor)
	defer cancel()
	_, _ = r.Flush(within, longer)
}

// tidyFor bounds what a delivery waits for others' events.
const tidyFor = 3 * time.Second

// statusOf is the label of an outcome in metrics.
func statusOf(o domain.Outcome) string {
	switch o {
	case domain.Completed:
		return "success"
	case domain.Cancelled:
		return "cancelled"
	}
	return "failed"
}
