//go:build integration

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/application/applicationtest"
	"kbnt.dev/virtualization/infrastructure/postgres"
	"kbnt.dev/virtualization/infrastructure/postgres/postgrestest"
)

// shared is the server of all tests but those that stop theirs; nil when there is none.
var shared *postgrestest.Server

func TestMain(m *testing.M) {
	var err error
	if shared, err = postgrestest.Use(os.Getenv("DATABASE_URL")); err != nil && !errors.Is(err, postgrestest.ErrMissing) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if shared != nil {
		if err := shared.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// server returns the shared server, and skips the test where there is none.
func server(t testing.TB) *postgrestest.Server {
	t.Helper()
	if shared == nil {
		t.Skip(postgrestest.ErrMissing)
	}
	return shared
}

// open opens a store until the test ends.
func open(t testing.TB, o postgres.Options) *postgres.Store {
	t.Helper()
	s, err := postgres.New(o)
	if err != nil {
		t.Fatalf("New: %v, want no error", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v, want no error", err)
		}
	})
	return s
}

func openStores(t *testing.T) applicationtest.Stores {
	clock := applicationtest.Noon()
	s := open(t, postgres.Options{URL: server(t).Schema(t), Clock: clock.Now})
	return applicationtest.Stores{Store: s, Records: s, Agenda: s, Graveyard: s, Statistics: s, Clock: clock}
}

func TestStore(t *testing.T) {
	t.Parallel()
	applicationtest.TestStore(t, openStores)
}

// instances are several stores on one database, as the instances of a function
// are: what keeps their transactions apart is in the database alone.
type instances struct {
	*postgres.Store // reads
	all             []*postgres.Store
	turn            *atomic.Int64
}

func (s instances) next() *postgres.Store { return s.all[int(s.turn.Add(1))%len(s.all)] }

func (s instances) Admit(ctx context.Context, scope application.AdmitScope, decide func(*application.Tenancy) error) error {
	return s.next().Admit(ctx, scope, decide)
}

func (s instances) Change(ctx context.Context, scope application.Scope, change func(*application.Work) error) error {
	return s.next().Change(ctx, scope, change)
}

func TestStoreOfManyInstances(t *testing.T) {
	t.Parallel()
	applicationtest.TestStore(t, func(t *testing.T) applicationtest.Stores {
		clock := applicationtest.Noon()
		o := postgres.Options{URL: server(t).Schema(t), Clock: clock.Now, Connections: 3}
		s := instances{turn: new(atomic.Int64)}
		for range 3 {
			s.all = append(s.all, open(t, o))
		}
		s.Store = s.all[0]
		return applicationtest.Stores{Store: s, Records: s, Agenda: s, Graveyard: s, Statistics: s, Clock: clock}
	})
}

func TestProtocol(t *testing.T) {
	t.Parallel()
	applicationtest.TestProtocol(t, openStores)
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	applicationtest.TestDocuments(t, func(t *testing.T) application.Documents {
		return open(t, postgres.Options{URL: server(t).Schema(t)})
	})
}
