package probe_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kbnt.dev/virtualization/infrastructure/probe"
)

// store is what the probes of a test look at. It runs in a bubble of synctest, so
// its times are exact.
type store struct {
	mu    sync.Mutex
	looks int
	takes time.Duration
	err   error
}

func (s *store) look(ctx context.Context) error {
	s.mu.Lock()
	s.looks++
	takes, err := s.takes, s.err
	s.mu.Unlock()
	select {
	case <-time.After(takes):
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *store) set(takes time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takes, s.err = takes, err
}

func open(s *store, o probe.Options) (*probe.Probe, *bytes.Buffer) {
	var log bytes.Buffer
	o.Name, o.Look, o.Log = "the store", s.look, slog.New(slog.NewTextHandler(&log, nil))
	return probe.New(o), &log
}

func TestASuccessLasts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		p, _ := open(s, probe.Options{})
		for range 10 {
			if err := p.Ready(t.Context()); err != nil {
				t.Fatalf("Ready() = %v, want nil", err)
			}
			time.Sleep(probe.DefaultMaxAge / 5)
		}
		if s.looks != 2 {
			t.Errorf("10 probes within 2 s looked %d times, want 2", s.looks)
		}
	})
}

func TestAFailureTellsNoAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &store{err: errors.New("dial db.internal:5432: refused")}
		p, log := open(s, probe.Options{})
		for range 8 {
			err := p.Ready(t.Context())
			if err == nil || strings.Contains(err.Error(), "db.internal") || !strings.Contains(err.Error(), "the store cannot be reached") {
				t.Fatalf("Ready() = %v, want it said that the store is away, and not where it is", err)
			}
			time.Sleep(probe.DefaultMaxAge / 8)
		}
		if s.looks != 4 {
			t.Errorf("8 probes within 1 s looked %d times, want 4: a failure lasts a quarter of a success", s.looks)
		}
		s.set(0, nil)
		time.Sleep(probe.DefaultMaxAge)
		if err := p.Ready(t.Context()); err != nil {
			t.Errorf("Ready() after the store came back = %v, want nil", err)
		}
		if got := log.String(); strings.Count(got, "db.internal") != 1 || strings.Count(got, "msg=ready") != 1 {
			t.Errorf("logged\n%swant the reason once, and that it is ready", got)
		}
	})
}

// The first look opens connections. It must come to its end although nobody
// waits for it so long.
func TestALookOutlivesItsProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &store{takes: 3 * time.Second}
		var first time.Duration
		p, _ := open(s, probe.Options{First: func(took time.Duration) { first = took }})
		for i := range 3 {
			ctx, hangUp := context.WithCancel(t.Context())
			began := time.Now()
			err := p.Ready(ctx)
			hangUp()
			if took := time.Since(began); err == nil || !strings.Contains(err.Error(), "has not answered for") || took != probe.DefaultPatience {
				t.Fatalf("probe %d: %v after %s, want to hear after %s that nothing answered", i, err, took, probe.DefaultPatience)
			}
		}
		if err := p.Ready(t.Context()); err != nil {
			t.Errorf("a probe 2.7 s after the first one: %v, want nil as soon as the look ends", err)
		}
		if s.looks != 1 || first < 3*time.Second {
			t.Errorf("%d looks, ready %s after the start of the process, want 1 and at least 3 s", s.looks, first)
		}
	})
}

func TestALookEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &store{takes: time.Hour}
		p, _ := open(s, probe.Options{Timeout: 2 * time.Second})
		_ = p.Ready(t.Context())
		time.Sleep(1200 * time.Millisecond) // 2.1 s after it began
		synctest.Wait()
		if err := p.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
			t.Errorf("Ready() = %v, want the failure of the look that timed out", err)
		}
	})
}

func TestManyProbesAreOneLook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &store{takes: 100 * time.Millisecond}
		p, _ := open(s, probe.Options{})
		var probes sync.WaitGroup
		for range 50 {
			probes.Go(func() {
				if err := p.Ready(t.Context()); err != nil {
					t.Errorf("Ready() = %v, want nil", err)
				}
			})
		}
		probes.Wait()
		if s.looks != 1 {
			t.Errorf("50 probes at once looked %d times, want 1", s.looks)
		}
	})
}
