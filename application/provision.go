package application

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"kbnt.dev/virtualization/domain"
)

// Provision drives the hypervisor to what a request asks for, or back to where
// it came from, and decides the outcome when that was observed. An event is
// only a wake-up: what is to be done is read from the store, by every delivery
// anew. Lost, late and repeated events cost time and nothing else.
type Provision struct {
	Store      Store
	Records    Records
	Agenda     Agenda
	Hypervisor Hypervisor
	Codec      Codec
	Relay      *Relay
	Meter      Meter
	Clock      Clock
	Log        *slog.Logger
	Holder     func() string // a new name for each delivery
	Poison     *Poison

	Function    string        // "provision"
	Region      string        // label of metrics
	Budget      time.Duration // of the calls of one delivery
	Landing     time.Duration // how long a call may take effect after its caller gave up
	Patience    time.Duration // how long one delivery waits for readiness; below Budget
	Poll        time.Duration // between two looks while it waits
	CoolDown    time.Duration // how long a released address stays unused
	MaxAttempts int           // deliveries that are trouble before the request fails
}

// Handle takes one delivery to its end. It returns nil when the event needs no
// redelivery: its request is decided, or the event was buried as poison.
// Unavailable with the codes "busy" and "not-ready" ask for redelivery and are
// no trouble; any other error is.
func (p *Provision) Handle(ctx context.Context, e Event, arrival Arrival) (err error) {
	defer measure(p.Meter, p.Clock, &err)()
	opened := p.Clock()
	n, err := p.Codec.Open(ctx, e)
	n.Took = p.Clock().Sub(opened)
	if err != nil {
		return p.Poison.bury(ctx, e, err)
	}
	err = p.Wake(ctx, n, &arrival)
	if err != nil && domain.KindOf(err) == domain.NotFound {
		return p.Poison.unknown(ctx, e, err)
	}
	return err
}

// Wake looks at a request and does what is to be done about it now. arrival is
// nil when no event of ours woke it: such a hint begins no request, and counts
// no attempt.
func (p *Provision) Wake(ctx context.Context, n Notice, arrival *Arrival) error {
	hint := arrival == nil
	for {
		h, result, err := p.acquire(ctx, n.MessageID, arrival, n, hint)
		if err != nil {
			return err
		}
		if h == nil {
			return p.send(ctx, result)
		}
		arrival = nil // it is noted; what follows is the same delivery
		err = p.drive(ctx, h)
		switch {
		case err == nil:
			return p.decide(ctx, h)
		case errors.Is(err, errLost): // look again: the goal has turned, or another is at work
			if err := p.release(ctx, h, err); err != nil {
				return err
			}
		case !p.final(h, err):
			return errors.Join(err, p.release(ctx, h, err))
		default: // undo at once what the hypervisor refused for good
			if err := p.fail(ctx, h, err); err != nil && !errors.Is(err, errLost) {
				return errors.Join(err, p.release(ctx, h, err))
			} else if err != nil {
				if err := p.release(ctx, h, err); err != nil {
					return err
				}
			}
		}
	}
}

// final reports whether err ends the move to the target. An undo has no final
// error: it is tried until it is observed.
func (p *Provision) final(h *hold, err error) bool {
	return h.request.Goal == domain.ToTarget && !domain.KindOf(err).Retriable() && domain.KindOf(err) != domain.NotFound
}

// fail turns the goal because the hypervisor refused for good. A deletion that
// was refused cannot be undone: it stays, an operator is told by a dead letter,
// and the sweep tries again.
//
// nil: the goal has turned. Any error leaves the lease to the caller.
func (p *Provision) fail(ctx context.Context, h *hold, cause error) error {
	turned := false
	reason := domain.ReasonRefused + ":" + domain.CodeOf(cause)
	p.Log.WarnContext(ctx, "refused by the hypervisor", "requestId", h.request.ID, "reason", reason, "error", cause)
	err := p.keep(ctx, h, Scope{}, func(w *Work) error {
		w.Resource.Release(h.epoch, w.Now)
		turned = turn(w, domain.Fault, reason)
		if !turned || domain.KindOf(cause) == domain.Forbidden { // our permissions, not the client's fault: tell an operator
			bury(w, p.Function, domain.ReasonRefused, cause.Error(), p.Codec)
		}
		if turned {
			failed := domain.NewStep(domain.ResourceProvisioned, w.Now, w.Now.Sub(h.request.BegunAt), map[string]any{"reason": reason, "detail": detailOf(cause)})
			failed.Status = domain.StepFailed
			w.Note(failed)
		}
		return nil
	})
	if err == nil && !turned {
		err = fmt.Errorf("a deletion cannot be undone and is tried again: %w", cause)
	}
	return err
}

// detailOf is what a client may read of an error.
func detailOf(err error) string {
	if e, ok := errors.AsType[*domain.Error](err); ok && e.Detail != "" {
		return e.Detail
	}
	return domain.CodeOf(err)
}

// send sends a stored event, if there is one. It reports trouble, so that the
// delivery that caused it comes again.
func (p *Provision) send(ctx context.Context, o *Outgoing) error {
	if o == nil {
		return nil
	}
	return p.Relay.Send(ctx, *o, time.Time{})
}
