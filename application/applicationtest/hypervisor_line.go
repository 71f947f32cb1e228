package applicationtest

import (
	"context"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// promptly is how soon after its context a call must end.
const promptly = time.Second

// everyCall calls each method that asks the hypervisor. To say Unknown, without an
// error, is an honest answer of Observe to no answer.
func (f *fixture) everyCall(h application.Hypervisor, want domain.Desired) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Ensure": func(ctx context.Context) error { _, err := h.Ensure(ctx, want); return err },
		"Observe": func(ctx context.Context) error {
			o, err := h.Observe(ctx, want.Key)
			if err == nil && o.Phase == domain.ThingUnknown {
				return &domain.Error{Kind: domain.Unavailable, Detail: "seen as Unknown"}
			}
			return err
		},
		"Delete": func(ctx context.Context) error { _, err := h.Delete(ctx, want.Key); return err },
		"List": func(ctx context.Context) error {
			for _, err := range h.List(ctx) {
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// endsWith calls everything with a context that ends, and wants each call to end
// promptly after it, unanswered.
func (f *fixture) endsWith(h application.Hypervisor, want domain.Desired, ending func() (context.Context, context.CancelFunc)) {
	f.Helper()
	for name, call := range f.everyCall(h, want) {
		ctx, cancel := ending()
		done := make(chan error, 1)
		go func() { done <- call(ctx) }()
		<-ctx.Done()
		select {
		case err := <-done:
			if err == nil || domain.KindOf(err) != domain.Unavailable {
				f.Errorf("%s: got %v, want an error of kind Unavailable", name, err)
			}
		case <-time.After(promptly):
			f.Errorf("%s: still runs %s after its context ended", name, promptly)
		}
		cancel()
	}
}

func testEndedContext(f *fixture) {
	root := f.volume(f.uid())
	f.endsWith(f.Hypervisor, root, func() (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(f.Context())
		cancel()
		return ctx, cancel
	})
	f.nothing()
}

func testHanging(f *fixture) {
	root := f.volume(f.uid())
	f.endsWith(f.Hang(f.T), root, func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(f.Context(), 50*time.Millisecond)
	})
}

// cuts calls test with a client whose n-th answer is lost, for every n, until the
// client gets through its work without coming to the cut.
func (f *fixture) cuts(test func(client application.Hypervisor)) {
	const most = 200 // calls of a hypervisor that one piece of work may need
	for n := 1; n <= most; n++ {
		client, happened := f.Cut(f.T, n)
		test(client)
		if f.Failed() {
			f.Fatalf("line cut at answer %d", n)
		}
		if !happened() {
			if n == 1 {
				f.Fatal("the line was not cut at its first answer")
			}
			f.Logf("%d cut points", n-1)
			return
		}
	}
	f.Fatalf("more than %d answers", most)
}

// tryAll ensures things over a line that may be cut: a lost answer must be an
// error to retry, never taken for one that is final.
func (f *fixture) tryAll(client application.Hypervisor, things ...domain.Desired) {
	f.Helper()
	for _, want := range things {
		if _, err := client.Ensure(f.Context(), want); err != nil {
			if !domain.KindOf(err).Retriable() {
				f.Errorf("ensure %s: a lost answer is classed %v: %v", want.Key.Kind, domain.KindOf(err), err)
			}
			return
		}
	}
}

func testCutThenEnsure(f *fixture) {
	f.cuts(func(client application.Hypervisor) {
		things := f.set()
		f.tryAll(client, things...)
		f.ensure(things...)
		f.await(things[len(things)-1].Key, domain.ThingReady)
		if all := f.list(); len(all) != len(things) {
			f.Errorf("list: got %d things, want %d", len(all), len(things))
		}
		f.gone(reversed(things)...)
		f.nothing()
	})
}

func testCutThenDelete(f *fixture) {
	f.cuts(func(client application.Hypervisor) {
		things := f.set()
		f.tryAll(client, things...)
		f.gone(reversed(things)...)
		f.nothing()
	})
}

func testCutDelete(f *fixture) {
	f.cuts(func(client application.Hypervisor) {
		things := f.set()
		f.ensure(things...)
		for _, thing := range reversed(things) {
			if _, err := client.Delete(f.Context(), thing.Key); err != nil {
				if !domain.KindOf(err).Retriable() {
					f.Errorf("delete %s: a lost answer is classed %v: %v", thing.Key.Kind, domain.KindOf(err), err)
				}
				break
			}
			f.await(thing.Key, domain.ThingAbsent)
		}
		f.gone(reversed(things)...)
		f.nothing()
	})
}
