package sqlite

import (
	"context"
	"slices"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// Change implements [application.Store].
func (s *Store) Change(ctx context.Context, scope application.Scope, change func(*application.Work) error) error {
	var w application.Work
	var seq int64
	return s.writer.transact(ctx, "Change", func(ctx context.Context, q querier) (err error) {
		w.Now = s.now()
		seq, err = loadWork(ctx, q, scope, &w)
		return err
	}, func() ([]write, error) {
		now := w.Now
		before := before{w.Request.MessageID, w.Resource.UID, rowOf(requestRow(w.Request)), rowOf(resourceRow(w.Resource))}
		if err := change(&w); err != nil {
			return nil, err
		}
		return changes(seq, &w, before, scope.Arrival, now)
	})
}

// loadWork loads what a change looks at, and the number of its request.
func loadWork(ctx context.Context, q querier, scope application.Scope, w *application.Work) (seq int64, err error) {
	where, args := "r.message_id = ?", []any{scope.MessageID}
	if scope.MessageID == "" {
		where, args = "r.tenant = ? AND r.id = ?", []any{scope.Tenant, scope.RequestID}
	}
	r, ok, err := one(ctx, q, scanStored, storedQuery+where, args...)
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, refuse("Change", domain.NotFound, "no such request")
	}
	w.Request, w.Resource, w.Steps = &r.Request, &r.Resource, r.Steps
	sent, err := all(ctx, q, func(scan scanner, o *application.Outgoing) error { return scan(outgoingDest(o)...) },
		"SELECT "+outgoingColumns+" FROM outbox o WHERE o.request = ?", r.seq)
	if err != nil {
		return 0, err
	}
	w.Outbox = make(map[string]application.Outgoing, len(sent))
	for _, o := range sent {
		o.MessageID = r.Request.MessageID
		w.Outbox[o.ID] = o
	}
	if a := scope.Arrival; a != nil {
		n, _, err := one(ctx, q, whole, "SELECT deliveries FROM inbox WHERE request = ? AND function = ? AND event_id = ?", r.seq, a.Function, a.EventID)
		if err != nil {
			return 0, err
		}
		w.Deliveries = int(n) + 1
	}
	w.Pools = make(map[string][]domain.Claim, len(scope.Pools))
	for _, pool := range scope.Pools {
		w.Pools[pool], err = all(ctx, q, func(scan scanner, c *domain.Claim) error {
			return scan(&c.Pool, &c.Value, &c.Resource, &c.Amount, &c.Group, moment{&c.Until})
		}, `SELECT pool, value, resource, amount, "group", until FROM claims WHERE pool = ? AND (until IS NULL OR until > ?) ORDER BY value`, pool, stamp(w.Now))
		if err != nil {
			return 0, err
		}
	}
	return r.seq, nil
}

// row is what a row has in its columns.
type row struct{ fixed, moving []any }

func rowOf(fixed, moving []any) row { return row{fixed, moving} }

// before is what a change found.
type before struct {
	message, uid      string
	request, resource row
}

var (
	moveRequest    = update("requests", requestMoving, "seq")
	rewriteRequest = update("requests", append(append([]string{}, requestFixed...), requestMoving...), "seq")
	moveResource   = update("resources", resourceMoving, "uid")
)

// changes is what a change did, as statements. Rows that are as they were are not
// written, and columns that the protocol never changes only when one did after all:
// writing them means writing their indexes.
func changes(seq int64, w *application.Work, was before, arrival *application.Arrival, now time.Time) ([]write, error) {
	switch {
	case w.Request == nil || w.Resource == nil:
		return nil, refuse("Change", domain.Internal, "a change must leave the request and the resource")
	case w.Request.MessageID != was.message || w.Resource.UID != was.uid || w.Request.ResourceUID != was.uid:
		return nil, refuse("Change", domain.Internal, "a change must not rename the request or the resource")
	}
	var writes []write
	if a := arrival; a != nil {
		writes = append(writes, write{query: `INSERT INTO inbox (request, function, event_id, first_at, last_at, deliveries, partition, offset, sent_at)
			VALUES (?1, ?2, ?3, ?4, ?4, 1, ?5, ?6, ?7)
			ON CONFLICT DO UPDATE SET deliveries = deliveries + 1, last_at = excluded.last_at, partition = excluded.partition, offset = excluded.offset`,
			args: []any{seq, a.Function, a.EventID, now.UnixMicro(), int64(a.Partition), a.Offset, stamp(a.SentAt)}})
	}
	request, resource := rowOf(requestRow(w.Request)), rowOf(resourceRow(w.Resource))
	writes = append(writes, rewrite(request, was.request, moveRequest, rewriteRequest, seq)...)
	writes = append(writes, rewrite(resource, was.resource, moveResource, updateResource, was.uid)...)
	for _, step := range w.Additions.Steps {
		n := slices.IndexFunc(w.Steps, func(x domain.Step) bool { return x.Name == step.Name })
		writes = append(writes, writeStep(seq, n, step))
	}
	writes = append(writes, outboxWrites(seq, w, now)...)
	writes = append(writes, claimWrites(w, now)...)
	for _, d := range w.Additions.Letters {
		writes = append(writes, writeLetter(d))
	}
	return writes, nil
}

func rewrite(is, was row, move, whole string, key any) []write {
	switch {
	case !slices.Equal(is.fixed, was.fixed):
		return []write{{query: whole, args: append(append(is.fixed, is.moving...), key)}}
	case !slices.Equal(is.moving, was.moving):
		return []write{{query: move, args: append(is.moving, key)}}
	}
	return nil
}

// outboxWrites stores new events, and what became of stored ones. Work has kept
// account of the times; bytes stay those that were stored first.
func outboxWrites(seq int64, w *application.Work, now time.Time) []write {
	var writes []write
	for _, e := range w.Additions.Events {
		writes = append(writes, writeEvent(seq, e, stamp(now)))
	}
	touched := slices.Clone(w.Additions.Armed)
	for _, a := range w.Additions.Acked {
		touched = append(touched, a.EventID)
	}
	slices.Sort(touched)
	for _, id := range slices.Compact(touched) {
		o := w.Outbox[id]
		writes = append(writes, write{query: "UPDATE outbox SET armed_at = ?, acked_at = ?, sends = ? WHERE request = ? AND event_id = ?",
			args: []any{stamp(o.ArmedAt), stamp(o.AckedAt), int64(o.Sends), seq, id}})
	}
	return writes
}

// claimWrites claims, and releases: addresses from the end of their cool-down on,
// anything else now. What has cooled down is forgotten on the way.
func claimWrites(w *application.Work, now time.Time) []write {
	var writes []write
	for _, c := range w.Additions.Claims {
		writes = append(writes, write{query: `INSERT INTO claims (pool, value, resource, amount, "group", until) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
			ON CONFLICT DO UPDATE SET resource = excluded.resource, amount = excluded.amount, "group" = excluded."group", until = excluded.until
			WHERE resource = excluded.resource OR until <= ?7`,
			args:   []any{c.Pool, c.Value, c.Resource, c.Amount, c.Group, stamp(c.Until), stamp(now)},
			missed: refuse("Change", domain.Conflict, c.Value+" of "+c.Pool+" is taken")})
	}
	if !w.Additions.Free {
		return writes
	}
	return append(writes,
		write{query: "UPDATE claims SET until = ? WHERE resource = ? AND until IS NULL AND pool >= 'ip/' AND pool < 'ip0'",
			args: []any{now.Add(w.Additions.CoolDown).UnixMicro(), w.Resource.UID}},
		write{query: "DELETE FROM claims WHERE resource = ? AND until IS NULL", args: []any{w.Resource.UID}},
		write{query: "DELETE FROM claims WHERE until <= ?", args: []any{now.UnixMicro()}},
	)
}
