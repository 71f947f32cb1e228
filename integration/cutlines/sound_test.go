//go:build integration

package cutlines

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
)

// sound checks what must hold when all is quiet, whatever was cut.
func (l *life) sound(ctx context.Context) error {
	return errors.Join(l.ended(ctx), l.announced(), l.exists(ctx), l.undisturbed(ctx))
}

// ended: the request has the outcome it must have, and its history is complete.
func (l *life) ended(ctx context.Context) error {
	r, err := l.store.Request(ctx, l.tenant, l.request)
	if err != nil {
		return err
	}
	q := r.Request
	if q.Status != l.want || q.Decided != l.want {
		return fmt.Errorf("the request is %s, decided %s (%s), want %s", q.Status, q.Decided, q.Reason, l.want)
	}
	if r.Resource.Busy != "" || r.Resource.Live != (l.machines > 0) {
		err = fmt.Errorf("the resource is %s, live %v, busy with %q, want live %v, and idle", r.Resource.State, r.Resource.Live, r.Resource.Busy, l.machines > 0)
	}
	if q.Decided != domain.Completed {
		return err // what was cancelled skips steps
	}
	lines := application.Timeline(r.Steps)
	if len(lines) != domain.Steps {
		err = errors.Join(err, fmt.Errorf("the history has %d steps, want %d: %+v", len(lines), domain.Steps, lines))
	}
	for _, line := range lines {
		if line.Step.Status != domain.StepSuccess {
			err = errors.Join(err, fmt.Errorf("step %s is %s, want %s", line.Step.Name, line.Step.Status, domain.StepSuccess))
		}
	}
	return err
}

// announced: the world was told at least once, and always the same.
func (l *life) announced() error {
	want := map[domain.Outcome]string{domain.Completed: eventing.TypeCompleted, domain.Cancelled: eventing.TypeCancelled}[l.want]
	told := l.topics.of(eventing.TopicEvents, l.request)
	if len(told) == 0 {
		return fmt.Errorf("no event about the outcome, want one")
	}
	for _, e := range told {
		if id, first := e.header.Get("Ce-Id"), told[0].header.Get("Ce-Id"); id != first || e.header.Get("Ce-Type") != want || string(e.body) != string(told[0].body) {
			return fmt.Errorf("event %s of type %s:\n%s\nbesides %s:\n%s\nwant one of type %s", id, e.header.Get("Ce-Type"), e.body, first, told[0].body, want)
		}
	}
	if dead := l.topics.of(eventing.TopicDeadLetters, l.request); len(dead) > 0 {
		return fmt.Errorf("%d dead letters: %v, want none", len(dead), dead[0].header)
	}
	return nil
}

// exists: the hypervisor has what the store says there is, and each tenant is
// charged for what it has.
func (l *life) exists(ctx context.Context) error {
	live, err := l.store.Resources(ctx, l.tenant, application.ResourceFilter{})
	if err != nil {
		return err
	}
	var want domain.Usage
	standing := map[string]int{}
	for _, r := range live {
		want = want.Add(domain.UsageOf(r.Spec, r.Cost))
		standing[r.UID] = 2 // a machine and its root volume
		if r.State != domain.Running {
			err = errors.Join(err, fmt.Errorf("%s is %s, want %s", r.VirtualID, r.State, domain.Running))
		}
	}
	if len(live) != l.machines {
		err = errors.Join(err, fmt.Errorf("%d live machines, want %d", len(live), l.machines))
	}
	usage, e := l.store.Usage(ctx, l.tenant)
	if e != nil {
		return e
	}
	if usage != want {
		err = errors.Join(err, fmt.Errorf("usage is %+v, want %+v", usage, want))
	}
	things, uids := map[string]int{}, []string(nil)
	for seen, e := range l.hypervisor.List(ctx) {
		if e != nil {
			return e
		}
		things[seen.Key.Resource]++
		uids = append(uids, seen.Key.Resource)
	}
	alive, e := l.store.Standing(ctx, uids)
	if e != nil {
		return e
	}
	for uid, n := range things {
		if !alive[uid] || n != 2 {
			err = errors.Join(err, fmt.Errorf("%d things of %s, live in the store: %v, want 2 of what is live and nothing else", n, uid, alive[uid]))
		}
	}
	for uid, n := range standing {
		if things[uid] != n {
			err = errors.Join(err, fmt.Errorf("%d things of the live %s, want %d", things[uid], uid, n))
		}
	}
	return errors.Join(err, l.free(ctx))
}

// free: no host, address or VLAN is held for what is no more, neither in the store
// nor by the hypervisor, whose ledgers have a line per thing: its name, and 0 as
// long as it holds something.
func (l *life) free(ctx context.Context) error {
	db, err := pgx.Connect(ctx, l.url)
	if err != nil {
		return err
	}
	defer db.Close(ctx)
	var claims, lines int
	err = db.QueryRow(ctx, `WITH live AS (SELECT uid FROM resources WHERE live),
		lines AS (SELECT regexp_split_to_table(convert_from(data, 'UTF8'), '\n') AS line FROM documents WHERE name LIKE 'sim/host/%')
		SELECT (SELECT count(*) FROM claims WHERE until IS NULL AND resource NOT IN (SELECT uid FROM live)),
			(SELECT count(*) FROM lines WHERE right(split_part(line, E'\t', 1), 36) NOT IN (SELECT uid FROM live)
				AND split_part(line, E'\t', 2) = '0')`).Scan(&claims, &lines)
	if err == nil && claims+lines > 0 {
		err = fmt.Errorf("the store has %d claims and the hypervisor %d of resources that are no more, want none", claims, lines)
	}
	return err
}

// undisturbed: nothing waits, nobody gave up, and what is free can be used.
func (l *life) undisturbed(ctx context.Context) error {
	armed, err := l.store.Armed(ctx, 0, 10)
	if err != nil {
		return err
	}
	if len(armed) > 0 {
		err = fmt.Errorf("%d events wait to be sent, want none: %s", len(armed), armed[0].Type)
	}
	if refused := l.topics.gaveUp(); len(refused) > 0 {
		err = errors.Join(err, fmt.Errorf("deliveries ended with %v, want each acknowledged", refused))
	}
	census, e := l.store.Census(ctx)
	if e != nil {
		return e
	}
	if len(census.DeadLetters) > 0 || census.Waiting > 0 || census.Stuck > 0 {
		err = errors.Join(err, fmt.Errorf("dead letters %v, waiting %d, stuck %d, want none", census.DeadLetters, census.Waiting, census.Stuck))
	}
	return err
}
