//go:build integration

package postgres_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/postgres"
)

// connect opens a connection until the test ends.
func connect(t *testing.T, address string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func versions(t *testing.T, conn *pgx.Conn) (n, newest int) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), "SELECT count(*), coalesce(max(version), 0) FROM schema_versions").Scan(&n, &newest); err != nil {
		t.Fatalf("versions: %v", err)
	}
	return n, newest
}

// Instances of a rollout start together.
func TestMigrationsAtOnce(t *testing.T) {
	t.Parallel()
	address := server(t).Schema(t)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range 8 {
		s := open(t, postgres.Options{URL: address, Connections: 1})
		all.Go(func() {
			<-start
			if err := admit(t.Context(), s, "acme", fmt.Sprint(i)); err != nil {
				t.Errorf("Admit as the first thing of instance %d: %v, want no error", i, err)
			}
		})
	}
	close(start)
	all.Wait()
	if n, newest := versions(t, connect(t, address)); n != newest || n < 1 {
		t.Errorf("schema after 8 starts: got %d versions, the newest %d, want each once", n, newest)
	}
}

// The tables may be of a newer release, which is being rolled out or was rolled back.
func TestNewerSchema(t *testing.T) {
	t.Parallel()
	address := server(t).Schema(t)
	if err := open(t, postgres.Options{URL: address}).Ping(t.Context()); err != nil {
		t.Fatalf("Ping: %v, want no error", err)
	}
	conn := connect(t, address)
	for _, query := range []string{"INSERT INTO schema_versions (version) VALUES (99)", "ALTER TABLE requests ADD COLUMN novelty text NOT NULL DEFAULT ''"} {
		if _, err := conn.Exec(t.Context(), query); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	s := open(t, postgres.Options{URL: address})
	if err := admit(t.Context(), s, "acme", "r"); err != nil {
		t.Errorf("Admit on newer tables: %v, want no error", err)
	}
	if err := once(t.Context(), s, domain.MessageID("acme", "r"), "step"); err != nil {
		t.Errorf("Change on newer tables: %v, want no error", err)
	}
}

// A migration that fails, here for a table in the way, leaves nothing and is tried
// again at the next use.
func TestMigrationIsTriedAgain(t *testing.T) {
	t.Parallel()
	address := server(t).Schema(t)
	conn := connect(t, address)
	if _, err := conn.Exec(t.Context(), "CREATE TABLE steps (in_the_way text)"); err != nil {
		t.Fatal(err)
	}
	s := open(t, postgres.Options{URL: address})
	if err := admit(t.Context(), s, "acme", "r"); err == nil {
		t.Error("Admit where somebody else's table is in the way: got no error")
	}
	var n int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()").Scan(&n); err != nil || n != 1 {
		t.Errorf("tables after a failed migration: got %d, %v, want only the one in the way", n, err)
	}
	if _, err := conn.Exec(t.Context(), "DROP TABLE steps"); err != nil {
		t.Fatal(err)
	}
	if err := admit(t.Context(), s, "acme", "r"); err != nil {
		t.Errorf("Admit when it is out of the way: %v, want no error", err)
	}
}

// Without a clock of its own the store has the database's, to the microsecond and
// read after the locks: a later transaction never has an earlier time.
func TestClockIsTheDatabases(t *testing.T) {
	t.Parallel()
	address := server(t).Schema(t)
	s := open(t, postgres.Options{URL: address})
	conn := connect(t, address)
	var before, after time.Time
	if err := conn.QueryRow(t.Context(), "SELECT clock_timestamp()").Scan(&before); err != nil {
		t.Fatal(err)
	}
	var seen []time.Time
	for i := range 5 {
		if err := admit(t.Context(), s, "acme", fmt.Sprint(i)); err != nil {
			t.Fatalf("Admit: %v, want no error", err)
		}
		r, err := s.Request(t.Context(), "acme", fmt.Sprint(i))
		if err != nil {
			t.Fatalf("Request: %v, want no error", err)
		}
		seen = append(seen, r.Request.AcceptedAt)
	}
	if err := conn.QueryRow(t.Context(), "SELECT clock_timestamp()").Scan(&after); err != nil {
		t.Fatal(err)
	}
	last := before
	for i, at := range append(seen, after) {
		if at.Before(last) {
			t.Errorf("transaction %d: got %v, want no earlier than %v", i, at, last)
		}
		last = at
	}
	c, err := s.Census(t.Context())
	if err != nil || c.Now.Before(after) || c.Now.Location() != time.UTC {
		t.Errorf("Census: got %v, %v, want a time after %v, in UTC", c.Now, err, after)
	}
}
