package sqlite_test

import (
	"path/filepath"
	"testing"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/application/applicationtest"
	"kbnt.dev/virtualization/infrastructure/sqlite"
)

func TestProtocol(t *testing.T) {
	t.Parallel()
	applicationtest.TestProtocol(t, func(t *testing.T) applicationtest.Stores {
		clock := applicationtest.Noon()
		s := open(t, sqlite.Options{Path: filepath.Join(t.TempDir(), "kbnt.db"), Now: clock.Now})
		return applicationtest.Stores{Store: s, Records: s, Agenda: s, Graveyard: s, Statistics: s, Clock: clock}
	})
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	applicationtest.TestDocuments(t, func(t *testing.T) application.Documents {
		return open(t, sqlite.Options{Path: filepath.Join(t.TempDir(), "kbnt.db")})
	})
}
