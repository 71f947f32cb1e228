package application

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"testing"
	"time"

	"kbnt.dev/virtualization/domain"
)

// estate is a hypervisor that lists some things, and then fails.
type estate struct {
	Hypervisor
	things  []domain.Observation
	failed  error
	deleted []string
}

func (e *estate) List(context.Context) iter.Seq2[domain.Observation, error] {
	return func(yield func(domain.Observation, error) bool) {
		for _, o := range e.things {
			if !yield(o, nil) {
				return
			}
		}
		if e.failed != nil {
			yield(domain.Observation{}, e.failed)
		}
	}
}

func (e *estate) Delete(_ context.Context, key domain.Key) (domain.Observation, error) {
	e.deleted = append(e.deleted, key.Resource)
	return domain.Observation{Key: key}, nil
}

// register is an agenda that knows what stands.
type register struct {
	Agenda
	standing map[string]bool
}

func (r register) Standing(context.Context, []string) (map[string]bool, error) {
	return r.standing, nil
}

// TestOrphans holds that an orphan is reaped only if it is known to be old, and that a host that
// cannot be listed does not hide those of the others.
func TestOrphans(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	thing := func(resource string, created time.Time) domain.Observation {
		return domain.Observation{Key: domain.Key{Resource: resource, Kind: domain.ThingVolume}, Phase: domain.ThingReady, CreatedAt: created}
	}
	away := errors.New("a host is away")
	e := &estate{failed: away, things: []domain.Observation{
		thing("old", now.Add(-time.Hour)), thing("new", now.Add(-time.Second)), thing("ageless", time.Time{}), thing("standing", now.Add(-time.Hour)),
	}}
	left := -1
	s := &Sweep{Hypervisor: e, Agenda: register{standing: map[string]bool{"standing": true}}, Clock: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
		Grace: time.Minute, Reap: true, Orphans: func(n int) { left = n }}
	found, reaped, err := s.orphans(t.Context())
	if found != 2 || reaped != 1 || left != 1 || !errors.Is(err, away) {
		t.Errorf("orphans: got %d found, %d reaped, %d left, %v, want 2, 1, 1 and that a host is away", found, reaped, left, err)
	}
	if !slices.Equal(e.deleted, []string{"old"}) {
		t.Errorf("deleted: got %q, want the old one alone", e.deleted)
	}
}
