package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// reopen is what burying again does: nothing, unless the letter was resumed,
// which then did not help.
const reopen = "ON CONFLICT (id) DO UPDATE SET state = 'OPEN', at = excluded.at, resumed_as = '' WHERE dead_letters.state = 'RESUMED'"

var (
	// The event goes with its letter: where that is stored already, so was this.
	buryQuery = "WITH buried AS (INSERT INTO dead_letters (" + letterColumns.names("") + ") VALUES (" + placeholders(2, len(letterColumns), letterTime,
		"coalesce($%d::timestamptz, $1::timestamptz, clock_timestamp())") + ") " + reopen + " RETURNING at)"
	buryAloneQuery     = buryQuery + " SELECT count(*) FROM buried"
	buryWithEventQuery = buryQuery + " INSERT INTO outbox (request, armed_at, " + eventColumns.names("") + ") SELECT 0, coalesce($1::timestamptz, clock_timestamp()), " +
		placeholders(2+len(letterColumns), len(eventColumns), -1, "") + " FROM buried ON CONFLICT DO NOTHING"
)

// letterTime is the place of the time among the columns of a letter.
const letterTime = 9

// placeholders lists parameters from a number on, one of them in another form.
func placeholders(from, n, special int, form string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("$%d", from+i)
		if i == special {
			all[i] = fmt.Sprintf(form, from+i)
		}
	}
	return strings.Join(all, ", ")
}

// Bury implements [application.Graveyard].
func (s *Store) Bury(ctx context.Context, d application.DeadLetter, event *application.Event) error {
	query, args := buryAloneQuery, append([]any{s.instant()}, letterRow(d)...)
	if event != nil {
		query, args = buryWithEventQuery, append(args, eventRow(*event)...)
	}
	_, err := s.exec(ctx, "Bury", query, args...)
	return err
}

// DeadLetters implements [application.Graveyard].
func (s *Store) DeadLetters(ctx context.Context, tenant string, limit int, cursor string) (page []application.DeadLetter, err error) {
	var q query
	q.add("SELECT " + letterColumns.names("") + " FROM dead_letters WHERE true")
	if tenant != "" {
		q.add(" AND tenant = ?", tenant)
	}
	if cursor != "" {
		q.add(" AND (at, id) < (SELECT at, id FROM dead_letters WHERE id = ?", cursor)
		if tenant != "" {
			q.add(" AND tenant = ?", tenant)
		}
		q.add(")")
	}
	q.add(" ORDER BY at DESC, id DESC LIMIT ?", pageOf(limit))
	err = s.read(ctx, "DeadLetters", func(ctx context.Context, p *pgxpool.Pool) error {
		page, err = all(ctx, p, scanLetter, q.text, q.args...)
		return err
	})
	return page, err
}

// DeadLetter implements [application.Graveyard].
func (s *Store) DeadLetter(ctx context.Context, id string) (d application.DeadLetter, err error) {
	err = s.read(ctx, "DeadLetter", func(ctx context.Context, p *pgxpool.Pool) error {
		var ok bool
		d, ok, err = one(ctx, p, scanLetter, "SELECT "+letterColumns.names("")+" FROM dead_letters WHERE id = $1", id)
		if err == nil && !ok {
			err = refuse("DeadLetter", domain.NotFound, "no such dead letter")
		}
		return err
	})
	return d, err
}

// Resumed implements [application.Graveyard].
func (s *Store) Resumed(ctx context.Context, id, requestID string) error {
	n, err := s.exec(ctx, "Resumed", "UPDATE dead_letters SET state = $1, resumed_as = $2 WHERE id = $3", string(application.LetterResumed), requestID, id)
	if err == nil && n == 0 {
		err = refuse("Resumed", domain.NotFound, "no such dead letter")
	}
	return err
}

const mootQuery = `UPDATE dead_letters d SET state = 'MOOT' FROM requests r
	WHERE d.state = 'OPEN' AND r.message_id = d.message_id AND r.status IN ('COMPLETED', 'CANCELLED')`

// Moot implements [application.Graveyard].
func (s *Store) Moot(ctx context.Context) (int, error) {
	n, err := s.exec(ctx, "Moot", mootQuery)
	return int(n), err
}
