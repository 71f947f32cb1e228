package applicationtest

import (
	"slices"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// counterexamples are the shortest failing runs that a model checker found of
// protocols with one rule less. Each breaks when its rule is broken here.
func counterexamples() map[string]func(*testing.T, *chain) {
	return map[string]func(*testing.T, *chain){
		"X1 a key per attempt makes two resources": func(t *testing.T, c *chain) {
			c.hypervisor.Wait = 2
			c.run(machineDraft("m"))
			if c.hypervisor.Made != 2 { // machine and volume
				t.Errorf("%d things were made, want 2", c.hypervisor.Made)
			}
		},
		"X2 an event seen before is still worked on": func(t *testing.T, c *chain) {
			m := c.post(machineDraft("m"))
			c.refuse("ensure", tryAgain)
			if err := c.wake(m.Request.MessageID); err == nil {
				t.Fatal("a transient fault was acknowledged")
			}
			c.hypervisor.Before = nil
			c.settle(m.Request.MessageID)
			c.sound(m.Request.MessageID, domain.Completed)
		},
		"X3 an event that was never sent, or lost, is sent again": func(t *testing.T, c *chain) {
			c.sink.setAway(true)
			m := c.post(machineDraft("m"))
			c.sink.setAway(false)
			c.stores.Clock.Advance(6 * time.Second)
			c.sweepOnce()
			if n := len(c.sink.bodies(m.Request.MessageID)); n != 1 {
				t.Fatalf("the sweep sent the event %d times, want once", n)
			}
			c.stores.Clock.Advance(31 * time.Second) // the broker lost it
			c.sweepOnce()
			if n := len(c.sink.bodies(m.Request.MessageID)); n != 2 {
				t.Errorf("the sweep sent the lost event %d times in all, want twice", n)
			}
			c.settle(m.Request.MessageID)
			c.sound(m.Request.MessageID, domain.Completed)
		},
		"X4 the goal is read again when the outcome is written": func(t *testing.T, c *chain) {
			m := c.post(machineDraft("m"))
			c.once("ensure", domain.ThingMachine, func() error { return c.cancelNow("m") })
			c.settle(m.Request.MessageID)
			c.sound(m.Request.MessageID, domain.Cancelled)
		},
		"X5 a cancel frees nothing before the undo was observed": func(t *testing.T, c *chain) {
			m := c.post(machineDraft("m"))
			if err := c.cancelNow("m"); err != nil {
				t.Fatal(err)
			}
			r := c.record(m.Request.MessageID)
			if u, _ := c.stores.Usage(t.Context(), "acme"); r.Request.Decided != domain.Undecided || !r.Resource.Live || u.Machines != 1 {
				t.Errorf("right after the cancel: decided %q, live %v, usage %+v; want nothing changed yet", r.Request.Decided, r.Resource.Live, u)
			}
			c.settle(m.Request.MessageID)
			c.sound(m.Request.MessageID, domain.Cancelled)
			if u, _ := c.stores.Usage(t.Context(), "acme"); u != (domain.Usage{}) {
				t.Errorf("after the cancel usage is %+v, want nothing", u)
			}
		},
		"X6 two deliveries never work on one resource": func(t *testing.T, c *chain) {
			m := c.post(machineDraft("m"))
			var second error
			c.once("ensure", domain.ThingMachine, func() error {
				if err := c.cancelNow("m"); err != nil {
					return err
				}
				second = c.wake(m.Request.MessageID)
				return nil
			})
			_ = c.wake(m.Request.MessageID)
			if domain.CodeOf(second) != application.CodeBusy {
				t.Errorf("the second delivery got %v, want busy", second)
			}
			c.settle(m.Request.MessageID)
			c.sound(m.Request.MessageID, domain.Cancelled)
		},
		"X7 a call without an answer keeps the lease": func(t *testing.T, c *chain) {
			m := c.post(machineDraft("m"))
			c.once("ensure", domain.ThingMachine, func() error { return errLate })
			if err := c.wake(m.Request.MessageID); err == nil {
				t.Fatal("a call without an answer was acknowledged")
			}
			if err := c.cancelNow("m"); err != nil {
				t.Fatal(err)
			}
			if err := c.wake(m.Request.MessageID); domain.CodeOf(err) != application.CodeBusy {
				t.Errorf("while the call may still land the delivery got %v, want busy", err)
			}
			c.hypervisor.Land() // within the landing time
			c.stores.Clock.Advance(31 * time.Second)
			c.settle(m.Request.MessageID)
			c.sound(m.Request.MessageID, domain.Cancelled)
		},
		"X8 a release does not free another's lease": func(t *testing.T, c *chain) {
			m := c.post(machineDraft("m"))
			calls := 0
			c.hypervisor.Before = func(op string, _ domain.Key) error {
				if op == "ensure" {
					calls++
				}
				switch {
				case op == "ensure" && calls == 1: // A pauses until its lease is over, B takes it
					c.stores.Clock.Advance(31 * time.Second)
					_ = c.wake(m.Request.MessageID)
					return tryAgain
				case op == "ensure" && calls == 2: // B hears nothing and keeps the lease
					return errLate
				}
				return nil
			}
			_ = c.wake(m.Request.MessageID) // A, which releases last
			c.hypervisor.Before = nil
			if err := c.wake(m.Request.MessageID); domain.CodeOf(err) != application.CodeBusy {
				t.Errorf("after A's release the third delivery got %v, want busy: B holds the lease", err)
			}
			c.hypervisor.Land()
			c.stores.Clock.Advance(31 * time.Second)
			c.settle(m.Request.MessageID)
			c.sound(m.Request.MessageID, domain.Completed)
		},
		"X9 an old event resurrects nothing": func(t *testing.T, c *chain) {
			m := c.run(machineDraft("m"))
			c.run(operation(domain.DeleteMachine, "d", m.Resource.VirtualID))
			if err := c.wake(m.Request.MessageID); err != nil {
				t.Errorf("the old event was not acknowledged: %v", err)
			}
			if c.hypervisor.Has(m.Resource.UID) {
				t.Error("the machine is back")
			}
		},
		"X10 one unfinished request per resource": func(t *testing.T, c *chain) {
			m := c.post(machineDraft("m"))
			_, err := c.submit.Submit(t.Context(), ada, operation(domain.DeleteMachine, "d", m.Resource.VirtualID), noon)
			if domain.KindOf(err) != domain.Conflict {
				t.Errorf("a deletion during the creation: %v, want Conflict", err)
			}
			c.settle(m.Request.MessageID)
			c.post(operation(domain.StopMachine, "s", m.Resource.VirtualID))
			_, err = c.submit.Submit(t.Context(), ada, operation(domain.RestartMachine, "r", m.Resource.VirtualID), noon)
			if domain.CodeOf(err) != "busy" {
				t.Errorf("a restart while a stop waits: %v, want busy", err)
			}
		},
		"X11 a begun deletion cannot be cancelled": func(t *testing.T, c *chain) {
			m := c.run(machineDraft("m"))
			d := c.post(operation(domain.DeleteMachine, "d", m.Resource.VirtualID))
			c.refuse("delete", tryAgain)
			_ = c.wake(d.Request.MessageID)
			if err := c.cancelNow("d"); domain.CodeOf(err) != "cannot-be-undone" {
				t.Errorf("cancel of a begun deletion: %v, want cannot-be-undone", err)
			}
			c.hypervisor.Before = nil
			c.settle(d.Request.MessageID)
			c.sound(d.Request.MessageID, domain.Completed)
		},
		"X11 a deletion that has not begun can be cancelled": func(t *testing.T, c *chain) {
			m := c.run(machineDraft("m"))
			d := c.post(operation(domain.DeleteMachine, "d", m.Resource.VirtualID))
			if err := c.cancelNow("d"); err != nil {
				t.Fatal(err)
			}
			r := c.settle(d.Request.MessageID)
			c.sound(d.Request.MessageID, domain.Cancelled)
			if r.Resource.State != domain.Running || !c.hypervisor.Has(m.Resource.UID) {
				t.Errorf("after the cancelled deletion the machine is %s", r.Resource.State)
			}
		},
		"X12 resuming a failed request makes a new one, once": func(t *testing.T, c *chain) {
			m := c.post(machineDraft("m"))
			c.refuse("ensure", tryAgain)
			c.settle(m.Request.MessageID)
			c.sound(m.Request.MessageID, domain.Fault)
			c.hypervisor.Before = nil
			letters, err := c.stores.DeadLetters(t.Context(), "acme", 10, "")
			if err != nil || len(letters) != 1 || letters[0].Reason != domain.ReasonAttemptsExhausted {
				t.Fatalf("dead letters %+v, %v, want one: attempts-exhausted", letters, err)
			}
			first, err := c.resume.Resume(t.Context(), ada, letters[0].ID)
			if err != nil {
				t.Fatal(err)
			}
			again, err := c.resume.Resume(t.Context(), ada, letters[0].ID)
			if err != nil || again != first {
				t.Errorf("resumed twice: %s, then %s, %v", first, again, err)
			}
			c.settle(domain.MessageID("acme", first))
			c.sound(domain.MessageID("acme", first), domain.Completed)
			c.sound(m.Request.MessageID, domain.Fault)
		},
		"X13 the status is final only when the event is in its topic": func(t *testing.T, c *chain) {
			m := c.post(machineDraft("m"))
			if err := c.wake(m.Request.MessageID); err != nil {
				t.Fatal(err)
			}
			c.sink.setAway(true)
			if err := c.announce(m.Request.MessageID); err == nil {
				t.Error("an event that was not sent was acknowledged")
			}
			if r := c.record(m.Request.MessageID); r.Request.Status != domain.Processing {
				t.Errorf("the status is %s although nobody knows", r.Request.Status)
			}
			c.sink.setAway(false)
			c.settle(m.Request.MessageID)
			c.sound(m.Request.MessageID, domain.Completed)
		},
		"X14 a restart stops once": func(t *testing.T, c *chain) {
			m := c.run(machineDraft("m"))
			r := c.post(operation(domain.RestartMachine, "r", m.Resource.VirtualID))
			c.hypervisor.Wait = 3 // it stops, starts, and is not ready for a while
			c.settle(r.Request.MessageID)
			c.sound(r.Request.MessageID, domain.Completed)
			if c.hypervisor.Offs != 1 {
				t.Errorf("a restart stopped the machine %d times", c.hypervisor.Offs)
			}
		},
		"X14 a step is recorded only under the lease": func(t *testing.T, c *chain) {
			m := c.run(machineDraft("m"))
			r := c.post(operation(domain.RestartMachine, "r", m.Resource.VirtualID))
			c.once("off", domain.ThingMachine, func() error { // A pauses, B takes over and is under way
				c.stores.Clock.Advance(31 * time.Second)
				c.once("off", domain.ThingMachine, func() error { return errLate })
				_ = c.wake(r.Request.MessageID)
				return nil
			})
			if err := c.wake(r.Request.MessageID); err == nil {
				t.Error("A finished although B holds the lease")
			}
			steps := c.record(r.Request.MessageID).Steps
			if slices.ContainsFunc(steps, func(s domain.Step) bool { return s.Name == domain.InPlan("machine-stopped") }) {
				t.Error("A recorded a step without holding the lease")
			}
		},
		"X15 the sweep finds what nobody owns": func(t *testing.T, c *chain) {
			m := c.run(machineDraft("m"))
			orphan := domain.Key{Resource: "nobody", Kind: domain.ThingMachine}
			if _, err := c.hypervisor.Ensure(t.Context(), domain.Desired{Key: orphan, On: true}); err != nil {
				t.Fatal(err)
			}
			if f := c.sweepOnce(); f.Orphans != 1 || f.Reaped != 0 || !c.hypervisor.Has("nobody") {
				t.Errorf("the sweep found %+v, want one orphan and nothing deleted unless told to", f)
			}
			c.sweep.Reap = true
			if f := c.sweepOnce(); f.Reaped != 1 || c.hypervisor.Has("nobody") || !c.hypervisor.Has(m.Resource.UID) {
				t.Errorf("the sweep did %+v, want the orphan deleted and the machine left", f)
			}
		},
		"X16 an event that kills its process is counted": func(t *testing.T, c *chain) {
			m := c.post(machineDraft("m"))
			c.hypervisor.Before = func(op string, _ domain.Key) error {
				if op == "ensure" {
					panic("killed")
				}
				return nil
			}
			for range 3 {
				func() {
					defer func() { _ = recover() }() // the next process
					_ = c.wake(m.Request.MessageID)
				}()
				c.stores.Clock.Advance(31 * time.Second)
			}
			c.settle(m.Request.MessageID)
			if r := c.sound(m.Request.MessageID, domain.Fault); r.Request.Reason != domain.ReasonAttemptsExhausted {
				t.Errorf("reason %q, want %s", r.Request.Reason, domain.ReasonAttemptsExhausted)
			}
		},
	}
}

var tryAgain = &domain.Error{Op: "test", Kind: domain.Unavailable, Code: application.CodeTryAgain}

// once lets something happen before the next operation of that name on a thing
// of that kind, and never again. A nil function does nothing.
func (c *chain) once(op string, kind domain.ThingKind, f func() error) {
	done := false
	c.hypervisor.Before = func(got string, k domain.Key) error {
		if done || got != op || k.Kind != kind || f == nil {
			return nil
		}
		done = true
		return f()
	}
}

func (c *chain) cancelNow(id string) error {
	_, err := c.cancel.Cancel(c.t.Context(), ada, id)
	return err
}

func (c *chain) sweepOnce() application.Findings {
	c.t.Helper()
	f, err := c.sweep.Run(c.t.Context())
	if err != nil {
		c.t.Fatalf("sweep: %v", err)
	}
	return f
}
