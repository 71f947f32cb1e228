package applicationtest

import (
	"cmp"
	"context"
	"crypto/rand"
	"net/netip"
	"slices"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// fixture is one case: a world, and words to speak about it.
type fixture struct {
	*testing.T
	World
	cannot map[Feature]string
}

func (f *fixture) can(feature Feature) bool {
	_, cannot := f.cannot[feature]
	return !cannot
}

// uid is a resource that no other test has.
func (*fixture) uid() string { return domain.ResourceUID(rand.Text()) }

// volume is a root volume that is wanted.
func (f *fixture) volume(uid string) domain.Desired {
	return domain.Desired{
		Key: domain.Key{Resource: uid, Kind: domain.ThingVolume}, Tenant: "acme", VirtualID: "VM-C0FFEE00", Host: f.Host, Image: f.Machine.Image,
		Spec: domain.Specification{Volume: &domain.VolumeSpec{Size: f.Machine.Disk, Type: f.Machine.DiskType}},
	}
}

// machine is a machine that is wanted on the segment, with its n-th address but
// two, and switched on.
func (f *fixture) machine(uid string, n int) domain.Desired {
	spec := f.Machine
	d := domain.Desired{
		Key: domain.Key{Resource: uid, Kind: domain.ThingMachine}, Tenant: "acme", VirtualID: "VM-C0FFEE00", Host: f.Host,
		On: true, Root: f.volume(uid).Key, Spec: domain.Specification{Machine: &spec},
	}
	return on(d, f.Segment.Name, f.Segment.Network, n)
}

// on puts a machine on a network.
func on(d domain.Desired, name string, n domain.NetworkSpec, address int) domain.Desired {
	a := n.Subnet.Masked().Addr().Next()
	for i := 0; i < address || a == n.Gateway; i++ {
		a = a.Next()
	}
	d.Network, d.VLAN, d.Gateway, d.Address = name, n.VLAN, n.Gateway, netip.PrefixFrom(a, n.Subnet.Bits())
	return d
}

// network is the n-th network that is wanted.
func (f *fixture) network(uid string, n int) domain.Desired {
	spec := f.Networks[n]
	return domain.Desired{
		Key: domain.Key{Resource: uid, Kind: domain.ThingNetwork}, Tenant: "acme", VirtualID: "NET-C0FFEE00",
		VLAN: spec.VLAN, Gateway: spec.Gateway, Spec: domain.Specification{Network: &spec},
	}
}

// set is all that a machine may need, and the machine last: a network of the tenant
// where the hypervisor makes networks, and a root volume.
func (f *fixture) set() []domain.Desired {
	uid := f.uid()
	root, machine := f.volume(uid), f.machine(uid, 0)
	if !f.can(Networks) {
		return []domain.Desired{root, machine}
	}
	network := f.network(f.uid(), 0)
	return []domain.Desired{network, root, on(machine, network.Key.Name(), *network.Spec.Network, 0)}
}

// reversed is the order in which things are deleted.
func reversed(things []domain.Desired) []domain.Desired {
	things = slices.Clone(things)
	slices.Reverse(things)
	return things
}

// settle calls until it works or fails for good, as provision does. Time passes in
// between.
func (f *fixture) settle(what string, call func(context.Context) (domain.Observation, error)) domain.Observation {
	f.Helper()
	for waited := time.Duration(0); ; {
		o, err := call(f.Context())
		if err == nil {
			return o
		}
		if !domain.KindOf(err).Retriable() || waited > f.Patience {
			f.Fatalf("%s: got %v (%v) after %s", what, err, domain.KindOf(err), waited)
		}
		waited += f.pass(100 * time.Millisecond)
	}
}

// ensure makes things, each when the one before is under way.
func (f *fixture) ensure(things ...domain.Desired) domain.Observation {
	f.Helper()
	var last domain.Observation
	for _, want := range things {
		last = f.settle("ensure "+want.Key.Name(), func(ctx context.Context) (domain.Observation, error) { return f.Hypervisor.Ensure(ctx, want) })
	}
	return last
}

// ready makes things and waits for each.
func (f *fixture) ready(things ...domain.Desired) domain.Observation {
	f.Helper()
	var last domain.Observation
	for _, want := range things {
		f.ensure(want)
		last = f.await(want.Key, domain.ThingReady)
	}
	return last
}

// gone deletes things, in that order, and waits for each.
func (f *fixture) gone(things ...domain.Desired) {
	f.Helper()
	for _, thing := range things {
		f.settle("delete "+thing.Key.Name(), func(ctx context.Context) (domain.Observation, error) { return f.Hypervisor.Delete(ctx, thing.Key) })
		f.await(thing.Key, domain.ThingAbsent)
	}
}

// await looks until a thing is seen in a phase.
func (f *fixture) await(key domain.Key, want domain.ThingPhase) domain.Observation {
	f.Helper()
	for waited := time.Duration(0); ; {
		o := f.look(key)
		switch {
		case o.Phase == want:
			return o
		case o.Phase == domain.ThingFailed && want != domain.ThingAbsent:
			f.Fatalf("%s: got Failed (%s: %s), want %s", key.Name(), o.Reason, o.Message, want)
		case waited > f.Patience:
			f.Fatalf("%s after %s: got %s (%s), want %s", key.Name(), waited, o.Phase, o.Reason, want)
		}
		waited += f.pass(cmp.Or(o.RetryAfter, 100*time.Millisecond))
	}
}

func (f *fixture) pass(d time.Duration) time.Duration {
	f.Pass(f.T, d)
	return d
}

// look observes, and an answer is expected.
func (f *fixture) look(key domain.Key) domain.Observation {
	f.Helper()
	o, err := f.Hypervisor.Observe(f.Context(), key)
	if err != nil {
		f.Fatalf("observe %s: %v", key.Name(), err)
	}
	if o.Key != key {
		f.Errorf("observe %s: got the key %s", key.Name(), o.Key.Name())
	}
	return o
}

// list collects everything by key.
func (f *fixture) list() map[domain.Key]domain.Observation {
	f.Helper()
	all := map[domain.Key]domain.Observation{}
	for o, err := range f.Hypervisor.List(f.Context()) {
		if err != nil {
			f.Fatalf("list: %v", err)
		}
		if _, double := all[o.Key]; double {
			f.Errorf("list: %s twice", o.Key.Name())
		}
		all[o.Key] = o
	}
	return all
}

// nothing fails the test if anything is left of ours.
func (f *fixture) nothing() {
	f.Helper()
	for key := range f.list() {
		f.Errorf("left over in the list: %s", key.Name())
	}
	if f.can(Residue) {
		for _, name := range f.Residue(f.T) {
			f.Errorf("left over: %s", name)
		}
	}
}

// refused ensures something that must be refused, and that nothing came of it.
func (f *fixture) refused(h application.Hypervisor, want domain.Desired, kind domain.Kind) error {
	f.Helper()
	before := f.look(want.Key)
	o, err := h.Ensure(f.Context(), want)
	if err == nil {
		f.Fatalf("ensure %s: got %s, want an error of kind %v", want.Key.Name(), o.Phase, kind)
	}
	if got := domain.KindOf(err); got != kind {
		f.Errorf("ensure %s: got %v of kind %v, want %v", want.Key.Name(), err, got, kind)
	}
	if after := f.look(want.Key); (before.Phase == domain.ThingAbsent) != (after.Phase == domain.ThingAbsent) || after.ProviderID != before.ProviderID || after.SpecHash != before.SpecHash {
		f.Errorf("after the refusal of %s: got %s %q, want it as before, %s %q", want.Key.Name(), after.Phase, after.ProviderID, before.Phase, before.ProviderID)
	}
	return err
}
