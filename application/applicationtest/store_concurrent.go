package applicationtest

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

func testConcurrent(t *testing.T, open func(*testing.T) Stores) {
	cases(t, open, map[string]func(*testing.T, Stores){
		"a quota is never passed":                concurrentQuota,
		"an id is admitted once":                 concurrentID,
		"changes of one request do not overlap":  concurrentChanges,
		"an address is given once":               concurrentClaims,
		"readers see whole transactions":         concurrentReaders,
		"a failing function hurts nobody beside": concurrentErrors,
	})
}

// together runs n functions at once and waits for all of them.
func together(n int, do func(i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			do(i)
		})
	}
	close(start)
	all.Wait()
}

func concurrentQuota(t *testing.T, s Stores) {
	const quota = 10
	together(200, func(i int) {
		w := wish{id: fmt.Sprint(i)}
		err := s.Admit(t.Context(), w.scope(), func(y *application.Tenancy) error {
			if y.Usage.Machines >= quota {
				return errTest
			}
			y.Admitted = w.admission(y.Now)
			return nil
		})
		if err != nil && err != errTest {
			t.Errorf("Admit %d: got error %v, want none or the function's", i, err)
		}
	})
	u, err := s.Usage(t.Context(), "acme")
	if err != nil || u.Machines != quota || u.InFlight != quota {
		t.Errorf("200 admissions against a quota of %d: got usage %+v, %v", quota, u, err)
	}
}

func concurrentID(t *testing.T, s Stores) {
	var mu sync.Mutex
	made, found := 0, 0
	together(100, func(int) {
		var existing bool
		w := wish{id: "r"}
		err := s.Admit(t.Context(), w.scope(), func(y *application.Tenancy) error {
			if existing = y.Existing != nil; !existing {
				y.Admitted = w.admission(y.Now)
			}
			return nil
		})
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			t.Errorf("Admit: got error %v, want none", err)
		case existing:
			found++
		default:
			made++
		}
	})
	if made != 1 || found != 99 {
		t.Errorf("100 admissions of one id: got %d made and %d found, want 1 and 99", made, found)
	}
}

func concurrentChanges(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "r"})
	together(60, func(i int) {
		scope := application.Scope{MessageID: r.Request.MessageID}
		if i%2 == 0 {
			scope = application.Scope{Tenant: "acme", RequestID: "r"}
		}
		err := s.Change(t.Context(), scope, func(w *application.Work) error {
			w.Request.Attempts++
			w.Resource.Lease.Epoch++
			w.Note(domain.Step{Name: domain.StepName(fmt.Sprintf("n-%d", w.Request.Attempts)), At: w.Now})
			return nil
		})
		if err != nil {
			t.Errorf("Change: got error %v, want none", err)
		}
	})
	got := load(t, s, "acme", "r")
	if got.Request.Attempts != 60 || got.Resource.Lease.Epoch != 60 || len(got.Steps) != len(r.Steps)+60 {
		t.Errorf("60 changes: got attempts %d, epoch %d, %d new steps; want 60 of each", got.Request.Attempts, got.Resource.Lease.Epoch, len(got.Steps)-len(r.Steps))
	}
}

func concurrentClaims(t *testing.T, s Stores) {
	const n = 40
	subnet, gateway := netip.MustParsePrefix("10.0.1.0/24"), netip.MustParseAddr("10.0.1.1")
	var all []application.Record
	for i := range n {
		all = append(all, admit(t, s, wish{id: fmt.Sprint(i)}))
	}
	together(n, func(i int) {
		err := s.Change(t.Context(), application.Scope{MessageID: all[i].Request.MessageID, Pools: []string{ipPool}}, func(w *application.Work) error {
			c, err := domain.ClaimAddress(ipPool, subnet, gateway, w.Pools[ipPool], w.Resource.UID, w.Now)
			if err == nil {
				w.Claim(c)
			}
			return err
		})
		if err != nil {
			t.Errorf("Change %d: got error %v, want none", i, err)
		}
	})
	values, owners := map[string]bool{}, map[string]bool{}
	for _, c := range peek(t, s, all[0].Request.MessageID, ipPool).Pools[ipPool] {
		values[c.Value], owners[c.Resource] = true, true
	}
	if len(values) != n || len(owners) != n {
		t.Errorf("%d claims at once: got %d addresses for %d resources, want one each", n, len(values), len(owners))
	}
}

// concurrentReaders checks that a request and its resource are read as one
// transaction left them.
func concurrentReaders(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "r"})
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				got, err := s.Request(t.Context(), "acme", "r")
				if err != nil {
					t.Errorf("Request: %v, want no error", err)
					return
				}
				if n := got.Request.Attempts; int(got.Resource.Lease.Epoch) != n || len(got.Steps) != len(r.Steps)+n {
					t.Errorf("Request during changes: got attempts %d, epoch %d, %d steps; want them of one transaction", n, got.Resource.Lease.Epoch, len(got.Steps))
					return
				}
			}
		})
	}
	for i := range 30 {
		change(t, s, application.Scope{MessageID: r.Request.MessageID}, func(w *application.Work) {
			w.Request.Attempts++
			w.Resource.Lease.Epoch++
			w.Note(domain.Step{Name: domain.StepName(fmt.Sprint(i))})
		})
	}
	stop()
	readers.Wait()
}

func concurrentErrors(t *testing.T, s Stores) {
	together(60, func(i int) {
		w := wish{id: fmt.Sprint(i)}
		err := s.Admit(t.Context(), w.scope(), func(y *application.Tenancy) error {
			y.Admitted = w.admission(y.Now)
			if i%3 == 0 {
				return errTest
			}
			return nil
		})
		if want := i%3 == 0; (err == errTest) != want || (err != nil) != want {
			t.Errorf("Admit %d: got error %v, want one: %v", i, err, want)
		}
	})
	all, err := s.Requests(t.Context(), "acme", application.RequestFilter{Limit: 100})
	if err != nil || len(all) != 40 {
		t.Errorf("60 admissions of which 20 failed: got %d requests, %v, want 40", len(all), err)
	}
}

func testContext(t *testing.T, open func(*testing.T) Stores) {
	cases(t, open, map[string]func(*testing.T, Stores){
		"whoever waits stops when ctx ends":   contextWaiting,
		"nothing happens after ctx has ended": contextEnded,
	})
}

func contextWaiting(t *testing.T, s Stores) {
	a, b := admit(t, s, wish{id: "a"}), admit(t, s, wish{id: "b"})
	inside, leave, left := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		left <- s.Change(t.Context(), application.Scope{MessageID: a.Request.MessageID}, func(*application.Work) error {
			close(inside)
			<-leave
			return nil
		})
	}()
	<-inside
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := s.Change(ctx, application.Scope{MessageID: a.Request.MessageID}, func(w *application.Work) error {
		w.Request.Attempts++
		return nil
	})
	wantKind(t, "Change that waits for another of the same request", err, domain.Unavailable)
	close(leave)
	if err := <-left; err != nil {
		t.Errorf("Change that was waited for: got %v, want no error", err)
	}
	if got := load(t, s, "acme", "a"); got.Request.Attempts > 1 || got.Resource.UID != a.Resource.UID {
		t.Errorf("request after a change that may or may not have happened: got %d attempts, want 0 or 1", got.Request.Attempts)
	}
	same(t, "the store afterwards", load(t, s, "acme", "b"), b)
}

func contextEnded(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "a"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	errs := map[string]error{}
	errs["Admit"] = s.Admit(ctx, wish{id: "r"}.scope(), func(y *application.Tenancy) error {
		y.Admitted = wish{id: "r"}.admission(y.Now)
		return nil
	})
	errs["Change"] = s.Change(ctx, application.Scope{MessageID: r.Request.MessageID}, func(w *application.Work) error {
		w.Request.Attempts++
		return nil
	})
	_, errs["Request"] = s.Request(ctx, "acme", "a")
	_, errs["Requests"] = s.Requests(ctx, "acme", application.RequestFilter{})
	_, errs["Resource"] = s.Resource(ctx, "acme", r.Resource.VirtualID)
	_, errs["Resources"] = s.Resources(ctx, "acme", application.ResourceFilter{})
	_, errs["Usage"] = s.Usage(ctx, "acme")
	_, errs["Armed"] = s.Armed(ctx, 0, 1)
	_, errs["Overdue"] = s.Overdue(ctx, 1)
	_, errs["Stalled"] = s.Stalled(ctx, 0, 1)
	_, errs["Standing"] = s.Standing(ctx, []string{r.Resource.UID})
	errs["Acknowledge"] = s.Acknowledge(ctx, "e", noon)
	errs["Bury"] = s.Bury(ctx, application.DeadLetter{ID: "d"}, nil)
	_, errs["DeadLetters"] = s.DeadLetters(ctx, "", 1, "")
	_, errs["DeadLetter"] = s.DeadLetter(ctx, "d")
	errs["Resumed"] = s.Resumed(ctx, "d", "")
	_, errs["Moot"] = s.Moot(ctx)
	_, errs["Census"] = s.Census(ctx)
	_, errs["Durations"] = s.Durations(ctx, domain.CreateMachine, 1)
	for method, err := range errs {
		wantKind(t, method+" with a cancelled ctx", err, domain.Unavailable)
	}
	same(t, "request", load(t, s, "acme", "a"), r)
	_, err := s.Request(t.Context(), "acme", "r")
	wantKind(t, "Request of what was admitted too late", err, domain.NotFound)
	_, err = s.DeadLetter(t.Context(), "d")
	wantKind(t, "DeadLetter of what was buried too late", err, domain.NotFound)
}
