//go:build integration

package proof

import (
	"context"
	"iter"
	"math/rand/v2"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
)

// The ports with effects, each call between two points. The ports behind are no
// embedded fields, so a method that is added to a port does not compile here
// until somebody has decided which points it passes.

var (
	_ application.Database   = (*database)(nil)
	_ application.Sender     = (*sender)(nil)
	_ application.Hypervisor = (*hypervisor)(nil)
)

// reads are the ports without effects: dying in one of their methods is dying
// between two of the others.
type reads interface {
	application.Records
	application.Statistics
}

// database has a point inside of every transaction, when all is decided and
// nothing committed, and one after the commit.
type database struct {
	reads
	store     application.Store
	agenda    application.Agenda
	graveyard application.Graveyard
	gate      *gate
}

func (d *database) Admit(ctx context.Context, scope application.AdmitScope, decide func(*application.Tenancy) error) error {
	subject := domain.MessageID(scope.Tenant, scope.RequestID)
	name := "" // nothing to commit
	err := d.store.Admit(ctx, scope, func(t *application.Tenancy) error {
		name = ""
		if err := decide(t); err != nil || t.Admitted == nil {
			return err
		}
		name = "Admit"
		d.gate.pass(name+"/before", subject)
		return nil
	})
	if err == nil && name != "" {
		d.gate.pass(name+"/after", subject)
	}
	return err
}

func (d *database) Change(ctx context.Context, scope application.Scope, change func(*application.Work) error) error {
	name, subject := "", ""
	err := d.store.Change(ctx, scope, func(w *application.Work) error {
		before := look(w)
		if err := change(w); err != nil {
			return err
		}
		name, subject = before.effects(w), w.Request.MessageID
		if name != "" {
			d.gate.pass(name+"/before", subject)
		}
		return nil
	})
	if err == nil && name != "" {
		d.gate.pass(name+"/after", subject)
	}
	return err
}

func (d *database) Acknowledge(ctx context.Context, eventID string, armedAt time.Time) error {
	return d.gate.around("Acknowledge", eventID, func() error { return d.agenda.Acknowledge(ctx, eventID, armedAt) })
}

func (d *database) Bury(ctx context.Context, letter application.DeadLetter, event *application.Event) error {
	return d.gate.around("Bury", letter.Event.ID, func() error { return d.graveyard.Bury(ctx, letter, event) })
}

func (d *database) Resumed(ctx context.Context, id, requestID string) error {
	return d.gate.around("Resumed", id, func() error { return d.graveyard.Resumed(ctx, id, requestID) })
}

func (d *database) Moot(ctx context.Context) (n int, err error) {
	err = d.gate.around("Moot", "", func() error { n, err = d.graveyard.Moot(ctx); return err })
	return n, err
}

// What follows only reads.

func (d *database) Armed(ctx context.Context, longer time.Duration, limit int) ([]application.Outgoing, error) {
	return d.agenda.Armed(ctx, longer, limit)
}

func (d *database) Overdue(ctx context.Context, limit int) ([]string, error) {
	return d.agenda.Overdue(ctx, limit)
}

func (d *database) Stalled(ctx context.Context, untouched time.Duration, limit int) ([]string, error) {
	return d.agenda.Stalled(ctx, untouched, limit)
}

func (d *database) Standing(ctx context.Context, uids []string) (map[string]bool, error) {
	return d.agenda.Standing(ctx, uids)
}

func (d *database) DeadLetters(ctx context.Context, tenant string, limit int, cursor string) ([]application.DeadLetter, error) {
	return d.graveyard.DeadLetters(ctx, tenant, limit, cursor)
}

func (d *database) DeadLetter(ctx context.Context, id string) (application.DeadLetter, error) {
	return d.graveyard.DeadLetter(ctx, id)
}

// sender has points before an event leaves and after its sink has answered.
type sender struct {
	behind application.Sender
	gate   *gate
}

func (s *sender) Send(ctx context.Context, e application.Event) error {
	return s.gate.around("Send "+e.Topic, subjectOf(e), func() error { return s.behind.Send(ctx, e) })
}

// subjectOf is on whose behalf an event travels.
func subjectOf(e application.Event) string {
	if id := e.Extensions[eventing.ExtRequestID]; id != "" {
		return domain.MessageID(e.Extensions[eventing.ExtTenantID], id)
	}
	if e.WireID != "" {
		return e.WireID
	}
	return e.ID
}

// hypervisor has points around every call to the driver. Looking is one of them,
// as it is what an outcome rests on.
//
// Some calls are not answered and take effect later, while their caller has given
// up: within the time that a lease outlasts its holder for.
type hypervisor struct {
	behind  application.Hypervisor
	gate    *gate
	lost    float64       // share of the calls with an effect that are not answered
	landing time.Duration // the longest until such a call takes effect
}

// call makes a call between its two points, or says that it was not answered and
// makes it later.
func (h *hypervisor) call(ctx context.Context, name, subject string, call func(context.Context) error) error {
	if lost := h.gate.pass(name+"/before", subject); lost || rand.Float64() < h.lost {
		time.AfterFunc(h.landing/2+rand.N(h.landing/2), func() {
			_ = call(context.WithoutCancel(ctx))
			h.gate.pass(name+"/after", subject)
		})
		return &domain.Error{Op: "proof", Kind: domain.Unavailable, Code: "no-answer", Detail: "the answer is lost, and the call lands later"}
	}
	err := call(ctx)
	h.gate.pass(name+"/after", subject)
	return err
}

func (h *hypervisor) Ensure(ctx context.Context, want domain.Desired) (domain.Observation, error) {
	name := "Ensure " + string(want.Key.Kind)
	if want.Key.Kind == domain.ThingMachine {
		name += map[bool]string{true: " on", false: " off"}[want.On]
	}
	answer := make(chan domain.Observation, 1)
	err := h.call(ctx, name, want.Key.Resource, func(ctx context.Context) error {
		seen, err := h.behind.Ensure(ctx, want)
		answer <- seen
		return err
	})
	return given(answer), err
}

func (h *hypervisor) Delete(ctx context.Context, key domain.Key) (domain.Observation, error) {
	answer := make(chan domain.Observation, 1)
	err := h.call(ctx, "Delete "+string(key.Kind), key.Resource, func(ctx context.Context) error {
		seen, err := h.behind.Delete(ctx, key)
		answer <- seen
		return err
	})
	return given(answer), err
}

// given is the answer, or nothing if there is none yet.
func given(answer <-chan domain.Observation) (seen domain.Observation) {
	select {
	case seen = <-answer:
	default:
	}
	return seen
}

func (h *hypervisor) Observe(ctx context.Context, key domain.Key) (seen domain.Observation, err error) {
	err = h.gate.around("Observe "+string(key.Kind), key.Resource, func() error { seen, err = h.behind.Observe(ctx, key); return err })
	return seen, err
}

func (h *hypervisor) Capabilities(ctx context.Context) (application.Capabilities, error) {
	return h.behind.Capabilities(ctx)
}

func (h *hypervisor) List(ctx context.Context) iter.Seq2[domain.Observation, error] {
	return h.behind.List(ctx)
}
