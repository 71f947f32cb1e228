package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// "now" is a sub-select, so that it is read once and an index can be searched by it.
const now = "(SELECT coalesce($1::timestamptz, clock_timestamp()))"

var armedQuery = "SELECT " + outgoingColumns + `, coalesce(r.message_id, '') FROM outbox o LEFT JOIN requests r ON r.seq = o.request
	WHERE o.armed_at <= ` + now + ` - $2::interval ORDER BY o.armed_at, o.event_id LIMIT $3`

const (
	overdueQuery = "SELECT message_id FROM requests WHERE turns_at < " + now + " ORDER BY turns_at, message_id LIMIT $2"
	stalledQuery = `SELECT r.message_id FROM requests r JOIN resources v ON v.uid = r.resource_uid
		WHERE r.status = 'PROCESSING' AND r.touched_at <= ` + now + ` - $2::interval AND (v.lease_until IS NULL OR v.lease_until <= ` + now + `)
		ORDER BY r.touched_at, r.message_id LIMIT $3`
)

// Armed implements [application.Agenda].
func (s *Store) Armed(ctx context.Context, longer time.Duration, limit int) (batch []application.Outgoing, err error) {
	err = s.read(ctx, "Armed", func(ctx context.Context, p *pgxpool.Pool) error {
		batch, err = all(ctx, p, func(scan scanner, o *application.Outgoing) error {
			return scan(append(outgoingDest(o), &o.MessageID)...)
		}, armedQuery, s.instant(), longer, max(limit, 0))
		return err
	})
	return batch, err
}

// Overdue implements [application.Agenda].
func (s *Store) Overdue(ctx context.Context, limit int) ([]string, error) {
	return s.find(ctx, "Overdue", overdueQuery, s.instant(), max(limit, 0))
}

// Stalled implements [application.Agenda].
func (s *Store) Stalled(ctx context.Context, untouched time.Duration, limit int) ([]string, error) {
	return s.find(ctx, "Stalled", stalledQuery, s.instant(), untouched, max(limit, 0))
}

func (s *Store) find(ctx context.Context, op, query string, args ...any) (found []string, err error) {
	err = s.read(ctx, op, func(ctx context.Context, p *pgxpool.Pool) error {
		found, err = all(ctx, p, text, query, args...)
		return err
	})
	return found, err
}

// Standing implements [application.Agenda].
func (s *Store) Standing(ctx context.Context, uids []string) (map[string]bool, error) {
	live, err := s.find(ctx, "Standing", "SELECT uid FROM resources WHERE live AND uid = ANY($1::text[])", uids)
	if err != nil {
		return nil, err
	}
	standing := make(map[string]bool, len(uids))
	for _, uid := range uids {
		standing[uid] = false
	}
	for _, uid := range live {
		standing[uid] = true
	}
	return standing, nil
}

// Acknowledge implements [application.Agenda].
func (s *Store) Acknowledge(ctx context.Context, eventID string, armedAt time.Time) error {
	n, err := s.exec(ctx, "Acknowledge", `UPDATE outbox SET armed_at = nullif(armed_at, $1), acked_at = coalesce($2::timestamptz, clock_timestamp()), sends = sends + 1
		WHERE event_id = $3 AND request = $4`, stamp(armedAt), s.instant(), eventID, ofNone)
	if err == nil && n == 0 {
		err = refuse("Acknowledge", domain.NotFound, "no such event")
	}
	return err
}

// exec runs one statement, which is a transaction of its own, and says how many
// rows it wrote.
func (s *Store) exec(ctx context.Context, op, query string, args ...any) (written int64, err error) {
	err = s.read(ctx, op, func(ctx context.Context, p *pgxpool.Pool) error {
		answer, err := p.Exec(ctx, query, args...)
		written = answer.RowsAffected()
		return err
	})
	return written, err
}
