package applicationtest

import (
	"testing"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// hintCases follow requests whose machine somebody saw change.
func hintCases() map[string]func(*testing.T, *chain) {
	hint := func(t *testing.T, c *chain, r domain.Resource) error {
		return c.provision.Hint(t.Context(), r.Tenant, r.VirtualID)
	}
	return map[string]func(*testing.T, *chain){
		"a hint does what the next delivery would have done": func(t *testing.T, c *chain) {
			c.hypervisor.Wait = 1
			m := c.post(machineDraft("m"))
			if err := c.wake(m.Request.MessageID); application.VerdictOf(err) != application.NotReady {
				t.Fatalf("the delivery got %v, want not ready", err)
			}
			if err := hint(t, c, m.Resource); err != nil {
				t.Errorf("the hint: %v", err)
			}
			if r := c.record(m.Request.MessageID); r.Request.Decided != domain.Completed {
				t.Errorf("after the hint the request is %q, want COMPLETED", r.Request.Decided)
			}
			c.settle(m.Request.MessageID) // the source delivers all the same
			c.sound(m.Request.MessageID, domain.Completed)
			if err := hint(t, c, m.Resource); err != nil {
				t.Errorf("a hint about a settled machine: %v", err)
			}
		},
		"a hint before the event begins nothing": func(t *testing.T, c *chain) {
			m := c.post(machineDraft("m"))
			if err := hint(t, c, m.Resource); err != nil || c.hypervisor.Has(m.Resource.UID) {
				t.Errorf("the hint: %v, made something: %v; want it to do nothing", err, c.hypervisor.Has(m.Resource.UID))
			}
			c.settle(m.Request.MessageID)
			c.sound(m.Request.MessageID, domain.Completed)
		},
		"hints use up no attempts": func(t *testing.T, c *chain) {
			c.hypervisor.Wait = 1
			m := c.post(machineDraft("m"))
			_ = c.wake(m.Request.MessageID) // not ready
			c.hypervisor.Before = func(string, domain.Key) error { return tryAgain }
			for range 3 * c.provision.MaxAttempts {
				if err := hint(t, c, m.Resource); application.VerdictOf(err) != application.Trouble {
					t.Fatalf("the hint got %v, want the trouble there is", err)
				}
			}
			c.hypervisor.Before = nil
			if q := c.record(m.Request.MessageID).Request; q.Attempts != 0 || q.Goal != domain.ToTarget {
				t.Errorf("after hints in trouble: %d attempts, goal %s; want none, and the target", q.Attempts, q.Goal)
			}
			c.settle(m.Request.MessageID)
			c.sound(m.Request.MessageID, domain.Completed)
		},
		"a hint stays out of the way of a delivery": func(t *testing.T, c *chain) {
			m := c.post(machineDraft("m"))
			c.once("ensure", domain.ThingMachine, func() error {
				if err := hint(t, c, m.Resource); application.VerdictOf(err) != application.Busy {
					t.Errorf("a hint while a delivery works got %v, want busy", err)
				}
				return nil
			})
			c.settle(m.Request.MessageID)
			c.sound(m.Request.MessageID, domain.Completed)
		},
		"a hint about a stranger is nothing": func(t *testing.T, c *chain) {
			m := c.post(machineDraft("m"))
			for name, r := range map[string]domain.Resource{
				"unknown": {Tenant: m.Resource.Tenant, VirtualID: "VM-00000000"},
				"foreign": {Tenant: "another", VirtualID: m.Resource.VirtualID},
			} {
				if err := hint(t, c, r); err != nil {
					t.Errorf("%s: %v, want nil", name, err)
				}
			}
		},
	}
}
