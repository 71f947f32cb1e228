package sqlite

import (
	"context"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// Bury implements [application.Graveyard].
func (s *Store) Bury(ctx context.Context, d application.DeadLetter, event *application.Event) error {
	var known bool
	return s.writer.transact(ctx, "Bury", func(ctx context.Context, q querier) (err error) {
		_, known, err = one(ctx, q, text, "SELECT id FROM dead_letters WHERE id = ? AND state <> 'RESUMED'", d.ID)
		return err
	}, func() ([]write, error) {
		if known {
			return nil, nil
		}
		now := s.now()
		if d.At.IsZero() {
			d.At = now
		}
		writes := []write{writeLetter(d)}
		if event != nil {
			writes = append(writes, writeEvent(nil, *event, stamp(now)))
		}
		return writes, nil
	})
}

// DeadLetters implements [application.Graveyard].
func (s *Store) DeadLetters(ctx context.Context, tenant string, limit int, cursor string) (page []application.DeadLetter, err error) {
	query, args := "SELECT "+letterColumns+" FROM dead_letters WHERE true", []any{}
	if tenant != "" {
		query, args = query+" AND tenant = ?", append(args, tenant)
	}
	if cursor != "" {
		query += " AND (at, id) < (SELECT at, id FROM dead_letters WHERE id = ?"
		args = append(args, cursor)
		if tenant != "" {
			query, args = query+" AND tenant = ?", append(args, tenant)
		}
		query += ")"
	}
	err = s.read(ctx, "DeadLetters", func(ctx context.Context, q querier) error {
		page, err = all(ctx, q, scanLetter, query+" ORDER BY at DESC, id DESC LIMIT ?", append(args, pageOf(limit))...)
		return err
	})
	return page, err
}

// DeadLetter implements [application.Graveyard].
func (s *Store) DeadLetter(ctx context.Context, id string) (d application.DeadLetter, err error) {
	err = s.read(ctx, "DeadLetter", func(ctx context.Context, q querier) error {
		var ok bool
		d, ok, err = one(ctx, q, scanLetter, "SELECT "+letterColumns+" FROM dead_letters WHERE id = ?", id)
		if err == nil && !ok {
			err = refuse("DeadLetter", domain.NotFound, "no such dead letter")
		}
		return err
	})
	return d, err
}

// Resumed implements [application.Graveyard].
func (s *Store) Resumed(ctx context.Context, id, requestID string) error {
	return s.writer.write(ctx, "Resumed", write{
		query:  "UPDATE dead_letters SET state = ?, resumed_as = ? WHERE id = ?",
		args:   []any{string(application.LetterResumed), requestID, id},
		missed: refuse("Resumed", domain.NotFound, "no such dead letter"),
	})
}

// Moot implements [application.Graveyard].
func (s *Store) Moot(ctx context.Context) (int, error) {
	found := 0
	err := s.writer.write(ctx, "Moot", write{
		query: `UPDATE dead_letters SET state = 'MOOT' WHERE state = 'OPEN' AND message_id IN
			(SELECT r.message_id FROM requests r WHERE r.message_id = dead_letters.message_id AND r.status IN ('COMPLETED', 'CANCELLED'))`,
		count: func(n int64) { found = int(n) },
	})
	if err != nil {
		return 0, err
	}
	return found, nil
}
