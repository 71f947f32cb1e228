package applicationtest

import (
	"testing"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// pathCases follow requests on which nothing goes wrong.
func pathCases() map[string]func(*testing.T, *chain) {
	return map[string]func(*testing.T, *chain){
		"every type completes": func(t *testing.T, c *chain) {
			m := c.run(machineDraft("m"))
			v, n := c.run(volumeDraft("v")), c.run(networkDraft("n"))
			id := m.Resource.VirtualID
			for _, step := range []struct {
				draft domain.Draft
				want  domain.State
			}{
				{operation(domain.StopMachine, "stop", id), domain.Stopped},
				{operation(domain.StartMachine, "start", id), domain.Running},
				{operation(domain.RestartMachine, "restart", id), domain.Running},
				{operation(domain.DeleteMachine, "delete", id), domain.Deleted},
				{operation(domain.ReleaseStorage, "release", v.Resource.VirtualID), domain.Released},
				{operation(domain.DeleteNetwork, "dissolve", n.Resource.VirtualID), domain.Deleted},
			} {
				r := c.run(step.draft)
				c.sound(r.Request.MessageID, domain.Completed)
				if r.Resource.State != step.want {
					t.Errorf("after %s the resource is %s, want %s", step.draft.Type, r.Resource.State, step.want)
				}
			}
			if u, err := c.stores.Usage(t.Context(), "acme"); err != nil || u != (domain.Usage{}) {
				t.Errorf("after everything is deleted usage is %+v, %v, want nothing", u, err)
			}
		},
		"the same twice is the same answer": func(t *testing.T, c *chain) {
			a, b := c.post(machineDraft("m")), c.post(machineDraft("m"))
			if !b.Repeated || a.Resource.UID != b.Resource.UID {
				t.Errorf("the second answer: repeated %v, resource %s, want that of the first, %s", b.Repeated, b.Resource.UID, a.Resource.UID)
			}
			other := machineDraft("m")
			other.Spec.Machine.Cores = 5
			if _, err := c.submit.Submit(t.Context(), ada, other, noon); domain.CodeOf(err) != "request-id-reused" || domain.KindOf(err) != domain.Invalid {
				t.Errorf("the same id for something else: %v, want Invalid request-id-reused", err)
			}
		},
		"waiting is not an attempt": func(t *testing.T, c *chain) {
			c.hypervisor.Wait = 8 // more than MaxAttempts deliveries
			r := c.run(machineDraft("m"))
			c.sound(r.Request.MessageID, domain.Completed)
			if r.Request.NotReady == 0 || r.Request.Attempts != 1 {
				t.Errorf("attempts %d, not ready %d; want 1 and some", r.Request.Attempts, r.Request.NotReady)
			}
		},
		"a machine waits for its network": func(t *testing.T, c *chain) {
			n := c.post(networkDraft("n"))
			d := machineDraft("m")
			d.Spec.Machine.Network = domain.Attachment{Mode: domain.ModeVLAN, Name: "vlan-200", VLAN: 200}
			m := c.post(d)
			if err := c.wake(m.Request.MessageID); !notReady(err) {
				t.Errorf("before its network exists the machine is %v, want not-ready", err)
			}
			c.settle(n.Request.MessageID)
			r := c.settle(m.Request.MessageID)
			c.sound(r.Request.MessageID, domain.Completed)
			if got := r.Resource.Placement.Address; !n.Resource.Spec.Network.Subnet.Contains(got.Addr()) {
				t.Errorf("the machine has %s, want an address of %s", got, n.Resource.Spec.Network.Subnet)
			}
			if _, err := c.submit.Submit(t.Context(), ada, operation(domain.DeleteNetwork, "dissolve", n.Resource.VirtualID), noon); domain.KindOf(err) != domain.Conflict {
				t.Errorf("deleting a network with a machine: %v, want Conflict", err)
			}
		},
		"a machine waits until its network is decided, not only ready": func(t *testing.T, c *chain) {
			n := c.post(networkDraft("n"))
			d := machineDraft("m")
			d.Spec.Machine.Network = domain.Attachment{Mode: domain.ModeVLAN, Name: "vlan-200", VLAN: 200}
			m := c.post(d)
			key := domain.Key{Resource: n.Resource.UID, Kind: domain.ThingNetwork}
			if _, err := c.hypervisor.Ensure(t.Context(), domain.Desired{Key: key}); err != nil {
				t.Fatal(err)
			}
			if err := c.wake(m.Request.MessageID); !notReady(err) {
				t.Errorf("a machine on a network that can still be cancelled: %v, want not-ready", err)
			}
			c.settle(n.Request.MessageID)
			c.settle(m.Request.MessageID)
			c.sound(m.Request.MessageID, domain.Completed)
		},
		"a machine does not wait for a network that failed": func(t *testing.T, c *chain) {
			n := c.post(networkDraft("n"))
			d := machineDraft("m")
			d.Spec.Machine.Network = domain.Attachment{Mode: domain.ModeVLAN, Name: "vlan-200", VLAN: 200}
			m := c.post(d)
			c.refuse("ensure", &domain.Error{Kind: domain.Invalid, Code: "never"})
			c.settle(n.Request.MessageID)
			c.hypervisor.Before = nil
			c.settle(m.Request.MessageID)
			c.sound(m.Request.MessageID, domain.Fault)
		},
		"what is tried is not stored": func(t *testing.T, c *chain) {
			if _, err := c.submit.Try(t.Context(), ada, machineDraft("m")); err != nil {
				t.Fatal(err)
			}
			if _, err := c.stores.Request(t.Context(), "acme", "m"); domain.KindOf(err) != domain.NotFound {
				t.Errorf("a dry run left a request: %v", err)
			}
			if len(c.sink.sent) > 0 {
				t.Errorf("a dry run sent %d events", len(c.sink.sent))
			}
		},
		"a root volume is made of the machine's image": func(t *testing.T, c *chain) {
			m := c.run(machineDraft("m"))
			v := c.run(volumeDraft("v"))
			root := domain.Key{Resource: m.Resource.UID, Kind: domain.ThingVolume}
			blank := domain.Key{Resource: v.Resource.UID, Kind: domain.ThingVolume}
			if got := c.hypervisor.Filled; got[root] != domain.DefaultImage || got[blank] != "" {
				t.Errorf("images of volumes: got %q and %q, want %q and none", got[root], got[blank], domain.DefaultImage)
			}
		},
		"parts of the time do not overlap": func(t *testing.T, c *chain) {
			r := c.run(machineDraft("m"))
			f := r.Resource.Facts.Timings
			total := r.Request.DecidedAt.Sub(r.Request.AcceptedAt)
			if f.Provisioning+f.Boot > total || f.Startup > f.Boot {
				t.Errorf("timings %+v do not fit into %s", f, total)
			}
		},
	}
}

func notReady(err error) bool { return domain.CodeOf(err) == application.CodeNotReady }

// refuse makes every operation of that name fail.
func (c *chain) refuse(op string, err error) {
	c.hypervisor.Before = func(got string, _ domain.Key) error {
		if got == op {
			return err
		}
		return nil
	}
}
