//go:build integration

package libvirt_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/libvirt"
	"kbnt.dev/virtualization/infrastructure/libvirt/libvirttest"
)

// TestGuest boots guests of Debian's kernel and follows them through their lives:
// on a NAT network of a tenant with the address of the seed, and on an isolated
// one with the address of a lease.
func TestGuest(t *testing.T) {
	cases := map[string]struct {
		reason string
		mode   string
		args   string
		disk   string // what the root volume begins with
		image  func(*libvirt.Image)
	}{
		"NAT, seed":       {"a disk made of an image, and the address out of cloud-init's documents", libvirt.ModeNAT, "", baseMark, func(i *libvirt.Image) { i.Pool, i.Volume = "guests", "base.img" }},
		"isolated, lease": {"a blank disk, and the address out of the reservation", libvirt.ModeIsolated, " kbnt.dhcp", "", func(*libvirt.Image) {}},
	}
	w := qemu(t)
	guest := w.guest(t)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			image := libvirt.Image{Kernel: guest.Kernel, Initrd: guest.Initrd, Cmdline: guest.Args + c.args, User: "debian", Ports: map[string]int{"ssh": 22, "http": 80}}
			c.image(&image)
			o := w.options
			o.Tenants.Mode, o.PowerOff = c.mode, time.Hour
			o.Images = map[string]libvirt.Image{"debian": image}
			b := &boot{T: t, world: w, h: w.driver(t, o)}
			t.Cleanup(func() { w.clear(t, b.h) })
			b.life(c.reason, c.disk)
		})
	}
}

// guest makes a guest where the daemon can read it.
func (w *world) guest(t *testing.T) libvirttest.Guest {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	guest, err := libvirttest.NewGuest(t.Context(), w.server.Dir(), filepath.Join(cache, "kbnt-guest"))
	if errors.Is(err, libvirttest.ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return guest
}

// boot is the life of one guest.
type boot struct {
	*testing.T
	world *world
	h     application.Hypervisor
}

func (b *boot) life(reason, disk string) {
	subnet := domain.NetworkSpec{Subnet: netip.MustParsePrefix("10.93.7.0/24"), VLAN: 207, Gateway: netip.MustParseAddr("10.93.7.1")}
	network := domain.Desired{Key: domain.Key{Resource: domain.ResourceUID("network" + b.Name()), Kind: domain.ThingNetwork}, Tenant: "acme", VirtualID: "NET-0909A693",
		VLAN: subnet.VLAN, Gateway: subnet.Gateway, Spec: domain.Specification{Network: &subnet}}
	uid := domain.ResourceUID("machine" + b.Name())
	root := domain.Desired{Key: domain.Key{Resource: uid, Kind: domain.ThingVolume}, Tenant: "acme", VirtualID: "VM-0909A693", Host: "kvm-1", Image: "debian",
		Spec: domain.Specification{Volume: &domain.VolumeSpec{Size: 20 * domain.GiB, Type: domain.SSD}}}
	machine := domain.Desired{Key: domain.Key{Resource: uid, Kind: domain.ThingMachine}, Tenant: "acme", VirtualID: "VM-0909A693", Host: "kvm-1", On: true, Root: root.Key,
		Network: network.Key.Name(), VLAN: subnet.VLAN, Gateway: subnet.Gateway, Address: netip.MustParsePrefix("10.93.7.42/24"),
		Spec: domain.Specification{Machine: &domain.MachineSpec{Cores: 1, Memory: 160, Disk: 20 * domain.GiB, DiskType: domain.SSD, Image: "debian",
			SSHKeys: []string{"ssh-ed25519 AAAA first", "ssh-ed25519 AAAA second"}}}}

	began := time.Now()
	b.ready(network)
	b.ready(root)
	made := b.ensure(machine)
	b.Logf("from Ensure of the network to the return of the machine's: %s", time.Since(began).Round(time.Millisecond))
	o := b.await(machine.Key, domain.ThingReady)
	b.Logf("to Ready: %s", time.Since(began).Round(time.Millisecond))
	found := page(b.Context(), b.T, b.world.server.Dial, machine.Address.Addr())
	b.Logf("to the page: %s; the guest says %v", time.Since(began).Round(time.Millisecond), found)

	if !slices.Contains(o.Addresses, machine.Address.Addr()) || o.ProviderID != made.ProviderID || o.Ports["http"] != 80 {
		b.Errorf("%s: got %+v, want its address, the same id %s and its ports", reason, o, made.ProviderID)
	}
	for _, c := range o.Checks {
		b.Logf("%s: %v, %s", c.Name, c.Passed, c.Detail)
	}
	for name, want := range map[string]string{
		"address": "10.93.7.42/24", "hardware": machine.Key.MAC(), "sectors": "41943040", "disk": disk, "hostname": "vm-0909a693", "keys": "2",
	} {
		if got := found[name]; got != want {
			b.Errorf("%s: guest says of its %s %q, want %q", reason, name, got, want)
		}
	}

	off := machine
	off.On = false
	b.ensure(off) // asks the guest, which presses no longer on than this
	b.await(machine.Key, domain.ThingStopped)
	b.ensure(machine)
	again := b.await(machine.Key, domain.ThingReady)
	if again.PoweredAt.Before(o.PoweredAt) || again.ProviderID != o.ProviderID {
		b.Errorf("switched on again: got %s at %s, want %s after %s", again.ProviderID, again.PoweredAt, o.ProviderID, o.PoweredAt)
	}
	page(b.Context(), b.T, b.world.server.Dial, machine.Address.Addr())

	for _, thing := range []domain.Desired{machine, root, network} {
		if _, err := b.h.Delete(b.Context(), thing.Key); err != nil {
			b.Fatalf("delete %s: %v", thing.Key.Name(), err)
		}
	}
	if left := b.world.residue(b.T); len(left) > 0 {
		b.Errorf("left over: %q", left)
	}
	links, err := b.world.server.Output(b.Context(), "ip", "-o", "link")
	if err != nil || strings.Contains(links, "kb"+network.Key.Short()) || strings.Contains(links, "vnet") {
		b.Errorf("links that are left: %s, %v, want the operator's alone", links, err)
	}
}

func (b *boot) ensure(want domain.Desired) domain.Observation {
	b.Helper()
	o, err := b.h.Ensure(b.Context(), want)
	if err != nil {
		b.Fatalf("ensure %s: %v", want.Key.Name(), err)
	}
	return o
}

func (b *boot) ready(want domain.Desired) {
	b.Helper()
	b.ensure(want)
	b.await(want.Key, domain.ThingReady)
}

// await looks until a phase is seen, at most two minutes: in software, on a busy
// machine, a boot takes many seconds.
func (b *boot) await(key domain.Key, want domain.ThingPhase) domain.Observation {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var last domain.Observation
	for {
		o, err := b.h.Observe(ctx, key)
		if err == nil && o.Phase == want {
			return o
		}
		if ctx.Err() == nil {
			last = o
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			b.Fatalf("%s: got %s (%s), %+v, then %v, want %s", key.Name(), last.Phase, last.Reason, last.Checks, err, want)
		}
	}
}
