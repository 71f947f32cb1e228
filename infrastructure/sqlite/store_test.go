package sqlite_test

import (
	"path/filepath"
	"testing"

	"kbnt.dev/virtualization/application/applicationtest"
	"kbnt.dev/virtualization/infrastructure/sqlite"
)

func TestStore(t *testing.T) {
	t.Parallel()
	applicationtest.TestStore(t, func(t *testing.T) applicationtest.Stores {
		clock := applicationtest.Noon()
		s := open(t, sqlite.Options{Path: filepath.Join(t.TempDir(), "kbnt.db"), Now: clock.Now})
		return applicationtest.Stores{Store: s, Records: s, Agenda: s, Graveyard: s, Statistics: s, Clock: clock}
	})
}

// open opens a store until the test ends.
func open(t testing.TB, o sqlite.Options) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open(%+v): %v, want no error", o, err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v, want no error", err)
		}
	})
	return s
}
