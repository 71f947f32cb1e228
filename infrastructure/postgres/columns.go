package postgres

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// stamp is a time as a column. The database keeps microseconds; cutting here, as
// it would round.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Truncate(time.Microsecond)
}

// moment reads a column written by stamp.
type moment struct{ to *time.Time }

// ScanTimestamptz implements [pgtype.TimestamptzScanner].
func (m moment) ScanTimestamptz(v pgtype.Timestamptz) error {
	*m.to = time.Time{}
	if v.Valid {
		*m.to = v.Time.UTC()
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

// ScanBytes implements [pgtype.BytesScanner].
func (s structure) ScanBytes(v []byte) error {
	if v == nil {
		return nil
	}
	return json.Unmarshal(v, s.to)
}

// blob is bytes as a column, NULL for nil ones. It is a copy: its owner may have
// left, and do with his what he likes, before it is written.
func blob(b []byte) any {
	if b == nil {
		return nil
	}
	return slices.Clone(b)
}

// scanner is the Scan of one row.
type scanner func(dest ...any) error

// text scans a row of one column.
func text(scan scanner, s *string) error { return scan(s) }

// each hands every row of an answer to a function.
func each[T any](rows pgx.Rows, scan func(scanner, *T) error, note func(*T)) error {
	for rows.Next() {
		var v T
		if err := scan(rows.Scan, &v); err != nil {
			return err
		}
		note(&v)
	}
	return rows.Err()
}

// columns are names and types of columns, in the order of the values of a row.
type columns []struct{ name, of string }

// columnsOf reads "name type, name type".
func columnsOf(list string) columns {
	var all columns
	for part := range strings.SplitSeq(list, ",") {
		name, of, _ := strings.Cut(strings.TrimSpace(part), " ")
		all = append(all, struct{ name, of string }{name, of})
	}
	return all
}

// and returns these columns and more.
func (c columns) and(more columns) columns { return append(append(columns{}, c...), more...) }

// names lists the columns, each with something before it.
func (c columns) names(before string) string {
	all := make([]string, len(c))
	for i, column := range c {
		all[i] = before + column.name
	}
	return strings.Join(all, ", ")
}

// arrays is what many rows are as one table: a parameter per column, each an
// array, so that a statement is one text however many rows it is given.
func (c columns) arrays() string {
	all := make([]string, len(c))
	for i, column := range c {
		all[i] = fmt.Sprintf("$%d::%s[]", i+1, column.of)
	}
	return "unnest(" + strings.Join(all, ", ") + ")"
}

// insert adds rows. rest is what follows.
func (c columns) insert(table, rest string) string {
	return "INSERT INTO " + table + " (" + c.names("") + ") SELECT * FROM " + c.arrays() + " " + rest
}

// update sets columns of the rows that the last column, the key, names.
func (c columns) update(table string) string {
	last := len(c) - 1
	sets := make([]string, last)
	for i, column := range c[:last] {
		sets[i] = column.name + " = x." + column.name
	}
	return "UPDATE " + table + " t SET " + strings.Join(sets, ", ") + " FROM " + c.arrays() +
		" AS x(" + c.names("") + ") WHERE t." + c[last].name + " = x." + c[last].name
}

// rows are values for one statement, by row.
type rows [][]any

// turned are the same values by column.
func (r rows) turned() []any {
	all := make([]any, len(r[0]))
	for i := range all {
		column := make([]any, len(r))
		for j, row := range r {
			column[j] = row[i]
		}
		all[i] = column
	}
	return all
}
