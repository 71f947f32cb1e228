package application

import (
	"context"
	"fmt"
	"time"

	"kbnt.dev/virtualization/domain"
)

// hold is what one delivery works on, and the fence of all it writes.
type hold struct {
	request  *domain.Request
	resource *domain.Resource
	steps    []domain.Step
	epoch    int64     // of the lease
	until    time.Time // of this process: when its budget ends
	hint     bool      // no event of ours brought this delivery
	driver   string
	seen     domain.Observation // of the resource's main thing, last
}

// acquire is transaction P1: it notes the arrival, turns the goal of a request
// whose time or attempts are used up, counts the attempt, and takes the lease.
//
// A nil hold without an error means that the request is decided, or that a hint
// came before its event; result is then the event about the decision, if that
// still waits to be sent. Unavailable with the code "busy": somebody holds the
// lease.
func (p *Provision) acquire(ctx context.Context, messageID string, arrival *Arrival, n Notice, hint bool) (h *hold, result *Outgoing, err error) {
	asked := p.Clock()
	busy := false
	var t tally
	err = p.Store.Change(ctx, Scope{MessageID: messageID, Arrival: arrival}, func(w *Work) error {
		h, result, busy, t = nil, nil, false, tally{}
		if arrival != nil {
			noteArrival(w, *arrival, n, &t)
		}
		q, r := w.Request, w.Resource
		if q.Decided != domain.Undecided {
			if o, waits := w.Pending(domain.ResultID(messageID)); waits {
				result = &o
			}
			return nil
		}
		if hint && !q.Begun {
			return nil // its event is on the way, and steps 8 to 10 are that event's
		}
		if busy = r.Lease.Until.After(w.Now); busy {
			return nil // what was noted is kept
		}
		p.giveUp(w)
		if q.Goal == domain.ToTarget {
			q.Begun = true
			q.Attempts++
			q.Phase = domain.PhaseProvisioning
			if q.BegunAt.IsZero() {
				q.BegunAt = w.Now
			}
		}
		q.TouchedAt = w.Now
		epoch, _ := r.Acquire(p.Holder(), w.Now, w.Now.Add(p.Budget+p.Landing))
		h = &hold{request: q.Clone(), resource: r.Clone(), steps: append([]domain.Step(nil), w.Steps...), epoch: epoch, until: asked.Add(p.Budget), hint: hint}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	t.count(p.Meter)
	if busy {
		return nil, nil, &domain.Error{Op: "provision", Kind: domain.Unavailable, Code: CodeBusy, Detail: "another delivery is at work on this resource"}
	}
	return h, result, nil
}

// giveUp turns the goal of a request that was tried as often, or for as long,
// as is allowed.
func (p *Provision) giveUp(w *Work) {
	q := w.Request
	switch {
	case q.Overdue(w.Now) && turn(w, domain.Fault, domain.ReasonDeadline):
	case q.Goal == domain.ToTarget && q.Attempts >= p.MaxAttempts:
		bury(w, p.Function, domain.ReasonAttemptsExhausted, fmt.Sprintf("%d attempts were trouble", q.Attempts), p.Codec)
		turn(w, domain.Fault, domain.ReasonAttemptsExhausted)
	}
}

// turn is transaction P4: the goal becomes where the request came from, and the
// event that wakes provision is sent again. It reports false when it is too late.
func turn(w *Work, verdict domain.Outcome, reason string) bool {
	if !w.Request.Turn(verdict, reason, w.Now) {
		return false
	}
	w.Arm(domain.RequestedID(w.Request.MessageID))
	return true
}

// bury stores a dead letter about a request, with the event that wakes provision
// as its content, and has it sent. The same one twice is one.
func bury(w *Work, function, reason, detail string, codec Codec) {
	o, ok := w.Outbox[domain.RequestedID(w.Request.MessageID)]
	if !ok {
		return
	}
	id := domain.DeadLetterID(o.ID, function)
	w.Bury(DeadLetter{ID: id, Function: function, Reason: reason, Detail: detail, Event: o.Event})
	dead := codec.Buried(o.Event, reason)
	dead.ID, dead.WireID = id, o.ID
	w.Send(dead)
}

// keep runs a change under the fence of the lease: it does nothing, and reports
// errLost, when another delivery has taken the lease, or the goal has turned or
// the outcome was written since.
func (p *Provision) keep(ctx context.Context, h *hold, scope Scope, change func(*Work) error) error {
	scope.MessageID = h.request.MessageID
	return p.Store.Change(ctx, scope, func(w *Work) error {
		if !w.Resource.Holds(h.epoch) || w.Request.Goal != h.request.Goal || w.Request.Decided != domain.Undecided {
			return errLost
		}
		return change(w)
	})
}

// errLost says that what a delivery was doing is no longer wanted, or another's
// to do. The next delivery looks again.
var errLost = &domain.Error{Op: "provision", Kind: domain.Unavailable, Code: CodeBusy, Detail: "the goal or the lease changed meanwhile"}

// release is transaction P3: it frees the lease, unless a call may still take
// effect, and takes an attempt back that was only waiting, or was a hint's.
func (p *Provision) release(ctx context.Context, h *hold, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.Landing)
	defer cancel()
	return p.Store.Change(ctx, Scope{MessageID: h.request.MessageID}, func(w *Work) error {
		if !w.Resource.Holds(h.epoch) {
			return nil // another has it; there is nothing of ours to free
		}
		forward := w.Request.Goal == domain.ToTarget && h.request.Goal == domain.ToTarget
		if forward && (waits(cause) || h.hint) {
			w.Request.Attempts--
		}
		if waits(cause) {
			w.Request.NotReady++
			if forward && codeIs(cause, CodeNotReady) {
				w.Request.Phase = domain.PhaseVerifying
			}
		}
		if answered(cause) {
			w.Resource.Release(h.epoch, w.Now)
		}
		w.Request.TouchedAt = w.Now
		return nil
	})
}
