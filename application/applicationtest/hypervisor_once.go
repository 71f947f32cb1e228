package applicationtest

import (
	"slices"
	"sync"

	"kbnt.dev/virtualization/domain"
)

func testEnsureTwice(f *fixture) {
	uid := f.uid()
	root, machine := f.volume(uid), f.machine(uid, 0)
	for _, want := range []domain.Desired{root, machine} {
		first := f.ready(want)
		again := f.ensure(want)
		if again.ProviderID != first.ProviderID || again.Phase != domain.ThingReady {
			f.Errorf("ensure %s again: got %s %q, want Ready %q", want.Key.Name(), again.Phase, again.ProviderID, first.ProviderID)
		}
	}
	if all := f.list(); len(all) != 2 {
		f.Errorf("list: got %d things, want the machine and its volume", len(all))
	}
}

func testTwelveAtOnce(f *fixture) {
	uid := f.uid()
	root, machine := f.volume(uid), f.machine(uid, 0)
	for _, want := range []domain.Desired{root, machine} {
		var mu sync.Mutex
		var ids []string
		var all sync.WaitGroup
		for range 12 {
			all.Go(func() {
				o, err := f.Hypervisor.Ensure(f.Context(), want)
				if err != nil {
					if !domain.KindOf(err).Retriable() {
						f.Errorf("one of twelve: got %v (%v), want success or an error to retry", err, domain.KindOf(err))
					}
					return
				}
				mu.Lock()
				defer mu.Unlock()
				ids = append(ids, o.ProviderID)
			})
		}
		all.Wait()
		id := f.ensure(want).ProviderID
		if slices.ContainsFunc(ids, func(other string) bool { return other != id }) {
			f.Errorf("provider ids of twelve at once: got %q, want all %q", ids, id)
		}
		f.await(want.Key, domain.ThingReady)
	}
	if all := f.list(); len(all) != 2 {
		f.Errorf("list: got %d things, want the machine and its volume", len(all))
	}
	f.gone(machine, root)
	f.nothing()
}

func testLabels(f *fixture) {
	volume := f.volume(f.uid())
	first := f.ready(volume)
	volume.Labels = domain.Labels{"team": "red"}
	if o := f.ensure(volume); o.ProviderID != first.ProviderID {
		f.Errorf("with labels: got %q, want the same, %q", o.ProviderID, first.ProviderID)
	}
}

func testOtherSpec(f *fixture) {
	uid := f.uid()
	root, machine := f.volume(uid), f.machine(uid, 0)
	f.ready(root, machine)

	larger := root
	larger.Spec.Volume = &domain.VolumeSpec{Size: root.Spec.Volume.Size + domain.GiB, Type: root.Spec.Volume.Type}
	f.refused(f.Hypervisor, larger, domain.Conflict)

	spec := f.Machine
	spec.Cores++
	other := machine
	other.Spec.Machine = &spec
	f.refused(f.Hypervisor, other, domain.Conflict)
	if o := f.look(machine.Key); o.Phase != domain.ThingReady {
		f.Errorf("the first after the conflict: got %s, want Ready", o.Phase)
	}
}

func testForeign(f *fixture) {
	uid := f.uid()
	root, machine := f.volume(uid), f.machine(uid, 0)
	f.ready(root)
	untouched := f.Foreign(f.T, machine.Key)

	if o := f.look(machine.Key); o.Phase != domain.ThingAbsent {
		f.Errorf("observe what is foreign: got %s, want Absent: none of ours is there", o.Phase)
	}
	f.refused(f.Hypervisor, machine, domain.Conflict)
	if o, err := f.Hypervisor.Delete(f.Context(), machine.Key); err == nil || domain.KindOf(err) != domain.Conflict {
		f.Errorf("delete what is foreign: got %s, %v, want a conflict", o.Phase, err)
	}
	if _, listed := f.list()[machine.Key]; listed {
		f.Error("list: what is foreign is in it")
	}
	untouched(f.T)
}

func testAddressTaken(f *fixture) {
	one, two := f.uid(), f.uid()
	first, second := f.machine(one, 0), f.machine(two, 0)
	f.ready(f.volume(one), first)
	f.ready(f.volume(two))
	f.refused(f.Hypervisor, second, domain.Conflict)
	if o := f.look(first.Key); o.Phase != domain.ThingReady {
		f.Errorf("holder of the address after the conflict: got %s, want Ready", o.Phase)
	}
	f.gone(first)
	f.address(f.ready(second), second) // given back, it can be had
}

func testVLANTaken(f *fixture) {
	first, second := f.network(f.uid(), 0), f.network(f.uid(), 1)
	spec := *second.Spec.Network
	spec.VLAN = first.VLAN
	double := second
	double.VLAN, double.Spec.Network = spec.VLAN, &spec
	f.ready(first)
	f.refused(f.Hypervisor, double, domain.Conflict)
	f.ready(second)
	f.gone(second, first)
	f.ready(double)
}
