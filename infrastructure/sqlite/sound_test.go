package sqlite_test

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/sqlite"
)

// sound checks a closed file: its pages, its references, and that the sums the
// triggers keep are those of the rows.
func sound(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for query, want := range map[string]string{
		"PRAGMA integrity_check":                        "ok",
		"SELECT count(*) FROM pragma_foreign_key_check": "0",
		"SELECT count(*) FROM requests WHERE resource_uid NOT IN (SELECT uid FROM resources)": "0",
		`SELECT count(*) FROM (SELECT tenant, sum(machines), sum(cores), sum(memory), sum(storage), sum(networks), sum(cost) FROM resources WHERE live GROUP BY tenant
			EXCEPT SELECT tenant, machines, cores, memory, storage, networks, hourly FROM usage)`: "0",
		`SELECT count(*) FROM usage u WHERE u.machines <> (SELECT count(*) FROM resources WHERE tenant = u.tenant AND live AND kind = 'virtual-machine')`:              "0",
		`SELECT count(*) FROM usage u WHERE in_flight <> (SELECT count(*) FROM requests r WHERE r.tenant = u.tenant AND status = 'PROCESSING')`:                        "0",
		`SELECT count(*) FROM lanes l WHERE unfinished <> (SELECT count(*) FROM requests r WHERE r.priority = l.priority AND status = 'PROCESSING')`:                   "0",
		`SELECT sum(machines) - (SELECT count(*) FROM resources WHERE kind = 'virtual-machine') FROM days`:                                                             "0",
		`SELECT value - (SELECT coalesce(sum(cost * (1 + (updated_at - created_at) / 3600000000)), 0) FROM resources WHERE NOT live) FROM totals WHERE name = 'spent'`: "0",
	} {
		var got string
		if err := db.QueryRow(query).Scan(&got); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", query, got, err, want)
		}
	}
}

// TestSums: what the triggers add up follows the rows, whatever is done to them,
// and a transaction that fails in the middle of its statements leaves no trace of
// itself, and all of those that shared its commit.
func TestSums(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kbnt.db")
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatalf("Open: %v, want no error", err)
	}
	admit(t, s, "acme", "first")
	first, err := s.Request(t.Context(), "acme", "first")
	if err != nil {
		t.Fatal(err)
	}
	const n = 120
	done := make(chan error, n)
	for i := range n {
		go func() { done <- live(t, s, i, first.Resource.VirtualID) }()
	}
	for range n {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	u, err := s.Usage(t.Context(), "acme")
	if err != nil || u.Machines != 1+n/4 || u.Cores != 4*u.Machines {
		t.Errorf("Usage: got %+v, %v, want %d machines", u, err, 1+n/4)
	}
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v, want no error", err)
	}
	sound(t, path)
}

// live does what the number says: 0 mod 4 makes a machine, 1 and 2 one that is
// gone in the end, 3 one whose last statements fail.
func live(t *testing.T, s *sqlite.Store, i int, taken string) error {
	id := fmt.Sprint(i)
	if i%4 == 3 {
		y := wish("acme", id)
		y.admission.Steps[1].Detail = []byte(`{}`)
		y.admission.Resource.VirtualID = taken // the resource's statement fails
		if i%8 == 7 {
			y.admission.Resource.VirtualID, y.admission.Request.ID = "free-"+id, "first" // the request's, after the resource's
		}
		err := y.admit(t.Context(), s)
		if domain.KindOf(err) != domain.Conflict {
			return fmt.Errorf("Admit(%s) of what is taken: got %w, want Conflict", id, err)
		}
		return nil
	}
	if err := admitting(t.Context(), s, "acme", id); err != nil {
		return err
	}
	return s.Change(t.Context(), application.Scope{Tenant: "acme", RequestID: id}, func(w *application.Work) error {
		if !w.Request.Decide(w.Now) || !w.Request.Finish(w.Now) {
			return errors.New("already done")
		}
		w.Resource.Settle(domain.Running, i%4 == 0, w.Now)
		return nil
	})
}
