package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// works is what the changes of a batch look at.
type works struct {
	now        time.Time
	requests   map[string]*numbered // by message id
	named      *numbered            // the request of a scope that has no message id
	resources  map[string]*domain.Resource
	steps      map[int64][]domain.Step
	outbox     map[int64][]application.Outgoing
	deliveries map[arrival]int
	pools      held

	taken map[string]bool // message ids and uids that a job of the batch has
}

type arrival struct {
	request         int64
	function, event string
}

// workQueries lock and load requests and what belongs to them. Each statement sees
// what was committed before it began, hence after the locks of those before it.
type workQueries struct{ requests, resources, steps, outbox, inbox string }

func queriesFor(which string) workQueries {
	numbers := "SELECT seq FROM requests WHERE " + which
	return workQueries{
		requests: "SELECT r.seq, " + requestColumns + " FROM requests r WHERE " + which + " ORDER BY r.seq FOR NO KEY UPDATE",
		resources: "SELECT " + resourceColumns + " FROM resources v WHERE v.uid = ANY(ARRAY(SELECT resource_uid FROM requests WHERE " + which +
			")) ORDER BY v.uid FOR NO KEY UPDATE",
		steps:  stepsQuery + numbers + ")) ORDER BY request, n",
		outbox: "SELECT o.request, " + outgoingColumns + " FROM outbox o WHERE o.request = ANY(ARRAY(" + numbers + "))",
		inbox:  "SELECT request, function, event_id, deliveries FROM inbox WHERE request = ANY(ARRAY(" + numbers + "))",
	}
}

var (
	worksByMessage = queriesFor("message_id = ANY($1::text[])")
	workByName     = queriesFor("tenant = $1 AND id = $2")
)

const (
	clockQuery = "SELECT coalesce($1::timestamptz, clock_timestamp())"
	// Rows to lock are made where they are missing. Both statements go in the order of names,
	// so two transactions never wait for each other.
	makePools = "INSERT INTO pools (name) SELECT name FROM unnest($1::text[]) AS x(name) ON CONFLICT DO NOTHING"
	lockPools = "SELECT name FROM pools WHERE name = ANY($1) ORDER BY name FOR NO KEY UPDATE"
)

func (s *Store) loadWorks(ctx context.Context, conn *pgx.Conn, scopes []application.Scope) (loaded[application.Scope, work], error) {
	var messages []string
	for _, scope := range scopes {
		messages = append(messages, scope.MessageID)
	}
	slices.Sort(messages)
	return s.loadRequests(ctx, conn, scopes, worksByMessage, slices.Compact(messages))
}

func (s *Store) loadWorkByName(ctx context.Context, conn *pgx.Conn, scopes []application.Scope) (loaded[application.Scope, work], error) {
	return s.loadRequests(ctx, conn, scopes, workByName, scopes[0].Tenant, scopes[0].RequestID)
}

func (s *Store) loadRequests(ctx context.Context, conn *pgx.Conn, scopes []application.Scope, q workQueries, args ...any) (loaded[application.Scope, work], error) {
	w := &works{
		requests: map[string]*numbered{}, resources: map[string]*domain.Resource{}, steps: map[int64][]domain.Step{},
		outbox: map[int64][]application.Outgoing{}, deliveries: map[arrival]int{}, pools: held{}, taken: map[string]bool{},
	}
	var pools []string
	arrivals := false
	for _, scope := range scopes {
		pools = append(pools, scope.Pools...)
		arrivals = arrivals || scope.Arrival != nil
	}
	slices.Sort(pools)
	pools = slices.Compact(pools)
	for _, name := range pools {
		w.pools[name] = nil
	}

	var b pgx.Batch
	b.Queue(beginning)
	b.Queue(q.requests, args...).Query(func(rows pgx.Rows) error {
		return each(rows, scanNumbered, func(n *numbered) { w.named, w.requests[n.request.MessageID] = n, n })
	})
	b.Queue(q.resources, args...).Query(func(rows pgx.Rows) error {
		return each(rows, scanResource, func(r *domain.Resource) { w.resources[r.UID] = r })
	})
	if len(pools) > 0 {
		b.Queue(makePools, pools)
		b.Queue(lockPools, pools)
		b.Queue(claimsQuery, pools).Query(func(rows pgx.Rows) error {
			return each(rows, scanClaim, func(c *domain.Claim) { w.pools[c.Pool] = append(w.pools[c.Pool], *c) })
		})
	}
	b.Queue(q.steps, args...).Query(func(rows pgx.Rows) error {
		return each(rows, scanLine, func(l *line) { w.steps[l.seq] = append(w.steps[l.seq], l.step) })
	})
	b.Queue(q.outbox, args...).Query(func(rows pgx.Rows) error {
		var seq int64
		return each(rows, func(scan scanner, o *application.Outgoing) error {
			return scan(append([]any{&seq}, outgoingDest(o)...)...)
		}, func(o *application.Outgoing) { w.outbox[seq] = append(w.outbox[seq], *o) })
	})
	if arrivals {
		b.Queue(q.inbox, args...).Query(func(rows pgx.Rows) error {
			var n int
			return each(rows, func(scan scanner, a *arrival) error { return scan(&a.request, &a.function, &a.event, &n) },
				func(a *arrival) { w.deliveries[*a] = n })
		})
	}
	b.Queue(clockQuery, s.instant()).QueryRow(func(row pgx.Row) error { return row.Scan(moment{&w.now}) })
	return w, conn.SendBatch(ctx, &b).Close()
}

// view implements [loaded]. Each job gets a request of its own, so what belongs to
// it is handed out as it was read; pools are shared, and copied.
func (w *works) view(scope application.Scope) (*work, bool, error) {
	found := w.requests[scope.MessageID]
	if scope.MessageID == "" {
		found = w.named
	}
	if found == nil {
		return nil, false, refuse("Change", domain.NotFound, "no such request")
	}
	r := &found.request
	resource := w.resources[r.ResourceUID]
	if resource == nil {
		return nil, false, refuse("Change", domain.Internal, "the resource "+r.ResourceUID+" is not stored")
	}
	if w.taken["request "+r.MessageID] || w.taken["resource "+r.ResourceUID] {
		return nil, true, nil
	}
	w.taken["request "+r.MessageID], w.taken["resource "+r.ResourceUID] = true, true
	v := &work{seq: found.seq, request: requestRow(r), resource: resourceRow(resource)}
	v.Now, v.Request, v.Resource, v.Steps = w.now, r, resource, w.steps[found.seq]
	v.Outbox = make(map[string]application.Outgoing, len(w.outbox[found.seq]))
	for _, o := range w.outbox[found.seq] {
		o.MessageID = r.MessageID
		v.Outbox[o.ID] = o
	}
	if a := scope.Arrival; a != nil {
		v.Deliveries = w.deliveries[arrival{found.seq, a.Function, a.EventID}] + 1
	}
	v.Pools = make(map[string][]domain.Claim, len(scope.Pools))
	for _, name := range scope.Pools {
		v.Pools[name] = w.pools.shown(name, w.now)
	}
	return v, false, nil
}

// note implements [loaded].
func (w *works) note(effect any) { w.pools.note(effect.(changed)) }
