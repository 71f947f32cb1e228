//go:build integration

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/postgres"
	"kbnt.dev/virtualization/infrastructure/postgres/postgrestest"
)

// admission is the least that can be admitted.
func admission(tenant, id string, now time.Time) *application.Admission {
	message := domain.MessageID(tenant, id)
	return &application.Admission{
		New: true,
		Request: &domain.Request{Tenant: tenant, ID: id, MessageID: message, Type: domain.CreateMachine, Priority: domain.Normal, Goal: domain.ToTarget,
			Status: domain.Processing, Phase: domain.PhaseValidated, ResourceUID: domain.ResourceUID(message), AcceptedAt: now, DeadlineAt: now.Add(time.Hour), TouchedAt: now},
		Resource: &domain.Resource{UID: domain.ResourceUID(message), VirtualID: domain.VirtualID(domain.Machine, tenant, id, 16), Tenant: tenant, Kind: domain.Machine,
			State: domain.Provisioning, Live: true, Busy: message, CreatedAt: now, UpdatedAt: now},
		Steps: []domain.Step{domain.NewStep(domain.RequestReceived, now, 0, nil)},
		Event: application.Event{ID: domain.RequestedID(message), Topic: "requests", Data: []byte("data")},
	}
}

func admit(ctx context.Context, s *postgres.Store, tenant, id string) error {
	return s.Admit(ctx, application.AdmitScope{Tenant: tenant, RequestID: id, Kind: domain.Machine, Priority: domain.Normal}, func(t *application.Tenancy) error {
		if t.Existing == nil {
			t.Admitted = admission(tenant, id, t.Now)
		}
		return nil
	})
}

// once adds a step to a request, with an attempt, an epoch and a claim, unless it
// is there: twice is once, as with every transaction of the product.
func once(ctx context.Context, s *postgres.Store, message, step string) error {
	return s.Change(ctx, application.Scope{MessageID: message, Pools: []string{"pool"}}, func(w *application.Work) error {
		if _, ok := w.Step(domain.StepName(step)); ok {
			return nil
		}
		w.Note(domain.Step{Name: domain.StepName(step), At: w.Now})
		w.Request.Attempts++
		w.Resource.Lease.Epoch++
		w.Claim(domain.Claim{Pool: "pool", Value: message + step, Resource: w.Resource.UID, Amount: 1})
		return nil
	})
}

// until repeats a transaction as its callers do: as long as it is Unavailable.
func until(ctx context.Context, do func() error) (tries int, err error) {
	pause := time.NewTicker(10 * time.Millisecond)
	defer pause.Stop()
	for {
		tries++
		err = do()
		if err == nil || domain.KindOf(err) != domain.Unavailable {
			return tries, err
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return tries, errors.Join(ctx.Err(), err)
		}
	}
}

func TestDatabaseRestarts(t *testing.T) {
	t.Parallel()
	server(t)
	own, err := postgrestest.New() // the shared one must not go away under the others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := own.Close(); err != nil {
			t.Error(err)
		}
	})
	s := open(t, postgres.Options{URL: own.URL()})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	const requests, each = 20, 10
	for i := range requests {
		if err := admit(ctx, s, "acme", fmt.Sprint(i)); err != nil {
			t.Fatalf("Admit %d: %v, want no error", i, err)
		}
	}

	var done, troubled atomic.Int64
	begun, third := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	for i := range requests {
		all.Go(func() {
			<-begun
			message := domain.MessageID("acme", fmt.Sprint(i))
			for n := range each {
				tries, err := until(ctx, func() error { return once(ctx, s, message, fmt.Sprint("step-", n)) })
				if err != nil {
					t.Errorf("change %d of request %d: got %v, want at worst Unavailable, and success in the end", n, i, err)
				}
				if tries > 1 {
					troubled.Add(1)
				}
				if done.Add(1) == requests*each/3 {
					close(third)
				}
			}
		})
	}
	close(begun)
	<-third
	for _, stop := range []func() error{own.Kill, own.Stop} {
		if err := errors.Join(stop(), own.Start()); err != nil {
			t.Errorf("restart: %v", err)
		}
	}
	all.Wait()
	if troubled.Load() == 0 {
		t.Error("the database went away during 200 changes and none noticed: the test tests nothing")
	}
	for i := range requests {
		var r application.Record
		_, err := until(ctx, func() (err error) { r, err = s.Request(ctx, "acme", fmt.Sprint(i)); return err })
		if err != nil {
			t.Errorf("Request %d: %v, want no error", i, err)
		}
		if r.Request.Attempts != each || r.Resource.Lease.Epoch != each || len(r.Steps) != each+1 {
			t.Errorf("request %d after %d changes: got %d attempts, epoch %d, %d steps; want each change once and whole",
				i, each, r.Request.Attempts, r.Resource.Lease.Epoch, len(r.Steps))
		}
	}
	err = s.Change(ctx, application.Scope{MessageID: domain.MessageID("acme", "0"), Pools: []string{"pool"}}, func(w *application.Work) error {
		if len(w.Pools["pool"]) != requests*each {
			t.Errorf("claims: got %d, want %d", len(w.Pools["pool"]), requests*each)
		}
		return nil
	})
	if err != nil {
		t.Errorf("Change: %v, want no error", err)
	}
}

// A connection that breaks at the commit leaves open whether it happened; doing it
// again is doing it once.
func TestConnectionBreaksAtCommit(t *testing.T) {
	t.Parallel()
	address := server(t).Schema(t)
	s := open(t, postgres.Options{URL: address + "&application_name=" + t.Name()})
	if err := admit(t.Context(), s, "acme", "r"); err != nil {
		t.Fatalf("Admit: %v, want no error", err)
	}
	message := domain.MessageID("acme", "r")
	const rounds = 20
	for i := range rounds {
		step := fmt.Sprint("step-", i)
		err := s.Change(t.Context(), application.Scope{MessageID: message}, func(w *application.Work) error {
			w.Note(domain.Step{Name: domain.StepName(step), At: w.Now})
			w.Request.Attempts++
			w.Resource.Lease.Epoch++
			terminate(t, address, t.Name()) // what is sent from now on meets a closed connection
			return nil
		})
		if domain.KindOf(err) != domain.Unavailable || err == nil {
			t.Errorf("Change whose connection broke: got %v, want Unavailable", err)
		}
		if e, ok := errors.AsType[*domain.Error](err); !ok || e.Code != "store-away" {
			t.Errorf("Change whose connection broke: got %v, want the code store-away", err)
		}
		if _, err := until(t.Context(), func() error { return once(t.Context(), s, message, step) }); err != nil {
			t.Errorf("the same change again: %v, want no error", err)
		}
	}
	var r application.Record
	_, err := until(t.Context(), func() (err error) { r, err = s.Request(t.Context(), "acme", "r"); return err })
	if err != nil || r.Request.Attempts != rounds || r.Resource.Lease.Epoch != rounds || len(r.Steps) != rounds+1 {
		t.Errorf("after %d changes: got %d attempts, epoch %d, %d steps, %v; want each once", rounds, r.Request.Attempts, r.Resource.Lease.Epoch, len(r.Steps), err)
	}
}

// terminate ends the connections of a name, from the side of the database, while
// whole commits may be under way.
func terminate(t *testing.T, address, name string) {
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Errorf("connect: %v", err)
		return
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = $1", name); err != nil {
		t.Errorf("terminate: %v", err)
	}
}

// Connections end at any moment of many transactions at once, commits included:
// whatever was answered, repeating until there is no error does each thing once.
func TestConnectionsBreakAtAnyMoment(t *testing.T) {
	t.Parallel()
	address := server(t).Schema(t)
	s := open(t, postgres.Options{URL: address + "&application_name=" + t.Name()})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const callers, each = 16, 10
	quiet, stop := context.WithCancel(ctx)
	var killer, all sync.WaitGroup
	killer.Go(func() {
		for quiet.Err() == nil {
			terminate(t, address, t.Name())
		}
	})
	var repeated atomic.Int64
	for c := range callers {
		all.Go(func() {
			for i := range each {
				id := fmt.Sprintf("%d-%d", c, i)
				n, err := until(ctx, func() error { return admit(ctx, s, "acme", id) })
				if err != nil {
					t.Errorf("Admit %s: got %v, want success in the end", id, err)
				}
				m, err := until(ctx, func() error { return once(ctx, s, domain.MessageID("acme", id), "step") })
				if err != nil {
					t.Errorf("Change %s: got %v, want success in the end", id, err)
				}
				repeated.Add(int64(n + m - 2))
				if repeated.Load() > 200 {
					stop() // enough of that
				}
			}
		})
	}
	all.Wait()
	stop()
	killer.Wait()
	if repeated.Load() == 0 {
		t.Error("no transaction had to be repeated: the test tests nothing")
	}
	var u domain.Usage
	_, err := until(ctx, func() (err error) { u, err = s.Usage(ctx, "acme"); return err }) // a connection may have ended in the pool
	if err != nil || u.InFlight != callers*each {
		t.Errorf("usage after %d admissions: got %+v, %v, want as many in flight", callers*each, u, err)
	}
	for c := range callers {
		for i := range each {
			var r application.Record
			_, err := until(ctx, func() (err error) { r, err = s.Request(ctx, "acme", fmt.Sprintf("%d-%d", c, i)); return err })
			if err != nil || r.Request.Attempts != 1 || len(r.Steps) != 2 {
				t.Errorf("request %d-%d: got %d attempts, %d steps, %v, want its change once", c, i, r.Request.Attempts, len(r.Steps), err)
			}
		}
	}
}

// A database that does not answer costs a caller its own patience, no more.
func TestDatabaseHangs(t *testing.T) {
	t.Parallel()
	address := server(t).Schema(t)
	s := open(t, postgres.Options{URL: address})
	if err := admit(t.Context(), s, "acme", "r"); err != nil {
		t.Fatalf("Admit: %v, want no error", err)
	}
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, query := range []string{"BEGIN", "LOCK TABLE requests, resources, tenants IN ACCESS EXCLUSIVE MODE"} {
		if _, err := conn.Exec(t.Context(), query); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	for name, do := range map[string]func(context.Context) error{
		"Admit":   func(ctx context.Context) error { return admit(ctx, s, "acme", "r2") },
		"Change":  func(ctx context.Context) error { return once(ctx, s, domain.MessageID("acme", "r"), "step") },
		"Request": func(ctx context.Context) error { _, err := s.Request(ctx, "acme", "r"); return err },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		began := time.Now()
		err := do(ctx)
		cancel()
		if err == nil || domain.KindOf(err) != domain.Unavailable || time.Since(began) > 3*time.Second {
			t.Errorf("%s with 50 ms: got %v after %v, want Unavailable soon", name, err, time.Since(began))
		}
	}
	if _, err := conn.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if _, err := until(t.Context(), func() error { return once(t.Context(), s, domain.MessageID("acme", "r"), "step") }); err != nil {
		t.Errorf("Change when the database is back: %v, want no error", err)
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	s := open(t, postgres.Options{URL: "postgres:///kbnt?host=" + t.TempDir()})
	for name, err := range map[string]error{
		"Ping":   s.Ping(t.Context()),
		"Admit":  admit(t.Context(), s, "acme", "r"),
		"Change": once(t.Context(), s, "m", "s"),
	} {
		if err == nil || domain.KindOf(err) != domain.Unavailable {
			t.Errorf("%s without a database: got %v, want Unavailable", name, err)
		}
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	s, err := postgres.New(postgres.Options{URL: server(t).Schema(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := admit(t.Context(), s, "acme", "r"); err != nil {
		t.Fatalf("Admit: %v, want no error", err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v, want no error", err)
		}
	}
	for name, err := range map[string]error{
		"Ping":   s.Ping(t.Context()),
		"Admit":  admit(t.Context(), s, "acme", "r"),
		"Change": once(t.Context(), s, domain.MessageID("acme", "r"), "s"),
	} {
		if err == nil || domain.KindOf(err) != domain.Unavailable {
			t.Errorf("%s after Close: got %v, want Unavailable", name, err)
		}
	}
}
