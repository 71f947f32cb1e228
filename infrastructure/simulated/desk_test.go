package simulated

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
)

// queue has changes wait at a desk while the first caller's commit hangs, and
// returns how each call ended and the batches that were committed.
func queue(t *testing.T, leader, third context.Context, first func(context.Context) error) (ends map[string]error, batches [][]string) {
	t.Helper()
	d, names := newDesk(), map[*change]string{}
	type end struct {
		name string
		err  error
	}
	ended := make(chan end, 3)
	call := func(ctx context.Context, name string) {
		c := &change{}
		names[c] = name
		go func() {
			ended <- end{name, d.do(ctx, c, func(batch []*change) error {
				var who []string
				for _, x := range batch {
					who = append(who, names[x])
				}
				batches = append(batches, who)
				if name == "first" {
					return first(ctx)
				}
				return nil
			})}
		}()
		synctest.Wait()
	}
	call(leader, "first")
	call(t.Context(), "second")
	call(third, "third")
	ends = map[string]error{}
	for range 3 {
		e := <-ended
		ends[e.name] = e.err
	}
	return ends, batches
}

func TestDeskTakesAllAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, cancel := context.WithTimeout(t.Context(), 1)
		defer cancel()
		ends, batches := queue(t, t.Context(), t.Context(), func(context.Context) error { <-slow.Done(); return nil })
		if want := [][]string{{"first"}, {"second", "third"}}; !slices.EqualFunc(batches, want, slices.Equal) {
			t.Errorf("batches: got %q, want %q", batches, want)
		}
		for name, err := range ends {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// TestDeskLeaderGone holds that the end of one caller's context is not the end of
// the others', and that a change whose caller has gone is not made later.
func TestDeskLeaderGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leader, cancel := context.WithTimeout(t.Context(), 2)
		defer cancel()
		third, cancelThird := context.WithTimeout(t.Context(), 1)
		defer cancelThird()
		ends, batches := queue(t, leader, third, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		if want := [][]string{{"first"}, {"second"}}; !slices.EqualFunc(batches, want, slices.Equal) {
			t.Errorf("batches: got %q, want %q", batches, want)
		}
		if ends["second"] != nil || !errors.Is(ends["first"], context.DeadlineExceeded) || !errors.Is(ends["third"], context.DeadlineExceeded) {
			t.Errorf("ends: got %v, want deadlines of the first and the third alone", ends)
		}
	})
}

// TestDeskGivesTheBatchBack has the leader of a batch of all three go, with one of
// them.
func TestDeskGivesTheBatchBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		leader, cancel := context.WithTimeout(t.Context(), 2)
		defer cancel()
		mine, stays, leaves := &change{}, &change{}, &change{}
		d.waiting = []*change{stays, leaves}
		err := d.do(leader, mine, func(batch []*change) error {
			if len(batch) != 3 {
				t.Errorf("batch: got %d changes, want 3", len(batch))
			}
			d.leave(leaves)
			<-leader.Done()
			return leader.Err()
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("leader: got %v, want its deadline", err)
		}
		if !slices.Equal(d.waiting, []*change{stays}) || stays.done {
			t.Errorf("waiting after it: got %d changes, want the one whose caller stays", len(d.waiting))
		}
	})
}
