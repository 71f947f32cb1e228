//go:build integration

package libvirt_test

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"testing"
	"time"

	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/libvirt/libvirttest"
)

// TestCalls counts what each operation asks of a host, opening and closing included,
// against what the package comment says.
func TestCalls(t *testing.T) {
	w := unprivileged(t)
	world := openDefault(t, w)
	network := domain.Desired{Key: domain.Key{Resource: "calls", Kind: domain.ThingNetwork}, VLAN: world.Networks[0].VLAN, Gateway: world.Networks[0].Gateway, Spec: domain.Specification{Network: &world.Networks[0]}}
	root := domain.Desired{Key: domain.Key{Resource: "calls", Kind: domain.ThingVolume}, Host: "kvm-1", Image: world.Machine.Image, Spec: domain.Specification{Volume: &domain.VolumeSpec{Size: domain.GiB, Type: domain.SSD}}}
	machine := domain.Desired{Key: domain.Key{Resource: "calls", Kind: domain.ThingMachine}, Host: "kvm-1", On: true, Root: root.Key, Network: network.Key.Name(), VLAN: network.VLAN,
		Gateway: network.Gateway, Address: netip.PrefixFrom(network.Gateway.Next(), network.Spec.Network.Subnet.Bits()), Spec: domain.Specification{Machine: &world.Machine}}
	off := machine
	off.On = false

	l := &line{connect: w.Connect, left: math.MaxInt}
	o := world.options
	o.Connect = l.dial
	h := world.driver(t, o)
	ensure := func(want domain.Desired) func() error {
		return func() error { _, err := h.Ensure(t.Context(), want); return err }
	}
	observe := func(key domain.Key) func() error {
		return func() error { _, err := h.Observe(t.Context(), key); return err }
	}
	remove := func(key domain.Key) func() error {
		return func() error { _, err := h.Delete(t.Context(), key); return err }
	}
	for _, c := range []struct {
		what string
		most int
		call func() error
	}{
		{"capabilities", 8, func() error { _, err := h.Capabilities(t.Context()); return err }},
		{"make a network", 9, ensure(network)},
		{"make a volume", 8, ensure(root)},
		{"make a machine", 24, ensure(machine)},
		{"find a network made", 7, ensure(network)},
		{"find a volume made", 8, ensure(root)},
		{"find a machine made", 11, ensure(machine)},
		{"look at a network", 6, observe(network.Key)},
		{"look at a volume", 5, observe(root.Key)},
		{"look at a machine", 9, observe(machine.Key)},
		{"look at nothing", 4, observe(domain.Key{Resource: "none", Kind: domain.ThingMachine})},
		{"switch off", 12, ensure(off)},
		{"switch on", 14, ensure(machine)},
		{"delete a machine", 16, remove(machine.Key)},
		{"delete a volume", 6, remove(root.Key)},
		{"delete a network", 7, remove(network.Key)},
	} {
		before, began := l.answers(), time.Now()
		if err := c.call(); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		calls := l.answers() - before
		t.Logf("%s: %d calls, %s", c.what, calls, time.Since(began).Round(100*time.Microsecond))
		if calls > c.most {
			t.Errorf("%s: got %d calls, want at most %d", c.what, calls, c.most)
		}
	}
}

// TestFrozen holds that a daemon that takes connections and answers nothing, as one that is
// stopped does, is left when the context ends.
func TestFrozen(t *testing.T) {
	s := unprivileged(t)
	world := openDefault(t, s)
	thaw, err := s.Freeze()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err = world.Hypervisor.Observe(ctx, domain.Key{Resource: "frozen", Kind: domain.ThingMachine})
	took := time.Since(began)
	if err := thaw(); err != nil {
		t.Fatal(err)
	}
	if err == nil || domain.KindOf(err) != domain.Unavailable || took > 2*time.Second {
		t.Errorf("observe: got %v after %s, want Unavailable after 200ms", err, took)
	}
	if _, err := world.Hypervisor.Observe(t.Context(), domain.Key{Resource: "frozen", Kind: domain.ThingMachine}); err != nil {
		t.Errorf("observe when the daemon goes on: %v", err)
	}
}

// unprivileged starts a daemon that makes nothing real, until the test ends.
func unprivileged(t *testing.T) *libvirttest.Server {
	t.Helper()
	s, err := libvirttest.Unprivileged()
	if errors.Is(err, libvirttest.ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
