//go:build integration

package cutlines

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kbnt.dev/virtualization/infrastructure/postgres/postgrestest"
)

// shared is the server of the tests that do not stop theirs; nil when there is none.
var shared *postgrestest.Server

func TestMain(m *testing.M) {
	var err error
	if shared, err = postgrestest.New(); err != nil && !errors.Is(err, postgrestest.ErrMissing) {
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

func server(t testing.TB) *postgrestest.Server {
	t.Helper()
	if shared == nil {
		t.Skip(postgrestest.ErrMissing)
	}
	return shared
}

// longest is how long one life may take, with everything that goes wrong in it and
// on a machine that has other things to do.
const longest = time.Minute

// subtest is what together runs.
type subtest struct {
	name string
	run  func(*testing.T)
}

// workers is how many lives there are at a time, of all tests together.
const workers = 10

// turn has a value for each life there is.
var turn = make(chan struct{}, workers)

// together runs subtests in their order and side by side, more of them than there
// are processors: most of a life is waiting.
func together(t *testing.T, tests []subtest) {
	var running sync.WaitGroup
	work := make(chan subtest)
	for range workers {
		running.Go(func() {
			for s := range work {
				turn <- struct{}{}
				t.Run(s.name, s.run)
				<-turn
			}
		})
	}
	for _, s := range tests {
		work <- s
	}
	close(work)
	running.Wait()
}

// chain is all lives of a scenario in which one line is cut in one way: at the
// first exchange, at the second, and so on until there is no other.
type chain struct {
	scenario, line string
	how            cut
}

func (c chain) String() string { return c.scenario + "/" + c.line + "/" + cuts[c.how] }

func TestEveryAnswerLost(t *testing.T) {
	t.Parallel()
	server(t)
	var chains []chain
	for scenario := range scenarios {
		for _, line := range lineNames {
			for how := range cuts {
				chains = append(chains, chain{scenario, line, how})
			}
		}
	}
	// The long ones first: the last to begin should be over soon.
	slices.SortFunc(chains, func(a, b chain) int {
		long := func(c chain) int { return strings.Count(c.line, "provision-store")*2 + strings.Count(c.line, "store") }
		return cmp.Or(long(b)-long(a), strings.Compare(a.String(), b.String()))
	})
	// A platform serves one life at a time, and the next when that was sound.
	free := make(chan *platform, workers)
	for range workers {
		free <- nil
	}
	var lives atomic.Int64
	var tests []subtest
	for _, c := range chains {
		tests = append(tests, subtest{c.String(), func(s *testing.T) {
			p := <-free
			defer func() { free <- p }()
			if p == nil {
				p = start(t, setting{url: server(t).Schema(t)})
				if _, err := p.live(t.Context(), chain{scenario: "create"}, 0); err != nil {
					s.Fatalf("without a cut: %v", err)
				}
			}
			n, err := p.every(t.Context(), c)
			lives.Add(int64(n))
			if err != nil {
				p = nil // what is left behind would be found again
				s.Fatal(err)
			}
		}})
	}
	together(t, tests)
	t.Logf("lines were cut in %d lives", lives.Load())
}

// every lives all lives of a chain, and returns how many were cut.
func (p *platform) every(ctx context.Context, c chain) (int, error) {
	for n := 1; ; n++ {
		fired, err := p.live(ctx, c, n)
		switch {
		case err != nil:
			return n, fmt.Errorf("cut at the %d. exchange: %w", n, err)
		case !fired && n == 1:
			return 0, errors.New("nothing was ever said on this line")
		case !fired:
			return n - 1, nil
		case n == mostAnswersEver:
			return n, fmt.Errorf("%d exchanges and no end", n)
		}
	}
}

// live lives one life, with a line cut at its n-th exchange, and reports whether
// there was one.
func (p *platform) live(ctx context.Context, c chain, n int) (fired bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	l := p.newLife(c.scenario)
	if l.before != nil {
		if err := l.before(ctx, l); err != nil {
			return false, fmt.Errorf("before: %w", err)
		}
	}
	for _, name := range lineNames {
		p.lines[name].arm(0, whole)
	}
	var cut <-chan struct{}
	if n > 0 {
		p.lines[c.line].arm(n, c.how)
		cut = p.lines[c.line].wasCut()
	}
	if err = l.through(ctx, cut); err == nil {
		err = l.sound(ctx)
	}
	select {
	case <-cut:
		fired = true
	default:
	}
	return fired, err
}

// The lines of a life in which nothing is cut, and how much is said on each.
func TestNothingLost(t *testing.T) {
	t.Parallel()
	p := start(t, setting{url: server(t).Schema(t)})
	for _, scenario := range slices.Sorted(maps.Keys(scenarios)) {
		for range 2 { // connections and statements are prepared at the first
			if _, err := p.live(t.Context(), chain{scenario: scenario}, 0); err != nil {
				t.Fatalf("%s: %v", scenario, err)
			}
		}
		for _, name := range lineNames {
			n := p.lines[name].answers()
			if n == 0 {
				t.Errorf("%s: nothing is said between %s", scenario, name)
			}
			t.Logf("%s: %d answers on %s", scenario, n, name)
		}
	}
}
