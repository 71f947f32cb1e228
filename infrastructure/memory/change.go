package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// Change implements [application.Store].
func (s *Store) Change(ctx context.Context, scope application.Scope, change func(*application.Work) error) error {
	leave, err := s.enter(ctx, "Change")
	if err != nil {
		return err
	}
	defer leave()

	id := scope.MessageID
	if id == "" {
		id = s.messages[requestKey{scope.Tenant, scope.RequestID}]
	}
	if _, ok := s.requests[id]; !ok {
		return refuse("Change", domain.NotFound, "no such request")
	}
	w := s.work(id, scope)
	now := w.Now
	if err := change(w); err != nil {
		return err
	}
	if err := s.changeable(id, w, now); err != nil {
		return err
	}
	if a := scope.Arrival; a != nil {
		s.deliveries[deliveryKey{a.Function, a.EventID}]++
	}
	s.requests[id], s.resources[w.Resource.UID] = keptRequest(w.Request), keptResource(w.Resource)
	s.record(id, w.Additions.Steps)
	s.send(id, w, now)
	for _, c := range w.Additions.Claims {
		s.hold(c)
	}
	if w.Additions.Free {
		s.free(w.Resource.UID, now, now.Add(w.Additions.CoolDown))
	}
	for _, d := range w.Additions.Letters {
		s.bury(d)
	}
	return nil
}

// work loads what a change of the request looks at.
func (s *Store) work(id string, scope application.Scope) *application.Work {
	r := s.snapshot(id)
	w := &application.Work{Now: s.now(), Request: &r.Request, Resource: &r.Resource, Steps: r.Steps,
		Outbox: map[string]application.Outgoing{}, Pools: map[string][]domain.Claim{}}
	for _, event := range s.events[id] {
		w.Outbox[event] = copyOutgoing(s.outbox[event])
	}
	if a := scope.Arrival; a != nil {
		w.Deliveries = s.deliveries[deliveryKey{a.Function, a.EventID}] + 1
	}
	for _, pool := range scope.Pools {
		held := []domain.Claim{}
		for _, c := range s.pools[pool] {
			if c.Until.IsZero() || c.Until.After(w.Now) {
				held = append(held, c)
			}
		}
		slices.SortFunc(held, func(a, b domain.Claim) int { return cmp.Compare(a.Value, b.Value) })
		w.Pools[pool] = held
	}
	return w
}

// changeable says why a change cannot be stored.
func (s *Store) changeable(id string, w *application.Work, now time.Time) error {
	switch {
	case w.Request == nil || w.Resource == nil:
		return refuse("Change", domain.Internal, "a change must leave the request and the resource")
	case w.Request.MessageID != id || w.Resource.UID != s.requests[id].ResourceUID || w.Request.ResourceUID != w.Resource.UID:
		return refuse("Change", domain.Internal, "a change must not rename the request or the resource")
	}
	claimed := map[[2]string]string{}
	for _, c := range w.Additions.Claims {
		have, ok := s.pools[c.Pool][c.Value]
		if ok && have.Resource != c.Resource && (have.Until.IsZero() || have.Until.After(now)) {
			return refuse("Change", domain.Conflict, c.Value+" of "+c.Pool+" is taken")
		}
		key := [2]string{c.Pool, c.Value}
		if by, ok := claimed[key]; ok && by != c.Resource {
			return refuse("Change", domain.Conflict, c.Value+" of "+c.Pool+" is claimed for two resources")
		}
		claimed[key] = c.Resource
	}
	return nil
}

// send stores new events, and what became of stored ones. Work has kept account
// of the times; bytes are those that were stored first.
func (s *Store) send(id string, w *application.Work, now time.Time) {
	for _, e := range w.Additions.Events {
		s.post(application.Outgoing{Event: e, MessageID: id, ArmedAt: now})
	}
	touched := slices.Clone(w.Additions.Armed)
	for _, a := range w.Additions.Acked {
		touched = append(touched, a.EventID)
	}
	for _, event := range touched {
		if o, ok := s.outbox[event]; ok {
			is := w.Outbox[event]
			o.ArmedAt, o.AckedAt, o.Sends = kept(is.ArmedAt), kept(is.AckedAt), is.Sends
		}
	}
}

func (s *Store) hold(c domain.Claim) {
	if s.pools[c.Pool] == nil {
		s.pools[c.Pool] = map[string]domain.Claim{}
	}
	c.Until = kept(c.Until)
	s.pools[c.Pool][c.Value] = c
}

// free releases what the resource holds: addresses from until on, anything else
// now. What others released and has cooled down is forgotten on the way.
func (s *Store) free(uid string, now, until time.Time) {
	for pool, held := range s.pools {
		for value, c := range held {
			switch {
			case c.Resource == uid && c.Until.IsZero() && strings.HasPrefix(pool, "ip/") && until.After(now):
				c.Until = kept(until)
				held[value] = c
			case c.Resource == uid && c.Until.IsZero(), !c.Until.IsZero() && !c.Until.After(now):
				delete(held, value)
			}
		}
		if len(held) == 0 {
			delete(s.pools, pool)
		}
	}
}
