//go:build integration

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/postgres"
)

// gather makes calls that share a transaction: while the first one decides, the
// others come and wait behind it.
func gather(t *testing.T, first func(decided func()), others ...func()) {
	t.Helper()
	var all sync.WaitGroup
	inside, leave := make(chan struct{}), make(chan struct{})
	all.Go(func() {
		first(func() {
			close(inside)
			<-leave
		})
	})
	<-inside
	for _, call := range others {
		all.Go(call)
	}
	close(leave)
	all.Wait()
}

// Whatever one of a batch does, the others of it are not hurt.
func TestOneOfManyFails(t *testing.T) {
	t.Parallel()
	errTest := errors.New("decided otherwise")
	for name, bad := range map[string]struct {
		reason string
		decide func(*application.Tenancy) error
		want   func(err error, panicked bool) bool
	}{
		"refuses": {"an error is the caller's own", func(*application.Tenancy) error { return errTest },
			func(err error, _ bool) bool { return err == errTest }},
		"panics": {"a panic is the caller's own", func(*application.Tenancy) error { panic("test") },
			func(_ error, panicked bool) bool { return panicked }},
		"takes a name": {"what the database refuses, it refuses whom it concerns", func(y *application.Tenancy) error {
			y.Admitted = admission("acme", "bad", y.Now)
			y.Admitted.Resource.VirtualID = "taken"
			return nil
		}, func(err error, _ bool) bool { return err != nil && domain.KindOf(err) == domain.Conflict }},
		"writes a NUL": {"what cannot be kept is nobody else's trouble", func(y *application.Tenancy) error {
			y.Admitted = admission("acme", "bad", y.Now)
			y.Admitted.Request.User = "a\x00b"
			return nil
		}, func(err error, _ bool) bool { return err != nil && domain.KindOf(err) == domain.Invalid }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, postgres.Options{URL: server(t).Schema(t), Connections: 1}) // one lane: they meet
			err := s.Admit(t.Context(), application.AdmitScope{Tenant: "acme", RequestID: "taken"}, func(y *application.Tenancy) error {
				y.Admitted = admission("acme", "taken", y.Now)
				y.Admitted.Resource.VirtualID = "taken"
				return nil
			})
			if err != nil {
				t.Fatalf("Admit: %v, want no error", err)
			}
			good := func(i int) func() {
				return func() {
					if err := admit(t.Context(), s, "acme", fmt.Sprint(i)); err != nil {
						t.Errorf("Admit %d beside one that %s: got %v, want no error", i, name, err)
					}
				}
			}
			others := []func(){func() {
				var err error
				panicked := true
				defer func() {
					_ = recover()
					if !bad.want(err, panicked) {
						t.Errorf("Admit that %s: got error %v, panicked %v (%s)", name, err, panicked, bad.reason)
					}
				}()
				err = s.Admit(t.Context(), application.AdmitScope{Tenant: "acme", RequestID: "bad"}, bad.decide)
				panicked = false
			}}
			for i := range 20 {
				others = append(others, good(i))
			}
			gather(t, func(decided func()) {
				err := s.Admit(t.Context(), application.AdmitScope{Tenant: "acme", RequestID: "first"}, func(*application.Tenancy) error { decided(); return nil })
				if err != nil {
					t.Errorf("first Admit: %v, want no error", err)
				}
			}, others...)
			if u, err := s.Usage(t.Context(), "acme"); err != nil || u.InFlight != 21 {
				t.Errorf("usage: got %+v, %v, want the 20 good ones and the first", u, err)
			}
			_, err = s.Request(t.Context(), "acme", "bad")
			if domain.KindOf(err) != domain.NotFound {
				t.Errorf("Request of the bad one: got %v, want NotFound", err)
			}
		})
	}
}

// Those behind in a batch are shown what those before them decided, as if it were
// committed.
func TestBatchSeesItself(t *testing.T) {
	t.Parallel()
	s := open(t, postgres.Options{URL: server(t).Schema(t), Connections: 1})
	var mu sync.Mutex
	var usages, ahead, numbers []int
	networks := map[int]bool{}
	call := func(i int, decided func()) func() {
		return func() {
			scope := application.AdmitScope{Tenant: "acme", RequestID: fmt.Sprint(i), Priority: domain.Normal, Kind: domain.Machine}
			err := s.Admit(t.Context(), scope, func(y *application.Tenancy) error {
				if decided != nil {
					decided()
				}
				y.Admitted = admission("acme", scope.RequestID, y.Now)
				if i%5 == 0 {
					y.Admitted.Resource.Kind = domain.Network
				}
				mu.Lock()
				defer mu.Unlock()
				usages, ahead, numbers = append(usages, y.Usage.InFlight), append(ahead, y.Ahead), append(numbers, y.DisplayNo)
				networks[len(y.Networks)] = true
				return nil
			})
			if err != nil {
				t.Errorf("Admit %d: %v, want no error", i, err)
			}
		}
	}
	const n = 40
	var others []func()
	for i := 1; i < n; i++ {
		others = append(others, call(i, nil))
	}
	gather(t, func(decided func()) { call(0, decided)() }, others...)
	for i := range n {
		if usages[i] != i || ahead[i] != i {
			t.Fatalf("decision %d: shown %d in flight and %d ahead, want %d of each", i, usages[i], ahead[i], i)
		}
	}
	if len(networks) < n/5 {
		t.Errorf("numbers of networks shown: got %v, want each from 0 to at least %d", networks, n/5-1)
	}
	if last := numbers[n-1]; last < n-n/5 {
		t.Errorf("last number of a machine: got %d, want at least %d", last, n-n/5)
	}
}

// Changes of one resource, of one pool, or of one request do not pass one another
// inside a batch either.
func TestChangesInABatch(t *testing.T) {
	t.Parallel()
	s := open(t, postgres.Options{URL: server(t).Schema(t), Connections: 1})
	for _, id := range []string{"first", "made"} {
		if err := admit(t.Context(), s, "acme", id); err != nil {
			t.Fatalf("Admit: %v, want no error", err)
		}
	}
	// Two more requests of the resource of "made".
	for _, id := range []string{"op-0", "op-1"} {
		err := s.Admit(t.Context(), application.AdmitScope{Tenant: "acme", RequestID: id, TargetID: domain.VirtualID(domain.Machine, "acme", "made", 16)}, func(y *application.Tenancy) error {
			a := admission("acme", id, y.Now)
			a.New, a.Resource, a.Request.ResourceUID = false, y.Target, y.Target.UID
			y.Admitted = a
			return nil
		})
		if err != nil {
			t.Fatalf("Admit %s: %v, want no error", id, err)
		}
	}
	var others []func()
	for i := range 30 {
		message := domain.MessageID("acme", []string{"made", "op-0", "op-1"}[i%3])
		others = append(others, func() {
			err := s.Change(t.Context(), application.Scope{MessageID: message, Pools: []string{"vlan"}}, func(w *application.Work) error {
				w.Resource.Lease.Epoch++
				w.Claim(domain.Claim{Pool: "vlan", Value: fmt.Sprint(len(w.Pools["vlan"])), Resource: w.Resource.UID, Amount: 1})
				return nil
			})
			if err != nil {
				t.Errorf("Change: %v, want no error", err)
			}
		})
	}
	gather(t, func(decided func()) {
		err := s.Change(t.Context(), application.Scope{MessageID: domain.MessageID("acme", "first"), Pools: []string{"vlan"}}, func(*application.Work) error { decided(); return nil })
		if err != nil {
			t.Errorf("first Change: %v, want no error", err)
		}
	}, others...)
	err := s.Change(context.Background(), application.Scope{MessageID: domain.MessageID("acme", "made"), Pools: []string{"vlan"}}, func(w *application.Work) error {
		if w.Resource.Lease.Epoch != 30 || len(w.Pools["vlan"]) != 30 {
			t.Errorf("after 30 changes: got epoch %d and %d claims, want 30 of each", w.Resource.Lease.Epoch, len(w.Pools["vlan"]))
		}
		return nil
	})
	if err != nil {
		t.Errorf("Change: %v, want no error", err)
	}
}
