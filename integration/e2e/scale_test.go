//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// asleep is how long the functions may take to end when nothing happens: twice
// Knative's stable window and grace period, because a sweep may come in between.
const asleep = 6 * time.Minute

// TestScale sees the functions go from zero to one and back, and times a request
// that meets all of them asleep and one that meets them awake.
func TestScale(t *testing.T) {
	p := connect(t)
	watch := watchPods(t)
	t.Logf("everything at zero after %s without a request", watch.zero(t).Round(time.Second))

	for _, what := range []string{"cold, all functions at zero", "warm"} {
		began := time.Now()
		r := p.volume(t, "{}")
		r.Type = "ALLOCATE_STORAGE"
		t.Cleanup(func() { p.remove(t, r) })
		answered := time.Since(began)
		done := p.completed(t, r.RequestID)
		seen := "finished by its own clock"
		took := done.FinishedAt.Sub(done.AcceptedAt) + answered
		if at := p.events.expect(t, r.RequestID, "dev.kbnt.virtualization.completed"); !at.IsZero() {
			seen, took = "its event at a subscriber", at.Sub(began)
		}
		t.Logf("%s: 202 after %s, %s after %s", what, answered.Round(time.Millisecond), seen, took.Round(time.Millisecond))
	}
	t.Logf("back at zero %s after the last of it", watch.zero(t).Round(time.Second))
	t.Logf("pods of each function:\n%s", watch)
	for _, name := range functions {
		if !watch.woke(name) {
			t.Errorf("%s was not seen to start from zero", name)
		}
	}
}

// pods is a diary of how many pods the functions have.
type pods struct {
	mu      sync.Mutex
	changes []change
	failed  error // of the last look
	began   time.Time
}

type change struct {
	at    time.Time
	count map[string]int
}

// watchPods looks until the test ends.
func watchPods(t *testing.T) *pods {
	t.Helper()
	p := &pods{began: time.Now()}
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() {
		for ctx.Err() == nil {
			now, err := running(ctx)
			p.mu.Lock()
			p.failed = err
			if err == nil && (len(p.changes) == 0 || !maps.Equal(p.changes[len(p.changes)-1].count, now)) {
				p.changes = append(p.changes, change{time.Now(), now})
			}
			p.mu.Unlock()
			select {
			case <-time.After(poll):
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(func() { cancel(); ended.Wait() })
	return p
}

// zero awaits that no function has a pod, and returns how long that took.
func (p *pods) zero(t *testing.T) time.Duration {
	t.Helper()
	for began := time.Now(); ; time.Sleep(poll) {
		p.mu.Lock()
		n := len(p.changes)
		none, failed := n > 0 && len(p.changes[n-1].count) == 0, p.failed
		p.mu.Unlock()
		if none {
			return time.Since(began)
		}
		if time.Since(began) > asleep {
			t.Fatalf("after %s without a request there are still pods (last look: %v):\n%s", asleep, failed, p)
		}
	}
}

// woke reports whether a function had no pod and later one.
func (p *pods) woke(function string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	none := slices.IndexFunc(p.changes, func(c change) bool { return c.count[function] == 0 })
	return none >= 0 && slices.ContainsFunc(p.changes[none:], func(c change) bool { return c.count[function] > 0 })
}

func (p *pods) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for _, c := range p.changes {
		fmt.Fprintf(&b, "%8.1f s ", c.at.Sub(p.began).Seconds())
		for _, name := range functions {
			fmt.Fprintf(&b, " %s %d", name, c.count[name])
		}
		b.WriteByte('\n')
	}
	return b.String()
}
