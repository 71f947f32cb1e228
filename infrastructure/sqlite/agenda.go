package sqlite

import (
	"context"
	"encoding/json"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// Armed implements [application.Agenda].
func (s *Store) Armed(ctx context.Context, longer time.Duration, limit int) (batch []application.Outgoing, err error) {
	err = s.read(ctx, "Armed", func(ctx context.Context, q querier) error {
		batch, err = all(ctx, q, func(scan scanner, o *application.Outgoing) error {
			return scan(append(outgoingDest(o), &o.MessageID)...)
		},
			"SELECT "+outgoingColumns+`, coalesce(r.message_id, '') FROM outbox o LEFT JOIN requests r ON r.seq = o.request
			WHERE o.armed_at IS NOT NULL AND o.armed_at <= ? ORDER BY o.armed_at, o.event_id LIMIT ?`,
			s.now().Add(-longer).UnixMicro(), int64(max(limit, 0)))
		return err
	})
	return batch, err
}

// Overdue implements [application.Agenda].
func (s *Store) Overdue(ctx context.Context, limit int) ([]string, error) {
	return s.find(ctx, "Overdue", "SELECT message_id FROM requests WHERE turns_at IS NOT NULL AND turns_at < ? ORDER BY turns_at, message_id LIMIT ?",
		s.now().UnixMicro(), int64(max(limit, 0)))
}

// Stalled implements [application.Agenda].
func (s *Store) Stalled(ctx context.Context, untouched time.Duration, limit int) ([]string, error) {
	now := s.now()
	return s.find(ctx, "Stalled", `SELECT r.message_id FROM requests r JOIN resources v ON v.uid = r.resource_uid
		WHERE r.status = 'PROCESSING' AND r.touched_at <= ? AND (v.lease_until IS NULL OR v.lease_until <= ?)
		ORDER BY r.touched_at, r.message_id LIMIT ?`, now.Add(-untouched).UnixMicro(), now.UnixMicro(), int64(max(limit, 0)))
}

func (s *Store) find(ctx context.Context, op, query string, args ...any) (found []string, err error) {
	err = s.read(ctx, op, func(ctx context.Context, q querier) error {
		found, err = all(ctx, q, text, query, args...)
		return err
	})
	return found, err
}

// Standing implements [application.Agenda].
func (s *Store) Standing(ctx context.Context, uids []string) (map[string]bool, error) {
	asked, err := json.Marshal(uids) // one parameter, however many there are
	if err != nil {
		return nil, classed("Standing", err)
	}
	live, err := s.find(ctx, "Standing", "SELECT uid FROM resources WHERE live AND uid IN (SELECT value FROM json_each(?))", string(asked))
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
	return s.writer.write(ctx, "Acknowledge", write{
		query:  "UPDATE outbox SET armed_at = nullif(armed_at, ?), acked_at = ?, sends = sends + 1 WHERE event_id = ? AND request IS NULL",
		args:   []any{stamp(armedAt), s.now().UnixMicro(), eventID},
		missed: refuse("Acknowledge", domain.NotFound, "no such event"),
	})
}
