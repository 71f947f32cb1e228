package applicationtest

import (
	"slices"
	"time"

	"kbnt.dev/virtualization/domain"
)

func testCapabilities(f *fixture) {
	c, err := f.Hypervisor.Capabilities(f.Context())
	if err != nil {
		f.Fatalf("capabilities: %v", err)
	}
	if c.Driver == "" {
		f.Error("driver: got no name")
	}
	if c.Simulated != (c.Driver == "simulated") {
		f.Errorf("driver %q: got simulated %v", c.Driver, c.Simulated)
	}
	for _, host := range c.Hosts {
		if host.Name == "" || host.State == "" || host.Cores < 1 || host.Memory < 1 {
			f.Errorf("host: got %+v, want name, state, cores and memory", host)
		}
	}
}

func testMachine(f *fixture) {
	uid := f.uid()
	root, machine := f.volume(uid), f.machine(uid, 0)
	made := f.ensure(root, machine)
	if slices.Contains([]domain.ThingPhase{domain.ThingAbsent, domain.ThingFailed, domain.ThingUnknown, domain.ThingDeleting}, made.Phase) {
		f.Errorf("just made: got %s", made.Phase)
	}
	o := f.await(machine.Key, domain.ThingReady)

	if o.ProviderID == "" || o.ProviderID != made.ProviderID {
		f.Errorf("provider id: got %q, and %q when it was made; want one that stays", o.ProviderID, made.ProviderID)
	}
	if o.SpecHash != machine.Hash() {
		f.Errorf("spec hash: got %q, want %q", o.SpecHash, machine.Hash())
	}
	if o.Host == "" || (f.Host != "" && o.Host != f.Host) {
		f.Errorf("host: got %q, want %q or, if that is empty, any", o.Host, f.Host)
	}
	f.address(o, machine)
	f.checks(o)
	f.times(o)
}

// address wants the address that was asked for.
func (f *fixture) address(o domain.Observation, want domain.Desired) {
	f.Helper()
	if !slices.Contains(o.Addresses, want.Address.Addr()) {
		f.Errorf("addresses: got %v, want %s among them", o.Addresses, want.Address.Addr())
	}
}

// checks wants the five checks of a ready machine, all passed.
func (f *fixture) checks(o domain.Observation) {
	f.Helper()
	passed := map[string]bool{}
	for _, c := range o.Checks {
		passed[c.Name] = c.Passed
	}
	for _, name := range []string{domain.CheckHypervisor, domain.CheckDisk, domain.CheckAddress, domain.CheckSSH, domain.CheckGuest} {
		if p, asked := passed[name]; !asked || !p {
			f.Errorf("health check %s of a ready machine: got asked %v, passed %v", name, asked, p)
		}
	}
}

// times wants those that are known in order.
func (f *fixture) times(o domain.Observation) {
	f.Helper()
	names := [...]string{"created", "powered", "guest", "ready"}
	last := 0
	times := [...]time.Time{o.CreatedAt, o.PoweredAt, o.GuestAt, o.ReadyAt}
	for i, at := range times {
		if at.IsZero() {
			continue
		}
		if at.Before(times[last]) {
			f.Errorf("times: got %s at %s, before %s at %s", names[i], at, names[last], times[last])
		}
		last = i
	}
}

func testVolume(f *fixture) {
	volume := f.volume(f.uid())
	o := f.ready(volume)
	if o.ProviderID == "" || o.SpecHash == "" || o.SpecHash != volume.Hash() {
		f.Errorf("volume: got provider id %q and spec hash %q, want some and %q", o.ProviderID, o.SpecHash, volume.Hash())
	}
	f.gone(volume)
	f.nothing()
}

func testNetwork(f *fixture) {
	network := f.network(f.uid(), 0)
	if o := f.ready(network); o.ProviderID == "" || o.SpecHash != network.Hash() {
		f.Errorf("network: got provider id %q and spec hash %q, want some and %q", o.ProviderID, o.SpecHash, network.Hash())
	}
	f.gone(network)
	f.nothing()
}

func testTenantNetwork(f *fixture) {
	uid, network := f.uid(), f.network(f.uid(), 0)
	root := f.volume(uid)
	machine := on(f.machine(uid, 0), network.Key.Name(), *network.Spec.Network, 1)
	f.address(f.ready(network, root, machine), machine)
	f.gone(machine, root, network)
	f.nothing()
}

func testMadeOff(f *fixture) {
	uid := f.uid()
	root, machine := f.volume(uid), f.machine(uid, 0)
	machine.On = false
	f.ensure(root, machine)
	f.await(machine.Key, domain.ThingStopped)
}

func testPower(f *fixture) {
	uid := f.uid()
	root, machine := f.volume(uid), f.machine(uid, 0)
	first := f.ready(root, machine)

	off := machine
	off.On = false
	f.ensure(off) // no conflict: power is not part of the specification
	if o := f.await(machine.Key, domain.ThingStopped); o.ProviderID != first.ProviderID || o.SpecHash != first.SpecHash {
		f.Errorf("switched off: got %q %q, want the same machine %q %q", o.ProviderID, o.SpecHash, first.ProviderID, first.SpecHash)
	}
	f.ensure(off)
	if o := f.look(machine.Key); o.Phase != domain.ThingStopped {
		f.Errorf("switched off twice: got %s, want Stopped", o.Phase)
	}

	f.ensure(machine)
	o := f.await(machine.Key, domain.ThingReady)
	if o.ProviderID != first.ProviderID {
		f.Errorf("switched on: got %q, want the same machine %q", o.ProviderID, first.ProviderID)
	}
	f.address(o, machine)
	f.times(o)
	if !first.PoweredAt.IsZero() && o.PoweredAt.Before(first.PoweredAt) {
		f.Errorf("switched on again at %s, before the first time at %s", o.PoweredAt, first.PoweredAt)
	}
	if o := f.look(root.Key); o.Phase != domain.ThingReady {
		f.Errorf("root volume of a machine that was switched off and on: got %s, want Ready", o.Phase)
	}
}
