package avro

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemoLooksOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var m memo[string, int]
		looks := 0
		look := func(context.Context) (int, error) {
			looks++
			time.Sleep(time.Second) // of the bubble: everybody arrives meanwhile
			return 7, nil
		}
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if got, err := m.find(t.Context(), "a", look); got != 7 || err != nil {
					t.Errorf("find: got %d, %v, want 7", got, err)
				}
			})
		}
		all.Wait()
		if got, ok := m.peek("a"); got != 7 || !ok || looks != 1 {
			t.Errorf("after 50 callers: got %d, %t after %d looks, want 7 after one", got, ok, looks)
		}
		if _, ok := m.peek("b"); ok {
			t.Error("another key is known")
		}
	})
}

func TestMemoSharesAFailureAndForgetsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var m memo[string, int]
		failed := errors.New("no answer")
		looks := 0
		fail := func(context.Context) (int, error) {
			looks++
			time.Sleep(time.Second)
			return 0, failed
		}
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if _, err := m.find(t.Context(), "a", fail); !errors.Is(err, failed) {
					t.Errorf("got %v, want %v", err, failed)
				}
			})
		}
		all.Wait()
		if looks != 1 {
			t.Errorf("10 callers looked %d times, want once", looks)
		}
		if got, err := m.find(t.Context(), "a", func(context.Context) (int, error) { return 8, nil }); got != 8 || err != nil {
			t.Errorf("the next caller: got %d, %v, want 8", got, err)
		}
	})
}

// A caller who goes away fails nobody else, and one who waits may go away too.
func TestMemoOutlivesItsCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var m memo[string, int]
		first, leave := context.WithCancel(t.Context())
		brief, done := context.WithTimeout(t.Context(), time.Second)
		defer done()
		var all sync.WaitGroup
		all.Go(func() {
			_, err := m.find(first, "a", func(ctx context.Context) (int, error) {
				<-ctx.Done()
				return 0, ctx.Err()
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the one who left: got %v, want canceled", err)
			}
		})
		synctest.Wait()
		all.Go(func() {
			if got, err := m.find(t.Context(), "a", func(context.Context) (int, error) { return 9, nil }); got != 9 || err != nil {
				t.Errorf("the one who stayed: got %d, %v, want 9", got, err)
			}
		})
		all.Go(func() {
			_, err := m.find(brief, "a", func(context.Context) (int, error) { t.Error("looked as well"); return 0, nil })
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the one with a second: got %v, want deadline exceeded", err)
			}
		})
		time.Sleep(2 * time.Second)
		leave()
		all.Wait()
	})
}

func TestMemoSurvivesAPanic(t *testing.T) {
	t.Parallel()
	var m memo[string, int]
	func() {
		defer func() { _ = recover() }()
		_, _ = m.find(t.Context(), "a", func(context.Context) (int, error) { panic("defect") })
	}()
	if got, err := m.find(t.Context(), "a", func(context.Context) (int, error) { return 1, nil }); got != 1 || err != nil {
		t.Errorf("after a panic: got %d, %v, want 1", got, err)
	}
}
