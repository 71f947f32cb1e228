package sqlite

import (
	"context"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// stuckAfter is how long past its deadline an undecided request is stuck.
const stuckAfter = 10 * time.Minute

const censusQuery = `SELECT
	(SELECT json_group_object(kind, n) FROM (SELECT kind, count(*) AS n FROM resources
		WHERE live AND state IN ('RUNNING', 'STOPPED', 'ALLOCATED', 'ACTIVE') GROUP BY kind)),
	(SELECT json_group_object(priority, unfinished) FROM lanes WHERE unfinished > 0),
	(SELECT json_group_object(reason, n) FROM (SELECT reason, count(*) AS n FROM dead_letters WHERE state = 'OPEN' GROUP BY reason)),
	count(*), min(accepted_at),
	(SELECT count(*) FROM requests WHERE decided = '' AND deadline_at < ?2),
	(SELECT value FROM totals WHERE name = 'spent') +
		(SELECT coalesce(sum(cost * (1 + max(?1 - created_at, 0) / 3600000000)), 0) FROM resources INDEXED BY resources_census WHERE live)
	FROM requests WHERE status = 'PROCESSING' AND phase IN ('VALIDATED', 'PUBLISHED')`

func scanCensus(scan scanner, c *application.Census) error {
	return scan(structure{&c.Live}, structure{&c.Queue}, structure{&c.DeadLetters}, &c.Waiting, moment{&c.OldestSince}, &c.Stuck, (*int64)(&c.Cost))
}

// Census implements [application.Statistics].
func (s *Store) Census(ctx context.Context) (application.Census, error) {
	var c application.Census
	now := s.now()
	err := s.read(ctx, "Census", func(ctx context.Context, q querier) (err error) {
		c, _, err = one(ctx, q, scanCensus, censusQuery, now.UnixMicro(), now.Add(-stuckAfter).UnixMicro())
		return err
	})
	c.Now = now
	return c, err
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
