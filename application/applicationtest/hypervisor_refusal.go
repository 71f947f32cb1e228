package applicationtest

import "kbnt.dev/virtualization/domain"

func testInvalid(f *fixture) {
	uid := f.uid()
	root := f.volume(uid)
	machineWith := func(change func(*domain.MachineSpec)) domain.Desired {
		d := f.machine(uid, 0)
		spec := *d.Spec.Machine
		change(&spec)
		d.Spec.Machine = &spec
		return d
	}
	mixed := f.machine(uid, 0)
	mixed.Spec = root.Spec
	empty := f.volume(f.uid())
	empty.Spec = domain.Specification{}
	none := f.volume(f.uid())
	none.Spec.Volume = &domain.VolumeSpec{Size: 0, Type: f.Machine.DiskType}
	tape := f.volume(f.uid())
	tape.Spec.Volume = &domain.VolumeSpec{Size: f.Machine.Disk, Type: "TAPE"}

	f.ready(root)
	for what, want := range map[string]domain.Desired{
		"a machine without cores":               machineWith(func(m *domain.MachineSpec) { m.Cores = 0 }),
		"a machine without memory":              machineWith(func(m *domain.MachineSpec) { m.Memory = 0 }),
		"a machine of a volume's spec":          mixed,
		"a volume without a spec":               empty,
		"a volume of no size":                   none,
		"a volume of a class that nobody sells": tape,
	} {
		f.Log(what)
		f.refused(f.Hypervisor, want, domain.Invalid)
	}
	f.gone(root)
	f.nothing()
}

func testNoVolume(f *fixture) {
	machine := f.machine(f.uid(), 0)
	f.refused(f.Hypervisor, machine, domain.NotFound)
	f.nothing()
}

func testNoNetwork(f *fixture) {
	uid, network := f.uid(), f.network(f.uid(), 0)
	root := f.volume(uid)
	f.ready(root)
	f.refused(f.Hypervisor, on(f.machine(uid, 0), network.Key.Name(), *network.Spec.Network, 1), domain.NotFound)
	f.gone(root)
	f.nothing()
}

// testCapacity wants a machine that nobody has room for to be refused, or to stay
// Pending: some hypervisors only find out when they place it.
func testCapacity(f *fixture) {
	uid := f.uid()
	root, machine := f.volume(uid), f.machine(uid, 0)
	spec := f.Crowded()
	machine.Spec.Machine = &spec
	f.ready(root)

	o, err := f.Hypervisor.Ensure(f.Context(), machine)
	switch {
	case err != nil && domain.KindOf(err) != domain.Unavailable:
		f.Errorf("no room: got %v (%v), want Unavailable", err, domain.KindOf(err))
	case err != nil && f.look(machine.Key).Phase != domain.ThingAbsent:
		f.Errorf("refused for want of room: got %s, want Absent", f.look(machine.Key).Phase)
	case err == nil && o.Phase != domain.ThingPending:
		f.Errorf("no room: got %s, want Pending or an error", o.Phase)
	}
	f.gone(machine)
	f.ready(f.machine(uid, 0)) // one that fits is not in the way of what did not
}

func testHardQuota(f *fixture) {
	uid := f.uid()
	root, machine := f.volume(uid), f.machine(uid, 0)
	f.ready(root)
	f.refused(f.Hypervisor, f.UseUp(f.T, machine), domain.Exhausted)
	f.gone(machine)
}
