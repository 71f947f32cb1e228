package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// stuckAfter is how long past its deadline an undecided request is stuck.
const stuckAfter = 10 * time.Minute

// tally is one line of a count.
type tally struct {
	what string
	n    int
}

func scanTally(scan scanner, t *tally) error { return scan(&t.what, &t.n) }

// Census implements [application.Statistics].
func (s *Store) Census(ctx context.Context) (application.Census, error) {
	c := application.Census{Live: map[domain.ResourceKind]int{}, Queue: map[domain.Priority]int{}, DeadLetters: map[string]int{}}
	err := s.snapshot(ctx, "Census", func(b *pgx.Batch) {
		count := func(query string, note func(string, int)) {
			b.Queue(query).Query(func(rows pgx.Rows) error {
				return each(rows, scanTally, func(t *tally) { note(t.what, t.n) })
			})
		}
		count("SELECT kind, count(*) FROM resources WHERE live AND state IN ('RUNNING', 'STOPPED', 'ALLOCATED', 'ACTIVE') GROUP BY kind",
			func(k string, n int) { c.Live[domain.ResourceKind(k)] = n })
		count("SELECT priority, sum(unfinished)::bigint FROM lanes GROUP BY priority HAVING sum(unfinished) > 0",
			func(p string, n int) { c.Queue[domain.Priority(p)] = n })
		count("SELECT reason, count(*) FROM dead_letters WHERE state = 'OPEN' GROUP BY reason",
			func(r string, n int) { c.DeadLetters[r] = n })
		b.Queue(`WITH clock AS MATERIALIZED (SELECT coalesce($1::timestamptz, clock_timestamp()) AS now)
			SELECT clock.now, w.n, w.since, w.stuck,
				coalesce((SELECT sum(amount) FROM spent), 0)::bigint +
				coalesce((SELECT sum(accrued(cost, created_at, clock.now)) FROM resources WHERE live), 0)::bigint
			FROM clock, LATERAL (SELECT count(*) FILTER (WHERE phase IN ('VALIDATED', 'PUBLISHED')) AS n,
					min(accepted_at) FILTER (WHERE phase IN ('VALIDATED', 'PUBLISHED')) AS since,
					count(*) FILTER (WHERE decided = '' AND deadline_at < clock.now - $2::interval) AS stuck
				FROM requests WHERE status = 'PROCESSING') w`, s.instant(), stuckAfter).QueryRow(func(row pgx.Row) error {
			return row.Scan(moment{&c.Now}, &c.Waiting, moment{&c.OldestSince}, &c.Stuck, (*int64)(&c.Cost))
		})
	})
	if err != nil {
		return application.Census{}, err
	}
	return c, nil
}

const durationsQuery = `SELECT decided_at - accepted_at FROM requests
	WHERE type = $1 AND decided = 'COMPLETED' ORDER BY decided_at DESC, message_id DESC LIMIT $2`

// Durations implements [application.Statistics].
func (s *Store) Durations(ctx context.Context, t domain.RequestType, n int) (took []time.Duration, err error) {
	err = s.read(ctx, "Durations", func(ctx context.Context, p *pgxpool.Pool) error {
		took, err = all(ctx, p, func(scan scanner, d *time.Duration) error { return scan(d) },
			durationsQuery,
			string(t), max(n, 0))
		return err
	})
	return took, err
}
