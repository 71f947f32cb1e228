package sqlite_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/sqlite"
)

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		reason  string
		prepare func(t *testing.T, dir string) (path string)
		kind    domain.Kind
		says    string
	}{
		"no path": {"a store in memory is another adapter",
			func(*testing.T, string) string { return "" }, domain.Invalid, "want the path of a file"},
		"memory": {"SQLite's own name of a store in memory is no file",
			func(*testing.T, string) string { return ":memory:" }, domain.Invalid, "want the path of a file"},
		"no directory": {"directories are the operator's to make",
			func(_ *testing.T, dir string) string { return filepath.Join(dir, "none", "x.db") }, domain.Invalid, "no such file or directory"},
		"a directory": {"a directory cannot be written to",
			func(_ *testing.T, dir string) string { return dir }, domain.Invalid, "is a directory"},
		"not a database": {"somebody's file must not be overwritten",
			func(t *testing.T, dir string) string {
				return file(t, dir, strings.Repeat("these are notes\n", 100))
			}, domain.Invalid, "not a SQLite database"},
		"another program's": {"somebody's database must not be added to",
			func(t *testing.T, dir string) string { return database(t, dir, "CREATE TABLE notes (id)") }, domain.Invalid, "another program"},
		"newer": {"what a newer version wrote is not understood",
			func(t *testing.T, dir string) string {
				path := filepath.Join(dir, "x.db")
				if err := opened(t, path).Close(); err != nil {
					t.Fatal(err)
				}
				return database(t, dir, "PRAGMA user_version = 99")
			}, domain.Invalid, "schema 99"},
		"open": {"two processes would not see one another's transactions",
			func(t *testing.T, dir string) string {
				path := filepath.Join(dir, "x.db")
				open(t, sqlite.Options{Path: path})
				return path
			}, domain.Unavailable, "pid " + strconv.Itoa(os.Getpid())},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := test.prepare(t, t.TempDir())
			s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
			if err == nil {
				_ = s.Close()
				t.Fatalf("Open: got no error, want one: %s", test.reason)
			}
			if got := domain.KindOf(err); got != test.kind {
				t.Errorf("Open: got kind %v of %q, want %v: %s", got, err, test.kind, test.reason)
			}
			if !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Open: got %q, want one line with the path and %q", err, test.says)
			}
		})
	}
}

func file(t *testing.T, dir, text string) string {
	t.Helper()
	path := filepath.Join(dir, "x.db")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func database(t *testing.T, dir, statement string) string {
	t.Helper()
	path := filepath.Join(dir, "x.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(statement)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func opened(t *testing.T, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatalf("Open(%s): %v, want no error", path, err)
	}
	return s
}

// TestReopen: what was stored is there when the file is opened again, under a
// name that a URL would misread, and only its owner may read it.
func TestReopen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b?mode=ro&c%20#d.db")
	s := opened(t, path)
	admit(t, s, "acme", "r")
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatalf("Close, twice: %v, want no error", err)
	}
	if i, err := os.Stat(path); err != nil || i.Mode().Perm() != 0o600 {
		t.Errorf("file: got %v, %v, want mode 0600", i, err)
	}
	if _, err := open(t, sqlite.Options{Path: path}).Request(t.Context(), "acme", "r"); err != nil {
		t.Errorf("Request after opening again: %v, want no error", err)
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	s := opened(t, filepath.Join(t.TempDir(), "x.db"))
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v, want no error", err)
	}
	err := s.Change(t.Context(), application.Scope{MessageID: "m"}, func(*application.Work) error {
		t.Error("Change of a closed store called the function")
		return nil
	})
	if domain.KindOf(err) != domain.Unavailable {
		t.Errorf("Change of a closed store: got %v, want Unavailable", err)
	}
	if _, err := s.Census(t.Context()); domain.KindOf(err) != domain.Unavailable {
		t.Errorf("Census of a closed store: got %v, want Unavailable", err)
	}
}

// TestPanic: a function that panics, or ends its goroutine, takes its caller along
// and nobody else, and saves nothing.
func TestPanic(t *testing.T) {
	t.Parallel()
	s := open(t, sqlite.Options{Path: filepath.Join(t.TempDir(), "x.db")})
	admit(t, s, "acme", "r")
	spoil := func(w *application.Work) { w.Request.Attempts = 99 }
	func() {
		defer func() {
			if p := recover(); p != "a defect" {
				t.Errorf("panic of a function: recovered %v, want it", p)
			}
		}()
		_ = s.Change(t.Context(), application.Scope{Tenant: "acme", RequestID: "r"}, func(w *application.Work) error {
			spoil(w)
			panic("a defect")
		})
	}()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = s.Change(t.Context(), application.Scope{Tenant: "acme", RequestID: "r"}, func(w *application.Work) error {
			spoil(w)
			runtime.Goexit()
			return nil
		})
	}()
	<-gone
	r, err := s.Request(t.Context(), "acme", "r")
	if err != nil || r.Request.Attempts != 0 {
		t.Errorf("Request afterwards: got %d attempts, %v, want 0", r.Request.Attempts, err)
	}
	admit(t, s, "acme", "another")
}
