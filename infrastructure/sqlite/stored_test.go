package sqlite_test

import (
	"database/sql"
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/sqlite"
)

var many = flag.Int("stored", 100_000, "requests that BenchmarkStored stores for its larger half")

// BenchmarkStored compares what a client waits for when few requests are stored
// and when many are (-stored 1000000: a minute to prepare, 3 GB).
func BenchmarkStored(b *testing.B) {
	for _, n := range []int{1000, *many} {
		path := filepath.Join(b.TempDir(), "kbnt.db")
		fill(b, path, n)
		s := open(b, sqlite.Options{Path: path})
		next := 0
		for name, do := range map[string]func(i int) error{
			"accept": func(int) error {
				next++
				return admitting(b.Context(), s, "acme", fmt.Sprint("new-", next))
			},
			"status": func(i int) error {
				_, err := s.Request(b.Context(), "acme", fmt.Sprint("old-", i*7919%n))
				return err
			},
			"list": func(int) error {
				_, err := s.Requests(b.Context(), "acme", application.RequestFilter{Limit: 20})
				return err
			},
			"list failed": func(int) error {
				_, err := s.Requests(b.Context(), "acme", application.RequestFilter{Limit: 20, Status: domain.Fault})
				return err
			},
		} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				for i := range b.N {
					if err := do(i); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// fill stores one request and copies its rows, as finished ones.
func fill(b *testing.B, path string, n int) {
	b.Helper()
	s, err := sqlite.Open(b.Context(), sqlite.Options{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	admit(b, s, "acme", "seed")
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // the transaction is the connection's
	const numbers = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
	for _, statement := range []string{
		"PRAGMA synchronous = off; PRAGMA cache_size = -400000; BEGIN",
		"CREATE TEMP TABLE ids AS " + numbers + "SELECT i, lower(hex(randomblob(16))) AS m, lower(hex(randomblob(16))) AS u FROM n",
		"INSERT INTO resources SELECT " + columns(b, db, "resources", map[string]string{"uid": "ids.u", "virtual_id": "'VM-' || ids.u",
			"created_by": "ids.m", "state": "'DELETED'", "live": "0", "busy": "''", "created_at": "t.created_at + ids.i"}) + " FROM ids, (SELECT * FROM resources LIMIT 1) t",
		"INSERT INTO requests SELECT " + columns(b, db, "requests", map[string]string{"seq": "ids.i + 2", "id": "'old-' || ids.i", "message_id": "ids.m", "resource_uid": "ids.u",
			"status": "'COMPLETED'", "decided": "'COMPLETED'", "phase": "'DONE'", "accepted_at": "t.accepted_at + ids.i", "turns_at": "NULL"}) + " FROM ids, (SELECT * FROM requests LIMIT 1) t",
		"INSERT INTO steps SELECT " + columns(b, db, "steps", map[string]string{"request": "ids.i + 2"}) + " FROM ids, (SELECT * FROM steps LIMIT 3) t ORDER BY ids.i",
		"INSERT INTO outbox SELECT " + columns(b, db, "outbox", map[string]string{"request": "ids.i + 2", "event_id": "ids.m", "armed_at": "NULL"}) + " FROM ids, (SELECT * FROM outbox LIMIT 1) t",
		"COMMIT",
	} {
		if strings.Contains(statement, "%d") {
			statement = fmt.Sprintf(statement, n-1)
		}
		if _, err := db.Exec(statement); err != nil {
			b.Fatalf("%s: %v", statement, err)
		}
	}
}

// columns lists the columns of a table, those of the map replaced.
func columns(b *testing.B, db *sql.DB, table string, replaced map[string]string) string {
	b.Helper()
	rows, err := db.Query("SELECT name FROM pragma_table_info(?)", table)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			b.Fatal(err)
		}
		if to, ok := replaced[name]; ok {
			list = append(list, to)
		} else {
			list = append(list, `t."`+name+`"`)
		}
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
	return strings.Join(list, ", ")
}
