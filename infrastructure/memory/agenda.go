package memory

import (
	"cmp"
	"context"
	"slices"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// Armed implements [application.Agenda].
func (s *Store) Armed(ctx context.Context, longer time.Duration, limit int) ([]application.Outgoing, error) {
	leave, err := s.enter(ctx, "Armed")
	if err != nil {
		return nil, err
	}
	defer leave()
	since := s.now().Add(-longer)
	var found []*application.Outgoing
	for _, o := range s.outbox {
		if !o.ArmedAt.IsZero() && !o.ArmedAt.After(since) {
			found = append(found, o)
		}
	}
	slices.SortFunc(found, func(a, b *application.Outgoing) int {
		return cmp.Or(a.ArmedAt.Compare(b.ArmedAt), cmp.Compare(a.ID, b.ID))
	})
	var batch []application.Outgoing
	for _, o := range found[:min(max(limit, 0), len(found))] {
		batch = append(batch, copyOutgoing(o))
	}
	return batch, nil
}

// Overdue implements [application.Agenda].
func (s *Store) Overdue(ctx context.Context, limit int) ([]string, error) {
	return s.find(ctx, "Overdue", limit, func(r *domain.Request, now time.Time) (time.Time, bool) {
		return r.DeadlineAt, r.Overdue(now) && !(r.Type.Deletes() && r.Begun)
	})
}

// Stalled implements [application.Agenda].
func (s *Store) Stalled(ctx context.Context, untouched time.Duration, limit int) ([]string, error) {
	return s.find(ctx, "Stalled", limit, func(r *domain.Request, now time.Time) (time.Time, bool) {
		return r.TouchedAt, r.Unfinished() && !r.TouchedAt.After(now.Add(-untouched)) &&
			!s.resources[r.ResourceUID].Lease.Until.After(now)
	})
}

// find returns the message ids of the requests that match, those of the earliest
// time first.
func (s *Store) find(ctx context.Context, op string, limit int, match func(*domain.Request, time.Time) (time.Time, bool)) ([]string, error) {
	leave, err := s.enter(ctx, op)
	if err != nil {
		return nil, err
	}
	defer leave()
	type finding struct {
		at time.Time
		id string
	}
	var found []finding
	now := s.now()
	for id, r := range s.requests {
		if at, ok := match(r, now); ok {
			found = append(found, finding{at, id})
		}
	}
	slices.SortFunc(found, func(a, b finding) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.id, b.id)) })
	var ids []string
	for _, f := range found[:min(max(limit, 0), len(found))] {
		ids = append(ids, f.id)
	}
	return ids, nil
}

// Standing implements [application.Agenda].
func (s *Store) Standing(ctx context.Context, uids []string) (map[string]bool, error) {
	leave, err := s.enter(ctx, "Standing")
	if err != nil {
		return nil, err
	}
	defer leave()
	standing := make(map[string]bool, len(uids))
	for _, uid := range uids {
		r, ok := s.resources[uid]
		standing[uid] = ok && r.Live
	}
	return standing, nil
}

// Acknowledge implements [application.Agenda].
func (s *Store) Acknowledge(ctx context.Context, eventID string, armedAt time.Time) error {
	leave, err := s.enter(ctx, "Acknowledge")
	if err != nil {
		return err
	}
	defer leave()
	o, ok := s.outbox[eventID]
	if !ok {
		return refuse("Acknowledge", domain.NotFound, "no such event")
	}
	if o.ArmedAt.Equal(kept(armedAt)) {
		o.ArmedAt = time.Time{}
	}
	o.AckedAt, o.Sends = s.now(), o.Sends+1
	return nil
}
