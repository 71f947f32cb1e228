package sqlite

import (
	"context"
	"time"

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
	c := application.Census{Live: map[domain.ResourceKind]int{}, Queue: map[domain.Priority]int{}, DeadLetters: map[string]int{}, Now: s.now()}
	now := c.Now.UnixMicro()
	err := s.snapshot(ctx, "Census", func(ctx context.Context, q querier) error {
		for query, note := range map[string]func(string, int){
			"SELECT kind, count(*) FROM resources WHERE live AND state IN ('RUNNING', 'STOPPED', 'ALLOCATED', 'ACTIVE') GROUP BY kind": func(k string, n int) { c.Live[domain.ResourceKind(k)] = n },
			"SELECT priority, unfinished FROM lanes WHERE unfinished > 0":                                                              func(p string, n int) { c.Queue[domain.Priority(p)] = n },
			"SELECT reason, count(*) FROM dead_letters WHERE state = 'OPEN' GROUP BY reason":                                           func(r string, n int) { c.DeadLetters[r] = n },
		} {
			lines, err := all(ctx, q, scanTally, query)
			if err != nil {
				return err
			}
			for _, l := range lines {
				note(l.what, l.n)
			}
		}
		_, _, err := one(ctx, q, func(scan scanner, _ *struct{}) error {
			return scan(&c.Waiting, moment{&c.OldestSince}, &c.Stuck, (*int64)(&c.Cost))
		}, `SELECT count(*), min(accepted_at),
				(SELECT count(*) FROM requests WHERE decided = '' AND deadline_at < ?2),
				(SELECT value FROM totals WHERE name = 'spent') +
				(SELECT coalesce(sum(cost * (1 + max(?1 - created_at, 0) / 3600000000)), 0) FROM resources WHERE live)
			FROM requests WHERE status = 'PROCESSING' AND phase IN ('VALIDATED', 'PUBLISHED')`, now, now-stuckAfter.Microseconds())
		return err
	})
	if err != nil {
		return application.Census{}, err
	}
	return c, nil
}

// Durations implements [application.Statistics].
func (s *Store) Durations(ctx context.Context, t domain.RequestType, n int) (took []time.Duration, err error) {
	err = s.read(ctx, "Durations", func(ctx context.Context, q querier) error {
		took, err = all(ctx, q, func(scan scanner, d *time.Duration) error {
			var micros int64
			err := scan(&micros)
			*d = time.Duration(micros) * time.Microsecond
			return err
		}, "SELECT decided_at - accepted_at FROM requests WHERE type = ? AND decided = 'COMPLETED' ORDER BY decided_at DESC, message_id DESC LIMIT ?",
			string(t), int64(max(n, 0)))
		return err
	})
	return took, err
}
