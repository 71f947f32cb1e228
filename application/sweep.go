package application

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"kbnt.dev/virtualization/domain"
)

// Sweep ends what no event woke: transaction W. It wakes and never provisions,
// so a request that it saved shows all its steps like any other. Sweeps of
// several instances may overlap.
type Sweep struct {
	Store      Store
	Agenda     Agenda
	Graveyard  Graveyard
	Hypervisor Hypervisor
	Relay      *Relay
	Clock      Clock
	Log        *slog.Logger

	Unsent    time.Duration // how long an event may wait before the sweep sends it
	Untouched time.Duration // how long an unfinished request may be quiet
	Grace     time.Duration // how old a thing of no live resource must be to be an orphan
	Reap      bool          // delete orphans whose age is known; else they are counted and logged
	Orphans   func(n int)   // told how many there are
}

// Findings is what one sweep did.
type Findings struct {
	Sent, Overdue, Woken, Moot, Orphans, Reaped int
}

// Batch is how many of each finding one sweep settles.
const Batch = 200

// Run sweeps once. Trouble in one part does not stop the others.
func (s *Sweep) Run(ctx context.Context) (f Findings, err error) {
	note := func(e error) { err = errors.Join(err, e) }
	var e error
	away := map[string]bool{} // topics whose sink did not answer: one of them must not use up the time of the others
	f.Overdue, e = s.overdue(ctx, away)
	note(e)
	f.Woken, e = s.stalled(ctx, away)
	note(e)
	f.Sent, e = s.Relay.Flush(ctx, s.Unsent)
	note(e)
	f.Moot, e = s.Graveyard.Moot(ctx)
	note(e)
	f.Orphans, f.Reaped, e = s.orphans(ctx)
	note(e)
	return f, err
}

func (s *Sweep) overdue(ctx context.Context, away map[string]bool) (n int, err error) {
	ids, err := s.Agenda.Overdue(ctx, Batch)
	for _, id := range ids {
		e := s.wake(ctx, id, func(w *Work) string {
			if !w.Request.Overdue(w.Now) || !turn(w, domain.Fault, domain.ReasonDeadline) {
				return ""
			}
			return domain.RequestedID(id)
		}, away, &n)
		err = errors.Join(err, e)
	}
	return n, err
}

func (s *Sweep) stalled(ctx context.Context, away map[string]bool) (n int, err error) {
	ids, err := s.Agenda.Stalled(ctx, s.Untouched, Batch)
	for _, id := range ids {
		e := s.wake(ctx, id, func(w *Work) string {
			event := domain.RequestedID(id)
			switch {
			case !w.Request.Unfinished() || w.Now.Sub(w.Request.TouchedAt) < s.Untouched || w.Resource.Lease.Until.After(w.Now):
				return "" // another sweep was faster, or somebody is at work
			case w.Request.Decided != domain.Undecided:
				event = domain.ResultID(id)
			}
			w.Arm(event)
			w.Request.TouchedAt = w.Now
			return event
		}, away, &n)
		err = errors.Join(err, e)
	}
	return n, err
}

// wake arms an event of a request by a transaction, and sends it unless its sink
// is away.
func (s *Sweep) wake(ctx context.Context, messageID string, arm func(*Work) (eventID string), away map[string]bool, n *int) error {
	var o *Outgoing
	err := s.Store.Change(ctx, Scope{MessageID: messageID}, func(w *Work) error {
		o = nil
		if pending, ok := w.Pending(arm(w)); ok {
			o = &pending
		}
		return nil
	})
	if err != nil || o == nil {
		return err
	}
	*n++
	if away[o.Topic] {
		return nil // it is armed, and sent by a later sweep
	}
	err = s.Relay.Send(ctx, *o, time.Time{})
	away[o.Topic] = err != nil
	return err
}

// orphans compares what the hypervisor has with what the store says is live. What could not be
// listed does not hide the rest. One whose age is not known may have been made just now,
// for a request that the store is about to show: it is counted, and left.
func (s *Sweep) orphans(ctx context.Context) (found, reaped int, err error) {
	var old []domain.Observation
	var uids []string
	for seen, e := range s.Hypervisor.List(ctx) {
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		if seen.Phase != domain.ThingDeleting && s.Clock().Sub(seen.CreatedAt) > s.Grace {
			old, uids = append(old, seen), append(uids, seen.Key.Resource)
		}
	}
	standing, e := s.Agenda.Standing(ctx, uids)
	if e != nil {
		return 0, 0, errors.Join(err, e)
	}
	for _, seen := range old {
		if standing[seen.Key.Resource] {
			continue
		}
		found++
		reap := s.Reap && !seen.CreatedAt.IsZero()
		s.Log.WarnContext(ctx, "orphan on the hypervisor", "key", seen.Key.Name(), "host", seen.Host, "reap", reap)
		if reap { // safe: keys are never used again
			if _, e := s.Hypervisor.Delete(ctx, seen.Key); e != nil {
				err = errors.Join(err, e)
				continue
			}
			reaped++
		}
	}
	s.Orphans(found - reaped)
	return found, reaped, err
}
