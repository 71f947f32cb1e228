package sqlite

import (
	"path/filepath"
	"testing"
)

// TestPragmas: what no test can make fail, loss of power, rests on these.
func TestPragmas(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "x.db")})
	if err != nil {
		t.Fatalf("Open: %v, want no error", err)
	}
	defer s.Close()
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000"} {
		if got, _, err := one(t.Context(), s.writer.conn, text, "PRAGMA "+pragma); err != nil || got != want {
			t.Errorf("PRAGMA %s of the writer: got %q, %v, want %q", pragma, got, err, want)
		}
	}
	if _, err := s.reader.ExecContext(t.Context(), "DELETE FROM documents"); err == nil {
		t.Error("writing through a reader: got no error, want one")
	}
}
