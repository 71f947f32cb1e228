//go:build integration

package cutlines

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"kbnt.dev/virtualization/eventing"
	"kbnt.dev/virtualization/infrastructure/postgres/postgrestest"
)

// own returns a server that the test may stop.
func own(t testing.TB) *postgrestest.Server {
	t.Helper()
	s, err := postgrestest.New()
	if errors.Is(err, postgrestest.ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// troubles are the ways in which a database cannot be used. begin returns what
// ends it.
var troubles = map[string]struct {
	reason string
	begin  func(*testing.T, *postgrestest.Server, *platform) (end func())
}{
	"refused": {
		reason: "no connection can be made, and those there were are gone",
		begin: func(_ *testing.T, _ *postgrestest.Server, p *platform) func() {
			for _, w := range p.wires {
				w.away(true)
			}
			return func() {
				for _, w := range p.wires {
					w.away(false)
				}
			}
		},
	},
	"stopped": {
		reason: "an operator stops the server, and starts it again",
		begin: func(t *testing.T, s *postgrestest.Server, _ *platform) func() {
			if err := s.Stop(); err != nil {
				t.Fatal(err)
			}
			return func() {
				if err := s.Start(); err != nil {
					t.Fatal(err)
				}
			}
		},
	},
	"locked": {
		reason: "statements run into the time limits of their sessions",
		begin: func(t *testing.T, _ *postgrestest.Server, p *platform) func() {
			db, err := pgx.Connect(t.Context(), p.url)
			if err == nil {
				_, err = db.Exec(t.Context(), "BEGIN; LOCK TABLE tenants, requests, resources, usage, flights IN ACCESS EXCLUSIVE MODE")
			}
			if err != nil {
				t.Fatal(err)
			}
			return func() {
				if err := db.Close(t.Context()); err != nil { // which rolls back
					t.Fatal(err)
				}
			}
		},
	},
	"slow": {
		reason: "every answer comes later than anybody waits",
		begin: func(_ *testing.T, _ *postgrestest.Server, p *platform) func() {
			for _, w := range p.wires {
				w.slow(patience + patience/2)
			}
			return func() {
				for _, w := range p.wires {
					w.slow(0)
				}
			}
		},
	},
}

// Without its database every function says so, and that it will be well again.
// When it is, everything goes on where it was.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	var tests []subtest
	for name, trouble := range troubles {
		tests = append(tests, subtest{name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*longest)
			defer cancel()
			s := own(t)
			p := start(t, setting{url: s.Schema(t), session: "&lock_timeout=200ms&statement_timeout=400ms"})
			known := p.newLife("create")
			if err := errors.Join(known.through(ctx, nil), known.sound(ctx)); err != nil {
				t.Fatalf("before: %v", err)
			}
			stuck := p.newLife("create") // its event is on the way to provision
			p.wires[provToStore].away(true)
			if _, err := stuck.post(ctx, stuck.request, createBody); err != nil {
				t.Fatal(err)
			}
			end := trouble.begin(t, s, p)
			p.wires[provToStore].away(name == "refused")

			asked := p.newLife("create")
			for _, ask := range []struct{ method, path, key, body string }{
				{http.MethodPost, "/api/v1/virtualize", asked.request, createBody},
				{http.MethodPost, "/api/v1/virtualize?dryRun=true", asked.request, createBody},
				{http.MethodDelete, "/api/v1/requests/" + stuck.request, "", ""},
				{http.MethodGet, "/api/v1/requests/" + stuck.request, "", ""},
				{http.MethodGet, "/api/v1/requests", "", ""},
				{http.MethodGet, "/api/v1/resources", "", ""},
				{http.MethodGet, "/api/v1/quota", "", ""},
			} {
				status, header, answer, err := asked.ask(ctx, ask.method, ask.path, ask.key, ask.body)
				if err != nil || status != http.StatusServiceUnavailable {
					t.Errorf("%s %s: %d %s, %v, want 503: %s", ask.method, ask.path, status, answer, err, trouble.reason)
				} else if err := unavailable(header, answer); err != nil {
					t.Errorf("%s %s: %v", ask.method, ask.path, err)
				}
			}
			for topic, to := range map[string]string{eventing.TopicRequests: p.provision, eventing.TopicResults: p.notify} {
				e := p.topics.of(topic, known.request)[0]
				if status := p.topics.post(to, e.header, e.body); status != http.StatusServiceUnavailable {
					t.Errorf("a delivery of %s: %d, want 503: %s", e.header.Get("Ce-Type"), status, trouble.reason)
				}
			}
			end()

			if err := asked.through(ctx, nil); err != nil {
				t.Fatalf("afterwards: %v", err)
			}
			for _, l := range []*life{known, stuck, asked} {
				if err := errors.Join(p.quiet(ctx, l.tenant, nil), l.sound(ctx)); err != nil {
					t.Errorf("afterwards, %s: %v", l.request, err)
				}
			}
		}})
	}
	together(t, tests)
}

// The database ends twice, once without a farewell, in the middle of fifty lives.
func TestDatabaseRestarts(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*longest)
	defer cancel()
	s := own(t)
	p := start(t, setting{url: s.Schema(t)})
	const many = 50
	var lives []*life
	var running sync.WaitGroup
	var accepted atomic.Int64
	some := make(chan struct{})
	for range many {
		l := p.newLife("create")
		lives = append(lives, l)
		running.Go(func() {
			if _, err := l.post(ctx, l.request, createBody); err != nil {
				t.Error(err)
			}
			if accepted.Add(1) == many/5 {
				close(some)
			}
		})
	}
	for _, restart := range []struct {
		when func() bool
		stop func() error
	}{
		{func() bool { <-some; return true }, s.Kill},
		{func() bool { return p.topics.await(ctx, http.StatusOK, many/2) }, s.Stop},
	} {
		if !restart.when() {
			t.Fatalf("not far enough in time: %v", ctx.Err())
		}
		if err := errors.Join(restart.stop(), s.Start()); err != nil {
			t.Fatal(err)
		}
	}
	running.Wait()
	now := make(chan struct{})
	close(now)
	for _, l := range lives {
		if err := p.quiet(ctx, l.tenant, now); err != nil {
			t.Fatalf("%s: %v", l.request, err)
		}
	}
	for _, l := range lives {
		if err := l.sound(ctx); err != nil {
			t.Errorf("%s: %v", l.request, err)
		}
	}
}

// An answer does not come, and the connection stays. Whoever waits gives up in time.
// The store's own time limit for that is 15 s, so only the telling places are tried.
func TestSilence(t *testing.T) {
	t.Parallel()
	s := own(t)
	var tests []subtest
	for _, c := range []struct {
		line string
		at   int
	}{
		{clientToIntake, 1}, {intakeToSink, 1}, {sourceToProv, 1}, {provToSink, 1}, {sourceToNotify, 1}, {notifyToSink, 1},
		{intakeToStore, 3}, // the commit of the admission
		{provToStore, 2},   // the commit of the lease
		{provToStore, 16},  // the hypervisor's
		{provToStore, 20},  // the outcome's
		{notifyToStore, 2}, // of the terminal event
	} {
		tests = append(tests, subtest{fmt.Sprint(c.line, " ", c.at), func(t *testing.T) {
			p := start(t, setting{url: s.Schema(t)})
			fired, err := p.live(t.Context(), chain{scenario: "create"}, 0)
			if err == nil {
				fired, err = p.live(t.Context(), chain{"create", c.line, silence}, c.at)
			}
			if err != nil || !fired {
				t.Errorf("silent at the %d. exchange: %v, %v, want a sound life with it", c.at, fired, err)
			}
		}})
	}
	together(t, tests)
}
