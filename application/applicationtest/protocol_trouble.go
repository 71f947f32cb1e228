package applicationtest

import (
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// troubleCases follow requests on which something goes wrong for good.
func troubleCases() map[string]func(*testing.T, *chain) {
	return map[string]func(*testing.T, *chain){
		"a final refusal is undone": func(t *testing.T, c *chain) {
			m := c.post(machineDraft("m"))
			c.hypervisor.Before = func(op string, k domain.Key) error {
				if op == "ensure" && k.Kind == domain.ThingMachine {
					return &domain.Error{Kind: domain.Invalid, Code: "too-odd", Detail: "no such machine can be made"}
				}
				return nil
			}
			c.settle(m.Request.MessageID)
			r := c.sound(m.Request.MessageID, domain.Fault)
			if r.Request.Reason != "refused:too-odd" || r.Resource.State != domain.Failed {
				t.Errorf("reason %q, resource %s; want refused:too-odd, FAILED", r.Request.Reason, r.Resource.State)
			}
			c.steps(r, map[domain.StepName]domain.StepStatus{
				domain.ResourceProvisioned: domain.StepFailed, domain.InPlan("volume-created"): domain.StepCompensated, domain.EventAcknowledged: domain.StepSuccess})
		},
		"a refusal that comes after a cancel frees the lease": func(t *testing.T, c *chain) {
			m := c.post(machineDraft("m"))
			c.once("ensure", domain.ThingMachine, func() error {
				if err := c.cancelNow("m"); err != nil {
					return err
				}
				return &domain.Error{Kind: domain.Invalid, Code: "never"}
			})
			if err := c.wake(m.Request.MessageID); err != nil {
				t.Fatalf("the delivery got %v, want it undone at once", err)
			}
			c.settle(m.Request.MessageID)
			c.sound(m.Request.MessageID, domain.Cancelled)
		},
		"one sink that is away holds up no other": func(t *testing.T, c *chain) {
			c.sink.closed = "dead"
			if err := c.provision.Handle(t.Context(), application.Event{ID: "bad", Type: "garbage"}, application.Arrival{}); err != nil {
				t.Fatal(err)
			}
			c.stores.Clock.Advance(time.Second)
			c.sink.setAway(true)
			m := c.post(machineDraft("m"))
			c.sink.setAway(false)
			c.stores.Clock.Advance(6 * time.Second)
			if f, err := c.sweep.Run(t.Context()); err == nil || f.Sent != 1 {
				t.Errorf("the sweep did %+v, %v; want one event sent and the trouble told", f, err)
			}
			if n := len(c.sink.bodies(m.Request.MessageID)); n != 1 {
				t.Errorf("the request's event was sent %d times, want once", n)
			}
			c.sink.closed = ""
			c.sweepOnce()
			if n := len(c.sink.bodies(domain.DeadLetterID("bad", "provision"))); n != 1 {
				t.Errorf("the dead letter was sent %d times, want once", n)
			}
		},
		"a retriable error undoes nothing": func(t *testing.T, c *chain) {
			m := c.post(machineDraft("m"))
			c.hypervisor.Before = func(op string, k domain.Key) error {
				if op == "ensure" && k.Kind == domain.ThingMachine {
					return tryAgain
				}
				return nil
			}
			_ = c.wake(m.Request.MessageID)
			if !c.hypervisor.Has(m.Resource.UID) {
				t.Error("the volume was deleted after an error that may pass")
			}
		},
		"a codec that cannot write yet costs no attempt": func(t *testing.T, c *chain) {
			ready := c.submit.Codec
			c.submit.Codec, c.provision.Codec, c.notify.Codec = away{}, away{}, away{}
			if _, err := c.submit.Submit(t.Context(), ada, machineDraft("m"), c.stores.Clock.Now()); domain.CodeOf(err) != application.CodeRegistryAway {
				t.Errorf("submit: got %v, want registry-away", err)
			}
			c.submit.Codec = ready
			m := c.post(machineDraft("m")) // nothing was admitted
			if m.Repeated {
				t.Error("a request was admitted whose event could not be written")
			}
			for range 2 * c.provision.MaxAttempts {
				if err := c.wake(m.Request.MessageID); application.VerdictOf(err) != application.NotReady {
					t.Errorf("a delivery: got %v, want not ready", err)
				}
				c.stores.Clock.Advance(time.Second)
			}
			if !c.hypervisor.Has(m.Resource.UID) || c.record(m.Request.MessageID).Request.Goal != domain.ToTarget {
				t.Error("a machine that runs was given up, want it to wait for its result to be written")
			}
			c.provision.Codec, c.notify.Codec = ready, ready
			c.settle(m.Request.MessageID)
			c.sound(m.Request.MessageID, domain.Completed)
		},
		"an event that cannot be read yet is not buried": func(t *testing.T, c *chain) {
			m := c.post(machineDraft("m"))
			ready := c.provision.Codec
			c.provision.Codec, c.notify.Codec = mute{}, mute{}
			for name, deliver := range map[string]func(string) error{"provision": c.wake, "notify": c.announce} {
				if err := deliver(m.Request.MessageID); application.VerdictOf(err) != application.NotReady {
					t.Errorf("%s: got %v, want not ready", name, err)
				}
			}
			c.provision.Codec, c.notify.Codec = ready, ready
			c.settle(m.Request.MessageID)
			c.sound(m.Request.MessageID, domain.Completed)
		},
		"a passed deadline is undone": func(t *testing.T, c *chain) {
			m := c.post(machineDraft("m"))
			c.hypervisor.Wait = 1 << 20
			_ = c.wake(m.Request.MessageID)
			c.stores.Clock.Advance(11 * time.Minute)
			if f := c.sweepOnce(); f.Overdue != 1 {
				t.Errorf("the sweep found %+v, want one overdue", f)
			}
			c.settle(m.Request.MessageID)
			if r := c.sound(m.Request.MessageID, domain.Fault); r.Request.Reason != domain.ReasonDeadline {
				t.Errorf("reason %q, want %s", r.Request.Reason, domain.ReasonDeadline)
			}
		},
		"a deadline is noticed without a sweep": func(t *testing.T, c *chain) {
			m := c.post(machineDraft("m"))
			c.stores.Clock.Advance(11 * time.Minute)
			c.settle(m.Request.MessageID)
			c.sound(m.Request.MessageID, domain.Fault)
		},
		"no room is waited for": func(t *testing.T, c *chain) {
			m := c.post(machineDraft("m"))
			c.refuse("ensure", &domain.Error{Kind: domain.Unavailable, Code: application.CodeNoCapacity})
			for range 5 { // more than MaxAttempts
				if err := c.wake(m.Request.MessageID); domain.CodeOf(err) != application.CodeNoCapacity {
					t.Fatalf("without room the delivery got %v", err)
				}
			}
			c.hypervisor.Before = nil
			c.settle(m.Request.MessageID)
			c.sound(m.Request.MessageID, domain.Completed)
		},
		"an undo is tried until it was observed": func(t *testing.T, c *chain) {
			m := c.post(machineDraft("m"))
			c.hypervisor.Wait = 1 << 20
			_ = c.wake(m.Request.MessageID)
			if err := c.cancelNow("m"); err != nil {
				t.Fatal(err)
			}
			c.refuse("delete", tryAgain)
			for range 6 { // more than MaxAttempts
				_ = c.wake(m.Request.MessageID)
				if r := c.record(m.Request.MessageID); r.Request.Decided != domain.Undecided {
					t.Fatalf("decided %s although the machine exists", r.Request.Decided)
				}
			}
			c.hypervisor.Before = nil
			c.settle(m.Request.MessageID)
			r := c.sound(m.Request.MessageID, domain.Cancelled)
			c.steps(r, map[domain.StepName]domain.StepStatus{domain.ResourceProvisioned: domain.StepCompensated})
		},
		"a delivery that waits notices a cancel": func(t *testing.T, c *chain) {
			m := c.post(machineDraft("m"))
			c.hypervisor.Wait = 1 << 20
			c.provision.Patience = time.Hour // of a clock that only the looks move
			c.hypervisor.Before = func(op string, _ domain.Key) error {
				if op == "observe" {
					c.stores.Clock.Advance(time.Second)
				}
				if op == "observe" && c.hypervisor.Wait == 1<<20-3 {
					return c.cancelNow("m")
				}
				return nil
			}
			if err := c.wake(m.Request.MessageID); err != nil {
				t.Fatalf("the delivery that noticed the cancel got %v, want it undone", err)
			}
			c.hypervisor.Before = nil
			c.settle(m.Request.MessageID)
			c.sound(m.Request.MessageID, domain.Cancelled)
		},
		"cancelling twice is one answer": func(t *testing.T, c *chain) {
			m := c.post(machineDraft("m"))
			if a, b := c.cancelNow("m"), c.cancelNow("m"); a != nil || b != nil {
				t.Errorf("two cancels got %v and %v", a, b)
			}
			c.settle(m.Request.MessageID)
			if err := c.cancelNow("m"); domain.CodeOf(err) != "outcome-decided" {
				t.Errorf("a cancel after the end: %v, want outcome-decided", err)
			}
		},
		"a refused deletion stays and is told": func(t *testing.T, c *chain) {
			m := c.run(machineDraft("m"))
			d := c.post(operation(domain.DeleteMachine, "d", m.Resource.VirtualID))
			c.refuse("delete", &domain.Error{Kind: domain.Forbidden, Code: "denied"})
			if err := c.wake(d.Request.MessageID); domain.CodeOf(err) != "denied" {
				t.Errorf("the delivery of a refused deletion got %v, want that it was refused", err)
			}
			if letters, _ := c.stores.DeadLetters(t.Context(), "acme", 10, ""); len(letters) != 1 {
				t.Errorf("%d dead letters, want one", len(letters))
			}
			c.hypervisor.Before = nil
			c.settle(d.Request.MessageID)
			c.sound(d.Request.MessageID, domain.Completed)
			if f := c.sweepOnce(); f.Moot != 1 {
				t.Errorf("the sweep found %+v, want the letter moot", f)
			}
		},
		"poison is buried once": func(t *testing.T, c *chain) {
			e := application.Event{ID: "bad", Type: "garbage", Data: []byte{0xff}}
			for range 2 {
				if err := c.provision.Handle(t.Context(), e, application.Arrival{}); err != nil {
					t.Fatalf("poison was not acknowledged: %v", err)
				}
			}
			letters, err := c.stores.DeadLetters(t.Context(), "", 10, "")
			if err != nil || len(letters) != 1 || letters[0].Reason != "undecodable" {
				t.Errorf("dead letters %+v, %v, want one: undecodable", letters, err)
			}
			if n := len(c.sink.bodies(domain.DeadLetterID("bad", "provision"))); n != 1 {
				t.Errorf("the dead letter was sent %d times, want once", n)
			}
			if got := c.sink.sent[0].WireID; got != "bad" {
				t.Errorf("the dead letter has the id %q, want that of the event that failed", got)
			}
		},
		"what a source gave up on is seen, and ends nothing": func(t *testing.T, c *chain) {
			m := c.post(machineDraft("m"))
			e, gaveUp := wakeUp(m.Request.MessageID), application.Arrival{GaveUp: "503"}
			for range 2 {
				if err := c.provision.Poison.Undelivered(t.Context(), e, gaveUp); err != nil {
					t.Fatal(err)
				}
			}
			letters, err := c.stores.DeadLetters(t.Context(), "acme", 10, "")
			if err != nil || len(letters) != 1 || letters[0].Reason != domain.ReasonUndelivered || letters[0].RequestID != "m" {
				t.Errorf("dead letters %+v, %v, want one: undelivered, of m", letters, err)
			}
			c.stores.Clock.Advance(31 * time.Second)
			c.sweepOnce() // brings it back
			if n := len(c.sink.bodies(m.Request.MessageID)); n != 2 {
				t.Errorf("the event was sent %d times, want again by the sweep", n)
			}
			c.settle(m.Request.MessageID)
			c.sound(m.Request.MessageID, domain.Completed)
			if f := c.sweepOnce(); f.Moot != 1 {
				t.Errorf("the sweep found %+v, want the letter moot", f)
			}
			if err := c.provision.Poison.Undelivered(t.Context(), e, gaveUp); err != nil {
				t.Error(err) // a request that has ended needs no letter
			}
			other := application.Event{ID: "x", Type: "garbage", Data: []byte("x")}
			if err := c.provision.Poison.Undelivered(t.Context(), other, gaveUp); err != nil {
				t.Error(err)
			}
			if letters, _ := c.stores.DeadLetters(t.Context(), "", 10, ""); len(letters) != 2 {
				t.Errorf("%d dead letters, want those of m and of what nobody can read", len(letters))
			}
			if n := len(c.sink.bodies(domain.DeadLetterID("x", "source"))); n != 0 {
				t.Error("it was sent to the dead letters, where it came from")
			}
		},
		"an unknown request is waited for, then buried": func(t *testing.T, c *chain) {
			id := domain.MessageID("acme", "from another store")
			e := wakeUp(id)
			e.Time = c.stores.Clock.Now()
			if err := c.provision.Handle(t.Context(), e, application.Arrival{EventID: id}); err == nil {
				t.Error("a request that is not known yet was acknowledged")
			}
			c.stores.Clock.Advance(2 * time.Minute)
			if err := c.provision.Handle(t.Context(), e, application.Arrival{EventID: id}); err != nil {
				t.Errorf("an old event of an unknown request: %v, want it buried", err)
			}
		},
		"a late result event of an undecided request comes back": func(t *testing.T, c *chain) {
			m := c.post(machineDraft("m"))
			if err := c.announce(m.Request.MessageID); err == nil {
				t.Error("notify acknowledged a request that is not decided")
			}
		},
	}
}

// steps checks the status of some lines of a history.
func (c *chain) steps(r application.Record, want map[domain.StepName]domain.StepStatus) {
	c.t.Helper()
	have := map[domain.StepName]domain.StepStatus{}
	for _, s := range r.Steps {
		have[s.Name] = s.Status
	}
	for name, status := range want {
		if have[name] != status {
			c.t.Errorf("step %s is %q, want %s", name, have[name], status)
		}
	}
}
