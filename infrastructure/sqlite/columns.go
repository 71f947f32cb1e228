package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// stamp is a time as a column.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// moment reads a column written by stamp.
type moment struct{ to *time.Time }

// Scan implements [sql.Scanner].
func (m moment) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*m.to = time.Time{}
	case int64:
		*m.to = time.UnixMicro(v).UTC()
	default:
		return fmt.Errorf("a time is stored as %T", v)
	}
	return nil
}

// document is a value as a JSON column, NULL for what JSON calls null.
func document(v any) any {
	b, err := json.Marshal(v)
	if err != nil || string(b) == "null" { // plain data: cannot fail
		return nil
	}
	return string(b)
}

// structure reads a column written by document.
type structure struct{ to any }

// Scan implements [sql.Scanner].
func (s structure) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return json.Unmarshal([]byte(v), s.to)
	default:
		return fmt.Errorf("a JSON document is stored as %T", v)
	}
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// querier is a connection, a transaction or a pool.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// all returns every row of a query.
func all[T any](ctx context.Context, q querier, scan func(scanner, *T) error, query string, args ...any) (found []T, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var v T
		if err := scan(rows.Scan, &v); err != nil {
			return nil, err
		}
		found = append(found, v)
	}
	return found, rows.Err()
}

// one returns the first row of a query, if there is one.
func one[T any](ctx context.Context, q querier, scan func(scanner, *T) error, query string, args ...any) (v T, ok bool, err error) {
	found, err := all(ctx, q, scan, query, args...)
	if err != nil || len(found) == 0 {
		return v, false, err
	}
	return found[0], true, nil
}

// scanner is the Scan of one row.
type scanner func(dest ...any) error

// text scans a row of one column.
func text(scan scanner, s *string) error { return scan(s) }

func whole(scan scanner, n *int64) error { return scan(n) }

// names makes a list of columns out of a text of them.
func names(list string) []string { return strings.Fields(list) }

// The writer rolls back everything when a statement fails, so a statement need
// not keep a copy of each page that its triggers touch: OR FAIL spares that.

// insert is the statement that adds a row of these columns.
func insert(table string, columns []string) string {
	return "INSERT OR FAIL INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES (?" + strings.Repeat(", ?", len(columns)-1) + ")"
}

// update is the statement that sets these columns of the row that a key names.
func update(table string, columns []string, key string) string {
	return "UPDATE OR FAIL " + table + " SET " + strings.Join(columns, " = ?, ") + " = ? WHERE " + key + " = ?"
}
