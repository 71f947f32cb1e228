//go:build integration

package proof

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"kbnt.dev/virtualization/domain"
)

// TestAnswerLost loses the answer of a call to the hypervisor, which takes effect
// later, and cancels the request in between: whoever undoes must wait until
// nothing can land any more. Without a death, this is the only way to an orphan, or
// to a machine that is off although its request to stop was cancelled.
func TestAnswerLost(t *testing.T) {
	s := quick()
	s.Record = true
	c := openChain(t, server(t), s)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var mu sync.Mutex
	var all []*request
	var cases sync.WaitGroup
	for i, l := range []struct {
		scenario
		call   string // whose answer is lost
		cancel bool
	}{
		{scenario{name: "storage", body: volume, want: domain.Completed}, "Ensure volume", false},
		{scenario{name: "storage, cancelled", body: volume, want: domain.Cancelled}, "Ensure volume", true},
		{scenario{name: "network, cancelled", body: network, want: domain.Cancelled}, "Ensure network", true},
		{scenario{name: "machine, its disk, cancelled", body: machine, want: domain.Cancelled}, "Ensure volume", true},
		{scenario{name: "machine, cancelled", body: machine, want: domain.Cancelled}, "Ensure machine on", true},
		{scenario{name: "stop, cancelled", first: []string{machine}, body: on(domain.StopMachine), want: domain.Cancelled}, "Ensure machine off", true},
		{scenario{name: "restart, cancelled", first: []string{machine}, body: on(domain.RestartMachine), want: domain.Cancelled}, "Ensure machine off", true},
		{scenario{name: "restart", first: []string{machine}, body: on(domain.RestartMachine), want: domain.Completed}, "Ensure machine off", false},
		{scenario{name: "delete", first: []string{machine}, body: on(domain.DeleteMachine), want: domain.Completed}, "Delete machine", false},
	} {
		cases.Go(func() {
			some, err := c.lose(ctx, l.scenario, i, l.call, l.cancel)
			mu.Lock()
			defer mu.Unlock()
			if all = append(all, some...); err != nil {
				t.Errorf("%s: %v", l.name, err)
			}
		})
	}
	cases.Wait()
	c.mustHold(ctx, t, all)
}

// lose runs a scenario in which the answer of one call is lost, and returns when
// the call has landed.
func (c *chain) lose(ctx context.Context, s scenario, n int, call string, cancelled bool) ([]*request, error) {
	r, all, err := c.prepare(ctx, s, n)
	if err != nil {
		return nil, err
	}
	if err := c.arm(ctx, "provision", call+"/before", drop, r.subjects()...); err != nil {
		return all, err
	}
	if err := c.forget(ctx, r.subjects()...); err != nil {
		return all, err
	}
	if err := c.post(ctx, r); err != nil {
		return all, err
	}
	passed := func(point string) error {
		return until(ctx, func() (bool, error) {
			points, err := c.seen(ctx, r.subjects()...)
			return slices.Contains(points, "provision "+call+point), err
		})
	}
	if err := passed("/before"); err != nil {
		return all, err
	}
	if cancelled {
		if ok, err := c.cancel(ctx, r); err != nil || !ok {
			return all, fmt.Errorf("cancelled: %t: %w", ok, err)
		}
	}
	if err := passed("/after"); err != nil {
		return all, err
	}
	return all, c.await(ctx, r)
}
