//go:build integration

package proof

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kbnt.dev/virtualization/infrastructure/postgres/postgrestest"
)

// agreed holds what was recorded against the golden file, which -update rewrites,
// and returns the lines of that.
func agreed(t *testing.T, recorded []string) []string {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, []byte(strings.Join(recorded, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSpace(string(data)), "\n")
	for _, l := range recorded {
		if !slices.Contains(want, l) {
			t.Errorf("a run passes a point that is not in %s: %s", golden, l)
		}
	}
	for _, l := range want {
		if !slices.Contains(recorded, l) {
			t.Errorf("no run passes a point that is in %s: %s", golden, l)
		}
	}
	return want
}

// record runs every scenario once without a death, and returns a line for each
// point: the scenario, the function and the point.
func record(t *testing.T, s *postgrestest.Server) []string {
	t.Helper()
	recording := func(s settings) settings {
		s.Record = true
		return s
	}
	quiet, restless, impatient := openChain(t, s, calm()), openChain(t, s, recording(quick())), openChain(t, s, recording(hasty()))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	found := make([][]string, len(scenarios()))
	var all sync.WaitGroup
	var alone []func() // they kill what the others need
	for i, sc := range scenarios() {
		c := quiet
		switch {
		case sc.sweeps:
			c = restless
		case sc.hasty:
			c = impatient
		}
		run := func() {
			points, err := c.record(ctx, sc, i)
			if err != nil {
				t.Errorf("record %s: %v\n%s", sc.name, err, c.words())
			}
			found[i] = points
		}
		if sc.unsent != "" {
			alone = append(alone, run)
			continue
		}
		all.Go(run)
	}
	all.Wait()
	for _, run := range alone {
		run()
	}
	if t.Failed() {
		t.FailNow()
	}
	var lines []string
	known := map[string]bool{}
	for i, sc := range scenarios() {
		for _, p := range found[i] {
			if !sc.news || !known[p] {
				lines = append(lines, sc.name+": "+p)
			}
		}
		for _, p := range found[i] {
			known[p] = true
		}
	}
	return lines
}

// record runs a scenario and returns the points that its request passed, once no
// more come.
func (c *chain) record(ctx context.Context, s scenario, n int) (points []string, err error) {
	r, all, err := c.prepare(ctx, s, n)
	if err != nil {
		return nil, err
	}
	if err := c.act(ctx, s, r, func() error { return c.forget(ctx, r.subjects()...) }); err != nil {
		return nil, err
	}
	end := c.await // what only a sweep would send stays unsent in a calm chain
	if s.sweeps || s.hasty {
		end = func(ctx context.Context, r *request) error { return c.rest(ctx, all) }
	}
	for _, r := range all {
		if err := end(ctx, r); err != nil {
			return nil, err
		}
	}
	same := 0
	err = until(ctx, func() (bool, error) {
		now, err := c.seen(ctx, r.subjects()...)
		if same++; !slices.Equal(now, points) || !paired(now) {
			same = 0
		}
		points = now
		return same >= 6, err
	})
	if err != nil {
		err = fmt.Errorf("wait for the last of %q: %w", points, err)
	}
	return points, err
}

// paired reports whether whoever is at a point before something has also come to
// the point behind it.
func paired(points []string) bool {
	return !slices.ContainsFunc(points, func(p string) bool {
		name, before := strings.CutSuffix(p, "/before")
		if name, called := strings.CutSuffix(name, " call"); called {
			return !slices.Contains(points, name+" answer/after")
		}
		return before && !slices.Contains(points, name+"/after")
	})
}
