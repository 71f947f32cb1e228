//go:build integration

package libvirt_test

import (
	"net/netip"
	"slices"
	"testing"

	"kbnt.dev/virtualization/domain"
)

// TestHosts has two hosts: a network is on both, a machine on one, and what a host
// has is unknown while it is away.
func TestHosts(t *testing.T) {
	one, two := openDefault(t, unprivileged(t)), openDefault(t, unprivileged(t))
	o := one.options
	o.Hosts = append(o.Hosts, two.options.Hosts[0])
	o.Hosts[1].Name = "kvm-2"
	both := one.driver(t, o)
	ensure := func(want domain.Desired, phase domain.ThingPhase) {
		t.Helper()
		if _, err := both.Ensure(t.Context(), want); err != nil {
			t.Fatalf("ensure %s: %v", want.Key.Name(), err)
		}
		if o, err := both.Observe(t.Context(), want.Key); err != nil || o.Phase != phase {
			t.Fatalf("observe %s: got %s, %v, want %s", want.Key.Name(), o.Phase, err, phase)
		}
	}
	spec := one.Networks[0]
	network := domain.Desired{Key: domain.Key{Resource: "hosts", Kind: domain.ThingNetwork}, VLAN: spec.VLAN, Gateway: spec.Gateway, Spec: domain.Specification{Network: &spec}}
	root := domain.Desired{Key: domain.Key{Resource: "hosts", Kind: domain.ThingVolume}, Host: "kvm-2", Image: one.Machine.Image, Spec: domain.Specification{Volume: &domain.VolumeSpec{Size: domain.GiB, Type: domain.SSD}}}
	machine := domain.Desired{Key: domain.Key{Resource: "hosts", Kind: domain.ThingMachine}, Host: "kvm-2", On: true, Root: root.Key, Network: network.Key.Name(), VLAN: spec.VLAN, Gateway: spec.Gateway,
		Address: netip.PrefixFrom(spec.Gateway.Next(), spec.Subnet.Bits()), Spec: domain.Specification{Machine: &one.Machine}}

	// The network was made while the second host was away.
	if _, err := one.Hypervisor.Ensure(t.Context(), network); err != nil {
		t.Fatal(err)
	}
	if o, err := both.Observe(t.Context(), network.Key); err != nil || o.Phase != domain.ThingCreating {
		t.Errorf("network on one of two hosts: got %s, %v, want Creating", o.Phase, err)
	}
	ensure(root, domain.ThingReady)
	ensure(machine, domain.ThingReady) // and brings the network along
	ensure(network, domain.ThingReady)

	caps, err := both.Capabilities(t.Context())
	if err != nil || len(caps.Hosts) != 2 || caps.Hosts[1].Name != "kvm-2" || caps.Hosts[1].State != domain.HostUp || caps.Hosts[1].Cores != 4*16 || caps.Hosts[1].Disks[domain.SSD].Size < domain.GiB {
		t.Errorf("capabilities: got %+v, %v, want two hosts of 16 cores, overcommitted 4 times, and a pool", caps.Hosts, err)
	}
	seen := map[domain.Key]string{}
	for o, err := range both.List(t.Context()) {
		if _, twice := seen[o.Key]; err != nil || twice {
			t.Errorf("list: got %s again, or %v", o.Key.Name(), err)
		}
		seen[o.Key] = o.Host
	}
	if len(seen) != 3 || seen[machine.Key] != "kvm-2" {
		t.Errorf("list: got %v, want the network once, the volume, and the machine on kvm-2", seen)
	}

	o.Hosts[1].State = domain.HostDown
	without := one.driver(t, o)
	if o, err := without.Observe(t.Context(), machine.Key); err != nil || o.Phase != domain.ThingUnknown {
		t.Errorf("machine on a host that is down: got %s, %v, want Unknown", o.Phase, err)
	}
	for _, key := range []domain.Key{machine.Key, root.Key, network.Key} {
		if _, err := both.Delete(t.Context(), key); err != nil {
			t.Errorf("delete %s: %v", key.Name(), err)
		}
	}
	if left := slices.Concat(one.residue(t), two.residue(t)); len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
}
