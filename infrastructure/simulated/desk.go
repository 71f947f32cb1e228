package simulated

import (
	"context"
	"slices"
	"sync"
)

// desk is where the callers of one process queue up to change a ledger. Whoever's
// turn it is takes everybody's change along in one write: a durable store takes as
// long for one line as for twenty.
type desk struct {
	turn    chan struct{} // held by the one who writes
	mu      sync.Mutex
	waiting []*change
}

// change is what one caller wants of a ledger. apply reports whether it changed the
// ledger, and must leave it alone when it returns an error; it may be called again.
// The
// results, done and err, belong to whoever holds the turn.
type change struct {
	apply func(*ledger) (bool, error)
	done  bool
	err   error
	left  bool // its caller has gone; guarded by desk.mu
}

func newDesk() *desk { return &desk{turn: make(chan struct{}, 1)} }

// do has the change applied by this caller or by another. commit applies a batch,
// and fails for all of it or for none.
func (d *desk) do(ctx context.Context, c *change, commit func([]*change) error) error {
	d.mu.Lock()
	d.waiting = append(d.waiting, c)
	d.mu.Unlock()

	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		d.leave(c)
		return ctx.Err()
	}
	if c.done {
		return c.err
	}
	d.mu.Lock()
	batch := d.waiting
	d.waiting = nil
	d.mu.Unlock()

	err := commit(batch)
	if err != nil && ctx.Err() != nil { // this caller's time is over, not that of the others
		d.mu.Lock()
		d.waiting = append(slices.DeleteFunc(batch, func(x *change) bool { return x == c || x.left }), d.waiting...)
		d.mu.Unlock()
		return err
	}
	for _, x := range batch {
		x.done = true
		if err != nil {
			x.err = err
		}
	}
	return c.err
}

// leave takes a change back, unless another has it in hand just now: then it may or
// may not happen.
func (d *desk) leave(c *change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c.left = true
	d.waiting = slices.DeleteFunc(d.waiting, func(x *change) bool { return x == c })
}

// change has f change a ledger and writes it if f reports that it did.
func (h *Hypervisor) change(ctx context.Context, name string, f func(*ledger) (bool, error)) error {
	c := &change{apply: f}
	commit := func(batch []*change) error { return h.commit(ctx, name, batch) }
	if d := h.desks[name]; d != nil {
		return unanswered(ctx, d.do(ctx, c, commit))
	}
	if err := commit([]*change{c}); err != nil {
		return err
	}
	return c.err
}

// commit applies changes to a ledger, each with its own error, and writes it once;
// again, as long as another process writes it meanwhile.
func (h *Hypervisor) commit(ctx context.Context, name string, batch []*change) error {
	return retry(ctx, func() error {
		l, generation, err := h.ledger(ctx, name)
		if err != nil {
			return err
		}
		l.prune(h.now())
		dirty := false
		for _, c := range batch {
			var changed bool
			changed, c.err = c.apply(&l)
			dirty = dirty || changed
		}
		if !dirty {
			return nil
		}
		l.prune(h.now())
		return h.replace(ctx, name, l.encode(), generation)
	})
}
