package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"kbnt.dev/virtualization/domain"
)

func TestClassed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		reason string
		err    error
		want   domain.Kind
		code   string
	}{
		"unique":          {"somebody else has it", &pgconn.PgError{Code: "23505"}, domain.Conflict, ""},
		"serialization":   {"repeating may succeed", &pgconn.PgError{Code: "40001"}, domain.Unavailable, away},
		"deadlock":        {"repeating may succeed", &pgconn.PgError{Code: "40P01"}, domain.Unavailable, away},
		"lock timeout":    {"repeating may succeed", &pgconn.PgError{Code: "55P03"}, domain.Unavailable, away},
		"statement":       {"it was cancelled by its timeout", &pgconn.PgError{Code: "57014"}, domain.Unavailable, away},
		"terminated":      {"an operator or a shutdown", &pgconn.PgError{Code: "57P01", Severity: "FATAL"}, domain.Unavailable, away},
		"starting":        {"it will be there soon", &pgconn.PgError{Code: "57P03", Severity: "FATAL"}, domain.Unavailable, away},
		"disk full":       {"an operator makes room", &pgconn.PgError{Code: "53100"}, domain.Unavailable, away},
		"connections":     {"another may go", &pgconn.PgError{Code: "53300", Severity: "FATAL"}, domain.Unavailable, away},
		"read only":       {"a failover is under way", &pgconn.PgError{Code: "25006"}, domain.Unavailable, away},
		"no such table":   {"a defect", &pgconn.PgError{Code: "42P01"}, domain.Internal, ""},
		"a NUL":           {"PostgreSQL keeps none", &pgconn.PgError{Code: "22021"}, domain.Invalid, ""},
		"ctx ended":       {"the caller's patience", fmt.Errorf("x: %w", context.DeadlineExceeded), domain.Unavailable, away},
		"connection lost": {"the network", fmt.Errorf("x: %w", io.ErrUnexpectedEOF), domain.Unavailable, away},
		"another":         {"nobody classed it", errors.New("x"), domain.Internal, ""},
		"has a Kind":      {"it is classed once", refuse("x", domain.NotFound, "y"), domain.NotFound, ""},
	} {
		got, ok := errors.AsType[*domain.Error](classed("Change", test.err))
		if !ok || got.Kind != test.want || got.Code != test.code {
			t.Errorf("%s: classed(%v): got %+v, want kind %v, code %q: %s", name, test.err, got, test.want, test.code, test.reason)
		}
		if !errors.Is(got, test.err) && got != test.err {
			t.Errorf("%s: classed(%v): got %v, want the cause within", name, test.err, got)
		}
	}
	if err := classed("Change", nil); err != nil {
		t.Errorf("classed(nil): got %v, want nil", err)
	}
}
