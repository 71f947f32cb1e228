package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"kbnt.dev/virtualization/domain"
)

// away is the code of every error that says that the database cannot be used.
const away = "store-away"

// classed gives an error of the database its Kind, once. One that has a Kind
// keeps it.
func classed(op string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*domain.Error](err); ok {
		return err
	}
	e := &domain.Error{Op: "postgres." + op, Kind: domain.Internal, Detail: "the store failed", Err: err}
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok {
		e.Kind, e.Detail = kindOf(answer.Code)
	} else if lost(err) {
		e.Kind, e.Detail = domain.Unavailable, "the store did not answer"
	}
	if e.Kind == domain.Unavailable {
		e.Code = away
	}
	return e
}

// kindOf says what an SQLSTATE means (PostgreSQL manual, appendix A).
func kindOf(code string) (domain.Kind, string) {
	switch code {
	case "23505": // unique_violation
		return domain.Conflict, "an id, a name or a claim is taken"
	case "22021", "22P05": // character_not_in_repertoire, untranslatable_character: a NUL, or no UTF-8
		return domain.Invalid, "a text has characters that the store does not take"
	case "55P03", // lock_not_available
		"25006", // read_only_sql_transaction: this one was the primary
		"25P03": // idle_in_transaction_session_timeout
		return domain.Unavailable, "the store cannot be used just now"
	}
	for _, class := range []string{
		"08", // connection exception
		"28", // authorization: a password that is being changed
		"3D", // the database does not exist, yet
		"40", // transaction rollback: serialization failure, deadlock
		"53", // insufficient resources: disk full, too many connections
		"57", // operator intervention: shutting down, starting, cancelled by a timeout
		"58", // system error: I/O
	} {
		if strings.HasPrefix(code, class) {
			return domain.Unavailable, "the store cannot be used just now"
		}
	}
	return domain.Internal, "the store failed"
}

// lost reports whether an error is of the way to the database.
func lost(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return pgconn.Timeout(err) || pgconn.SafeToRetry(err) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

func refuse(op string, k domain.Kind, detail string) error {
	return &domain.Error{Op: "postgres." + op, Kind: k, Detail: detail}
}

func unavailable(op, detail string, err error) error {
	return &domain.Error{Op: "postgres." + op, Kind: domain.Unavailable, Code: away, Detail: detail, Err: err}
}

func closed(op string) error { return unavailable(op, "the store is closed", nil) }

func tooLate(op string, ctx context.Context, detail string) error {
	return unavailable(op, detail, context.Cause(ctx))
}
