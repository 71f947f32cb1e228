package postgres

import (
	"context"
	"sync"
)

// batchMost is how many transactions share one commit, at most.
const batchMost = 128

// combiner runs transactions that come together as one. Each of its lanes is a
// goroutine that has one transaction of the database at a time; what comes meanwhile
// waits for the lane and then goes together. A job alone does not wait for more.
//
// A combiner has several lanes, as the database can do several things at once. Jobs
// of one key keep to one lane: side by side they would wait for each other's locks.
type combiner[S, V any] struct {
	lanes   []chan *job[S, V]
	closing chan struct{}
	once    sync.Once
	running sync.WaitGroup
}

// job is one transaction: scope names what to load, view is what is shown of it.
// The lane loads, the caller decides on its own goroutine what to write (so a
// panic of a decision is the caller's, and a caller that left is not decided
// for), and the lane writes. All channels hold one value, so neither side waits
// for one that has left.
type job[S, V any] struct {
	scope  S
	turn   chan *V     // loaded: the caller decides. Comes again when the transaction has to be repeated
	choice chan choice // what it decided
	done   chan error  // committed, or not
}

// choice is what a caller decided.
type choice struct {
	writes *writes // nil: nothing
	effect any     // what those behind it in the batch must know; nil: nothing
	left   bool    // the caller is not there any more
}

// newCombiner starts lanes. run gets the jobs of a batch and tells each how it
// ended, but for those it returns: they go first into the next one.
func newCombiner[S, V any](lanes int, run func([]*job[S, V]) []*job[S, V]) *combiner[S, V] {
	c := &combiner[S, V]{closing: make(chan struct{})}
	for range lanes {
		lane := make(chan *job[S, V])
		c.lanes = append(c.lanes, lane)
		c.running.Go(func() { c.serve(lane, run) })
	}
	return c
}

// close ends the lanes after the batches they are at.
func (c *combiner[S, V]) close() {
	c.once.Do(func() { close(c.closing) })
	c.running.Wait()
}

func (c *combiner[S, V]) serve(lane chan *job[S, V], run func([]*job[S, V]) []*job[S, V]) {
	var waiting []*job[S, V]
	for {
		if len(waiting) == 0 {
			select {
			case j := <-lane:
				waiting = append(waiting, j)
			case <-c.closing:
				return
			}
		}
		for more := true; more && len(waiting) < batchMost; {
			select {
			case j := <-lane:
				waiting = append(waiting, j)
			default:
				more = false
			}
		}
		waiting = run(waiting)
	}
}

// transact has one job done. decide runs on this goroutine, at each turn. Nothing
// is decided and nothing saved when ctx ends before the turn has come; when it ends
// afterwards the transaction may or may not happen.
func (c *combiner[S, V]) transact(ctx context.Context, op string, key uint32, scope S, decide func(*V) (choice, error)) error {
	if ctx.Err() != nil {
		return tooLate(op, ctx, "the store was not asked")
	}
	j := newJob[S, V](scope)
	select {
	case c.lanes[key%uint32(len(c.lanes))] <- j:
	case <-c.closing:
		return closed(op)
	case <-ctx.Done():
		return tooLate(op, ctx, "the store was not free in time")
	}
	return j.wait(ctx, op, decide)
}

func newJob[S, V any](scope S) *job[S, V] {
	return &job[S, V]{scope: scope, turn: make(chan *V, 1), choice: make(chan choice, 1), done: make(chan error, 1)}
}

// wait is the caller's side of a job that a lane has taken.
func (j *job[S, V]) wait(ctx context.Context, op string, decide func(*V) (choice, error)) error {
	var refused error
	late := "the store was not free in time"
	for {
		select {
		case v := <-j.turn:
			func() {
				made := choice{left: true} // unless decide returns
				defer func() { j.choice <- made }()
				made, refused = decide(v)
				if refused != nil {
					made = choice{}
				}
			}()
			late = "the store did not answer in time; it may or may not have happened"
		case err := <-j.done: // a refusal waits for it, too: it may rest on what others of the batch wrote
			if err != nil {
				return classed(op, err)
			}
			return refused
		case <-ctx.Done():
			select {
			case j.choice <- choice{left: true}:
			default: // decided, and not read yet: it may happen
			}
			return tooLate(op, ctx, late)
		}
	}
}

// gone reports whether the caller of a job has left before its turn.
func (j *job[S, V]) gone() bool {
	select {
	case <-j.choice:
		return true
	default:
		return false
	}
}
