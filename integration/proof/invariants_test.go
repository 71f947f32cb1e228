//go:build integration

package proof

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
)

// What must hold when everything has come to rest, whatever happened before. It is
// looked up where it is: in the database, on the hypervisor and in the topics.

// rest waits until nothing is under way any more: all requests are terminal, and
// all stored events are sent.
func (c *chain) rest(ctx context.Context, requests []*request) error {
	for _, r := range requests {
		if err := c.await(ctx, r); err != nil {
			return err
		}
	}
	if c.settings.Storm.Lost > 0 { // a call that was not answered may still be on its way
		select {
		case <-time.After(c.settings.Pace.Landing):
		case <-ctx.Done():
		}
	}
	return until(ctx, func() (bool, error) {
		unsent, err := c.store.Armed(ctx, 0, 1)
		return err == nil && len(unsent) == 0, err
	})
}

// verdict collects what is broken.
type verdict struct{ broken []string }

func (v *verdict) want(is bool, format string, args ...any) {
	if !is {
		v.broken = append(v.broken, fmt.Sprintf(format, args...))
	}
}

// verify returns what is broken in a chain at rest.
func (c *chain) verify(ctx context.Context, requests []*request) ([]string, error) {
	brokers, err := c.brokers(ctx)
	if err != nil {
		return nil, err
	}
	var v verdict
	announced, err := c.announced(ctx, brokers, &v)
	if err != nil {
		return nil, err
	}
	tenants := map[string]bool{}
	for _, r := range requests {
		if r.poison {
			continue
		}
		tenants[r.tenant] = true
		record, err := c.store.Request(ctx, r.tenant, r.id)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r, err)
		}
		v.ended(r, record)
		v.told(r, record, announced[r.message()])
		delete(announced, r.message())
	}
	for message := range announced {
		v.want(false, "there is an event of %s, which nobody asked for", message)
	}
	if err := c.verifyResources(ctx, slices.Sorted(maps.Keys(tenants)), &v); err != nil {
		return nil, err
	}
	if err := c.verifyPoison(ctx, brokers, requests, &v); err != nil {
		return nil, err
	}
	err = c.verifyClaims(ctx, &v)
	return v.broken, err
}

// ended looks at the request itself and at its history.
func (v *verdict) ended(r *request, record application.Record) {
	q := record.Request
	v.want(!q.Unfinished() && q.Status == q.Decided, "%s: status %s, decided %q, want the same and terminal", r, q.Status, q.Decided)
	v.want(r.want == "" || q.Status == r.want, "%s: ended %s (%s), want %s", r, q.Status, q.Reason, r.want)
	v.want(record.Resource.Busy != q.MessageID, "%s: ended, and its resource is still busy with it", r)
	var lines []string
	for _, l := range application.Timeline(record.Steps) {
		lines = append(lines, fmt.Sprint(l.Number))
		v.want(q.Status != domain.Completed || l.Step.Status == domain.StepSuccess, "%s: completed, and step %d is %s", r, l.Number, l.Step.Status)
	}
	got, want := strings.Join(lines, " "), "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17"
	switch {
	case q.Status == domain.Completed:
	case q.Begun:
		want = "1 2 3 4 5 6 7 8 9 10 11 15 16 17"
	default:
		want = "1 2 3 4 5 6 7 8 9 10 15 16 17"
	}
	v.want(got == want, "%s: ended %s with the steps %s, want %s", r, q.Status, got, want)
}

// announced are the public events by message id. Each has one id and one content,
// however often it is in the topic.
func (c *chain) announced(ctx context.Context, brokers []string, v *verdict) (map[string]published, error) {
	events, err := read(ctx, brokers, eventing.TopicEvents)
	if err != nil {
		return nil, err
	}
	all := map[string]published{}
	for _, e := range events {
		id, _ := e.Extensions()[eventing.ExtRequestID].(string)
		tenant, _ := e.Extensions()[eventing.ExtTenantID].(string)
		message := domain.MessageID(tenant, id)
		first, again := all[message]
		v.want(!again || first.ID() == e.ID(), "request %s of %s has events of two ids: %s and %s", id, tenant, first, e.ID())
		v.want(!again || first.content == e.content && first.Type() == e.Type(), "event %s of request %s of %s has two contents", e.ID(), id, tenant)
		all[message] = e
	}
	return all, nil
}

// told compares the public event with the outcome.
func (v *verdict) told(r *request, record application.Record, e published) {
	if e.Event == nil {
		v.want(false, "%s: no event in %s", r, eventing.TopicEvents)
		return
	}
	want := map[domain.Outcome]string{domain.Completed: eventing.TypeCompleted, domain.Fault: eventing.TypeFailed, domain.Cancelled: eventing.TypeCancelled}[record.Request.Status]
	v.want(e.Type() == want, "%s: ended %s, its event is a %s", r, record.Request.Status, e.Type())
	v.want(e.ID() == domain.TerminalID(r.message()), "%s: its event has the id %s, want %s", r, e.ID(), domain.TerminalID(r.message()))
	v.want(e.Subject() == record.Resource.VirtualID, "%s: its event is about %s, want %s", r, e.Subject(), record.Resource.VirtualID)
}

// resources are all of a tenant, those that are gone as well.
func (c *chain) resources(ctx context.Context, tenant string) (all []domain.Resource, err error) {
	for before := ""; ; {
		page, err := c.store.Resources(ctx, tenant, application.ResourceFilter{Gone: true, Limit: 100, Before: before})
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < 100 {
			return all, nil
		}
		before = page[len(page)-1].UID
	}
}

// verifyResources holds the hypervisor against the live resources, both ways, and
// the usage of each tenant against their sum.
func (c *chain) verifyResources(ctx context.Context, tenants []string, v *verdict) error {
	want := map[string]domain.ThingPhase{}
	for _, tenant := range tenants {
		resources, err := c.resources(ctx, tenant)
		if err != nil {
			return err
		}
		var sum domain.Usage
		for _, r := range resources {
			if !r.Live {
				continue
			}
			sum = sum.Add(domain.UsageOf(r.Spec, r.Cost))
			for key, phase := range expected(r) {
				want[key] = phase
			}
			v.want(r.Busy == "", "%s of %s is busy with %s", r.VirtualID, tenant, r.Busy)
		}
		used, err := c.store.Usage(ctx, tenant)
		if err != nil {
			return err
		}
		v.want(used == sum, "%s uses %+v, and what it has is %+v", tenant, used, sum)
	}
	got := map[string]domain.ThingPhase{}
	for seen, err := range c.things.List(ctx) {
		if err != nil {
			return err
		}
		got[seen.Key.Name()] = seen.Phase
	}
	for key, phase := range want {
		v.want(got[key] == phase, "%s is %q on the hypervisor, want %s", key, got[key], phase)
	}
	for key, phase := range got {
		_, wanted := want[key]
		v.want(wanted, "orphan: %s is %s, and no live resource has it", key, phase)
	}
	return nil
}

// expected is what a live resource consists of on the hypervisor.
func expected(r domain.Resource) map[string]domain.ThingPhase {
	name := func(k domain.ThingKind) string { return domain.Key{Resource: r.UID, Kind: k}.Name() }
	switch r.State {
	case domain.Running:
		return map[string]domain.ThingPhase{name(domain.ThingMachine): domain.ThingReady, name(domain.ThingVolume): domain.ThingReady}
	case domain.Stopped:
		return map[string]domain.ThingPhase{name(domain.ThingMachine): domain.ThingStopped, name(domain.ThingVolume): domain.ThingReady}
	case domain.Allocated:
		return map[string]domain.ThingPhase{name(domain.ThingVolume): domain.ThingReady}
	case domain.Active:
		return map[string]domain.ThingPhase{name(domain.ThingNetwork): domain.ThingReady}
	}
	return map[string]domain.ThingPhase{"settled, but " + string(r.State) + ": " + r.UID: domain.ThingReady}
}

// verifyPoison wants one dead letter per event that nobody can read, in the store
// and in its topic.
func (c *chain) verifyPoison(ctx context.Context, brokers []string, requests []*request, v *verdict) error {
	events, err := read(ctx, brokers, eventing.TopicDeadLetters)
	if err != nil {
		return err
	}
	for _, r := range requests {
		if !r.poison {
			continue
		}
		letter, err := c.store.DeadLetter(ctx, domain.DeadLetterID(r.id, "provision"))
		if err != nil {
			return err
		}
		v.want(string(letter.Event.Data) == "poison", "%s: the letter holds %q", r, letter.Event.Data)
		v.want(slices.ContainsFunc(events, func(e published) bool { return e.ID() == r.id }), "%s: not in %s", r, eventing.TopicDeadLetters)
	}
	return nil
}

// verifyClaims wants no finite thing held by a resource that is no more.
func (c *chain) verifyClaims(ctx context.Context, v *verdict) error {
	db, err := pgx.Connect(ctx, c.settings.Database)
	if err != nil {
		return err
	}
	defer db.Close(ctx)
	rows, err := db.Query(ctx, `SELECT c.pool || ' ' || c.value FROM claims c LEFT JOIN resources r ON r.uid = c.resource
		WHERE c.until IS NULL AND r.live IS NOT TRUE`)
	if err != nil {
		return err
	}
	held, err := pgx.CollectRows(rows, pgx.RowTo[string])
	v.want(len(held) == 0, "claimed by resources that are no more: %v", held)
	return err
}
