//go:build integration

package proof

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kbnt.dev/virtualization/infrastructure/postgres/postgrestest"
)

var (
	update = flag.Bool("update", false, "rewrite testdata/points.txt with the points that a run passes")
	chains = flag.Int("chains", 3, "chains that are tried beside each other")
	twice  = flag.Bool("twice", false, "every event is delivered twice, and some late, also where processes die at points")
	only   = flag.String("only", "", "take only the points whose line in testdata/points.txt contains this")
)

const golden = "testdata/points.txt"

// server starts a PostgreSQL for a test, which is skipped where there is none.
func server(t *testing.T) *postgrestest.Server {
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

// calm is a chain that nothing helps but the flow itself, so its points are always
// the same.
func calm() settings {
	return settings{Record: true, Pace: pace{Speed: 100, Backoff: "PT0.2S", Sweep: time.Hour, Budget: 20 * time.Second, Patience: 15 * time.Second,
		Landing: time.Second, Unsent: time.Minute, Untouched: time.Minute, Deadline: 10 * time.Minute, MaxAttempts: 5}}
}

// quick is a chain that helps itself within seconds.
func quick() settings {
	return settings{Pace: pace{Speed: 100, Backoff: "PT0.2S", Sweep: 300 * time.Millisecond, Budget: 3 * time.Second, Patience: 2 * time.Second,
		Landing: 500 * time.Millisecond, Unsent: time.Second, Untouched: 1500 * time.Millisecond, Deadline: 10 * time.Minute, MaxAttempts: 1000}}
}

// dying is the chain whose processes die at points.
func dying() settings {
	s := quick()
	if *twice {
		s.Storm = storm{Seed: 1, Twice: true, Late: 0.1}
	}
	return s
}

// hasty is a chain that gives up on requests soon.
func hasty() settings {
	s := quick()
	s.Pace.Budget, s.Pace.Patience, s.Pace.Deadline, s.Pace.MaxAttempts = 5*time.Second, 4*time.Second, 5*time.Second, 3 // the attempts end well before the deadline, also on a busy machine
	return s
}

// TestKillAtEveryPoint ends a process at every point of every scenario, starts it
// again, and wants everything to come to the same rest as without. Which points
// there are is recorded first and held against a golden file: a new step of the
// flow fails here until -update takes it in, and from then on somebody dies there.
//
// While one request recovers the next is under way, so each death also hits
// requests that have to do with another one.
func TestKillAtEveryPoint(t *testing.T) {
	s := server(t)
	var lines, soon []string // soon: those of scenarios that need a hasty chain
	for _, l := range agreed(t, record(t, s)) {
		name, _, _ := strings.Cut(l, ": ")
		switch {
		case !strings.Contains(l, *only):
		case slices.ContainsFunc(scenarios(), func(s scenario) bool { return s.name == name && s.hasty }):
			soon = append(soon, l)
		default:
			lines = append(lines, l)
		}
	}
	began := time.Now()
	t.Run("kills", func(t *testing.T) {
		var beside sync.WaitGroup // not t.Parallel: they wait most of the time, and need no processor each
		defer beside.Wait()
		for i := range *chains {
			beside.Go(func() {
				t.Run(fmt.Sprintf("chain %d", i), func(t *testing.T) {
					var mine []string
					for n := i; n < len(lines); n += *chains {
						mine = append(mine, lines[n])
					}
					killAll(t, openChain(t, s, onKafka(t, dying())), mine)
				})
			})
		}
		beside.Go(func() {
			t.Run("hasty chain", func(t *testing.T) { killAll(t, openChain(t, s, onKafka(t, hasty())), soon) })
		})
	})
	t.Logf("%d points in %s", len(lines)+len(soon), time.Since(began).Round(time.Second))
}

// killAll takes one line after the other: a request of its scenario, a death at its
// point. At the end everything must be as it should.
func killAll(t *testing.T, c *chain, lines []string) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	byName := map[string]scenario{}
	for _, s := range scenarios() {
		byName[s.name] = s
	}
	type job struct {
		scenario
		line, role, point string
		request           *request
		all               []*request
		err               error
	}
	jobs := make([]*job, len(lines))
	for i, l := range lines {
		name, where, _ := strings.Cut(l, ": ")
		role, point, _ := strings.Cut(where, " ")
		s, ok := byName[name]
		if !ok {
			t.Fatalf("%s names a scenario that is none: %s", golden, l)
		}
		jobs[i] = &job{scenario: s, line: l, role: role, point: point}
	}
	var prepared sync.WaitGroup // what must be there before, all at once
	for i, j := range jobs {
		prepared.Go(func() { j.request, j.all, j.err = c.prepare(ctx, j.scenario, i) })
	}
	prepared.Wait()
	var all []*request
	for i, j := range jobs {
		if j.err != nil {
			t.Fatalf("prepare %s: %v\n%s", j.line, j.err, c.words())
		}
		all = append(all, j.all...)
		j.request.why = j.line
		err := c.dieAt(ctx, j.scenario, j.request, j.role, j.point)
		if errors.Is(err, errAlive) { // others that recover may have been faster, and gone another way
			t.Logf("%s: %v; once more", j.line, err)
			var again []*request
			again, err = c.dieAgain(ctx, j.scenario, i+1000, j.role, j.point)
			all = append(all, again...)
		}
		if err != nil {
			t.Fatalf("%s: %v\n%s", j.line, err, c.words())
		}
		if j.hasty { // deaths of others would count as its attempts
			if err := c.rest(ctx, all); err != nil {
				t.Fatalf("%s: %v\n%s", j.line, err, c.words())
			}
		}
		if (i+1)%25 == 0 {
			t.Logf("%d of %d points", i+1, len(jobs))
		}
	}
	c.mustHold(ctx, t, all)
}

// dieAgain tries a point once more, with a new request.
func (c *chain) dieAgain(ctx context.Context, s scenario, n int, role, point string) ([]*request, error) {
	if err := c.spare(ctx, role); err != nil {
		return nil, err
	}
	r, all, err := c.prepare(ctx, s, n)
	if err != nil {
		return all, err
	}
	r.why = s.name + ": " + role + " " + point + ", again"
	return all, c.dieAt(ctx, s, r, role, point)
}

// dieAt runs a scenario while a role is to die at a point of its request.
func (c *chain) dieAt(ctx context.Context, s scenario, r *request, role, point string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var reviving sync.WaitGroup
	var revived error
	err := c.act(ctx, s, r, func() error {
		if err := c.arm(ctx, role, point, die, r.subjects()...); err != nil {
			return err
		}
		reviving.Go(func() { revived = c.revive(ctx, role) })
		return nil
	})
	reviving.Wait()
	return errors.Join(err, revived)
}

// mustHold waits until a chain is at rest and fails the test for all that is broken.
func (c *chain) mustHold(ctx context.Context, t *testing.T, requests []*request) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := c.rest(ctx, requests); err != nil {
		t.Fatalf("%v\n%s", err, c.words())
	}
	broken, err := c.verify(ctx, requests)
	if err != nil {
		t.Fatalf("%v\n%s", err, c.words())
	}
	for _, b := range broken {
		t.Error(b)
	}
	if len(broken) > 0 {
		t.Log(c.words())
	}
}
