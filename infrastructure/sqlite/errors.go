package sqlite

import (
	"context"
	"database/sql"
	"errors"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"kbnt.dev/virtualization/domain"
)

// classed gives an error of the database its Kind, once. One that has a Kind
// keeps it.
func classed(op string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*domain.Error](err); ok {
		return err
	}
	e := &domain.Error{Op: "sqlite." + op, Kind: domain.Internal, Detail: "the store failed", Err: err}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, sql.ErrConnDone) {
		e.Kind, e.Detail = domain.Unavailable, "the store did not answer in time"
		return e
	}
	answer, ok := errors.AsType[*driver.Error](err)
	if !ok {
		return e
	}
	switch answer.Code() & 0xff { // the primary code; the rest says more about it
	case codes.SQLITE_BUSY, codes.SQLITE_LOCKED, codes.SQLITE_INTERRUPT, codes.SQLITE_NOMEM, codes.SQLITE_READONLY,
		codes.SQLITE_IOERR, codes.SQLITE_FULL, codes.SQLITE_CANTOPEN, codes.SQLITE_PROTOCOL:
		e.Kind, e.Detail = domain.Unavailable, "the store cannot be used just now"
	case codes.SQLITE_CONSTRAINT:
		if c := answer.Code(); c == codes.SQLITE_CONSTRAINT_UNIQUE || c == codes.SQLITE_CONSTRAINT_PRIMARYKEY {
			e.Kind, e.Detail = domain.Conflict, "an id or a name is taken"
		}
	}
	return e
}

func refuse(op string, k domain.Kind, detail string) error {
	return &domain.Error{Op: "sqlite." + op, Kind: k, Detail: detail}
}

func closed(op string) error { return refuse(op, domain.Unavailable, "the store is closed") }

func tooLate(op string, ctx context.Context, detail string) error {
	return &domain.Error{Op: "sqlite." + op, Kind: domain.Unavailable, Detail: detail, Err: ctx.Err()}
}
