//go:build integration

package libvirt_test

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/libvirt"
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

// TestNetworkWithoutOneHost holds that a network is made while one of two hosts does not answer, comes
// to that host with its first machine, and is refused while no host answers.
func TestNetworkWithoutOneHost(t *testing.T) {
	one, two := openDefault(t, unprivileged(t)), openDefault(t, unprivileged(t))
	o := one.options
	o.Hosts = append(o.Hosts, two.options.Hosts[0])
	o.Hosts[1].Name = "kvm-2"
	both := one.driver(t, o)
	away := map[string]bool{"kvm-2": true}
	o.Connect = func(ctx context.Context, host libvirt.Host) (net.Conn, error) {
		switch {
		case away[host.Name]:
			return nil, errCut
		case host.Name == "kvm-2":
			return two.server.Connect(ctx)
		}
		return one.server.Connect(ctx)
	}
	h := one.driver(t, o)
	network, root, machine := one.wantedOn("kvm-2", "one-away")
	if seen, err := h.Ensure(t.Context(), network); err != nil || seen.Phase != domain.ThingReady {
		t.Errorf("ensure while one is away: got %s, %v, want Ready", seen.Phase, err)
	}
	for _, want := range []domain.Desired{root, machine} {
		if _, err := both.Ensure(t.Context(), want); err != nil {
			t.Errorf("ensure %s when it is back: %v", want.Key.Name(), err)
		}
	}
	away["kvm-1"] = true
	if _, err := h.Ensure(t.Context(), network); domain.CodeOf(err) != application.CodeHostDown {
		t.Errorf("ensure while all are away: got %v, want the code host-down", err)
	}
}

// TestDeleteForeignHere holds that a foreign thing on one host does not hide that another was not asked.
func TestDeleteForeignHere(t *testing.T) {
	one := openDefault(t, unprivileged(t))
	o := one.options
	o.Hosts = append(o.Hosts, o.Hosts[0])
	o.Hosts[1].Name, o.Hosts[1].State = "kvm-2", domain.HostDown
	_, _, machine := one.wantedOn("kvm-2", "foreign-here")
	one.foreign(t, machine.Key)
	if _, err := one.driver(t, o).Delete(t.Context(), machine.Key); domain.CodeOf(err) != application.CodeHostDown {
		t.Errorf("delete: got %v, want the code host-down: kvm-2 was not asked", err)
	}
}
