package applicationtest

import (
	"context"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// promptly is how soon after its context a call must end.
const promptly = time.Second

// everyCall calls each method that takes a key once.
func (f *fixture) everyCall(h application.Hypervisor, want domain.Desired) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Ensure":  func(ctx context.Context) error { _, err := h.Ensure(ctx, want); return err },
		"Observe": func(ctx context.Context) error { _, err := h.Observe(ctx, want.Key); return err },
		"Delete":  func(ctx context.Context) error { _, err := h.Delete(ctx, want.Key); return err },
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
	uid := f.uid()
	root := f.volume(uid)
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
func (f *fixture) cuts(test func(n int, client application.Hypervisor)) {
	const most = 200 // calls of a hypervisor that one piece of work may need
	for n := 1; n <= most; n++ {
		client, happened := f.Cut(f.T, n)
		test(n, client)
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
	f.cuts(func(_ int, client application.Hypervisor) {
		uid := f.uid()
		root, machine := f.volume(uid), f.machine(uid, 0)
		f.tryAll(client, root, machine)
		f.ensure(root, machine)
		f.await(machine.Key, domain.ThingReady)
		if all := f.list(); len(all) != 2 {
			f.Errorf("list: got %d things, want the machine and its volume", len(all))
		}
		f.gone(machine, root)
		f.nothing()
	})
}

func testCutThenDelete(f *fixture) {
	f.cuts(func(_ int, client application.Hypervisor) {
		uid := f.uid()
		root, machine := f.volume(uid), f.machine(uid, 0)
		f.tryAll(client, root, machine)
		f.gone(machine, root)
		f.nothing()
	})
}

func testCutDelete(f *fixture) {
	f.cuts(func(_ int, client application.Hypervisor) {
		uid := f.uid()
		root, machine := f.volume(uid), f.machine(uid, 0)
		f.ensure(root, machine)
		for _, thing := range []domain.Desired{machine, root} {
			if _, err := client.Delete(f.Context(), thing.Key); err != nil {
				if !domain.KindOf(err).Retriable() {
					f.Errorf("delete %s: a lost answer is classed %v: %v", thing.Key.Kind, domain.KindOf(err), err)
				}
				break
			}
			f.await(thing.Key, domain.ThingAbsent)
		}
		f.gone(machine, root)
		f.nothing()
	})
}
