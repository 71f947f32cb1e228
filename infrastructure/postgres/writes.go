package postgres

import "github.com/jackc/pgx/v5"

// statement is one of those that transactions of a batch write with. Their order
// is the order of locks: resources and then requests, so that the sums that
// follow from them are locked in one order too, then claims, then outbox.
type statement int

const (
	addResources statement = iota
	moveResources
	rewriteResources
	addRequests
	moveRequests
	rewriteRequests
	addSteps
	addArrivals
	giveUpClaims // one's own and those that have cooled down, before they are claimed
	addClaims
	coolClaims
	freeClaims
	forgetClaims
	addEvents
	moveEvents
	addLetters
	statements // how many there are
)

// texts are the statements. Each takes any number of rows.
var texts = [statements]string{
	addResources:     resourceFixed.and(resourceCounts).and(resourceMoving).insert("resources", ""),
	moveResources:    resourceMoving.and(resourceKey).update("resources"),
	rewriteResources: resourceFixed[1:].and(resourceCounts).and(resourceMoving).and(resourceKey).update("resources"),
	addRequests:      requestKey.and(requestFixed).and(requestMoving).insert("requests", ""),
	moveRequests:     requestMoving.and(requestKey).update("requests"),
	rewriteRequests:  requestFixed.and(requestMoving).and(requestKey).update("requests"),
	addSteps: stepColumns.insert("steps", `ON CONFLICT (request, name) DO UPDATE
		SET at = excluded.at, duration = excluded.duration, status = excluded.status, detail = excluded.detail`),
	addArrivals: columnsOf(`request bigint, function text, event_id text, first_at timestamptz, last_at timestamptz, deliveries bigint,
		partition bigint, "offset" bigint, sent_at timestamptz`).insert("inbox", `ON CONFLICT (request, function, event_id) DO UPDATE
		SET deliveries = inbox.deliveries + 1, last_at = excluded.last_at, partition = excluded.partition, "offset" = excluded."offset"`),
	giveUpClaims: `DELETE FROM claims c USING unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) AS x(pool, value, resource, now)
		WHERE c.pool = x.pool AND c.value = x.value AND (c.resource = x.resource OR c.until <= x.now)`,
	addClaims: claimColumns.insert("claims", ""),
	coolClaims: `UPDATE claims c SET until = x.until FROM unnest($1::text[], $2::timestamptz[]) AS x(resource, until)
		WHERE c.resource = x.resource AND c.until IS NULL AND c.pool >= 'ip/' AND c.pool < 'ip0'`,
	freeClaims: `DELETE FROM claims c USING unnest($1::text[]) AS x(resource) WHERE c.resource = x.resource AND c.until IS NULL`,
	// Whose pools are not locked here may be claiming them just now.
	forgetClaims: `DELETE FROM claims WHERE ctid = ANY(ARRAY(SELECT ctid FROM claims
		WHERE until <= (SELECT min(now) FROM unnest($1::timestamptz[]) AS x(now)) LIMIT 1000 FOR UPDATE SKIP LOCKED))`,
	addEvents: outboxColumns.insert("outbox", "ON CONFLICT DO NOTHING"),
	moveEvents: `UPDATE outbox o SET armed_at = x.armed_at, acked_at = x.acked_at, sends = x.sends
		FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::bigint[]) AS x(request, event_id, armed_at, acked_at, sends)
		WHERE o.request = x.request AND o.event_id = x.event_id`,
	addLetters: letterColumns.insert("dead_letters", reopen),
}

// writes are the rows for each statement.
type writes [statements]rows

// add adds a row.
func (w *writes) add(s statement, values ...any) { w[s] = append(w[s], values) }

// join adds what another transaction writes.
func (w *writes) join(other *writes) {
	for s := range w {
		w[s] = append(w[s], other[s]...)
	}
}

// none reports whether there is nothing to write.
func (w *writes) none() bool {
	for s := range w {
		if len(w[s]) > 0 {
			return false
		}
	}
	return true
}

// queue puts the statements that have rows into a batch.
func (w *writes) queue(b *pgx.Batch) {
	for s := range w {
		if len(w[s]) > 0 {
			b.Queue(texts[s], w[s].turned()...)
		}
	}
}
