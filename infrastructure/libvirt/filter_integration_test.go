//go:build integration

package libvirt_test

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/libvirt"
)

// TestSecurityGroups holds that a group is a filter that works, and that a machine is
// never made without one that was asked for.
func TestSecurityGroups(t *testing.T) {
	w := qemu(t)
	guest := w.guest(t)
	if _, err := w.rpc.NwfilterDefineXML(`<filter name="operator-no-web" chain="ipv4"><rule action="drop" direction="in" priority="500"><ip protocol="tcp" dstportstart="80"/></rule></filter>`); err != nil {
		t.Skipf("the host has no filters: %v", err)
	}
	o := w.options
	o.SecurityGroups = map[string]string{"no-web": "operator-no-web", "gone": "operator-gone"}
	o.Images = map[string]libvirt.Image{"debian": {Kernel: guest.Kernel, Initrd: guest.Initrd, Cmdline: guest.Args}}
	b := &boot{T: t, world: w, h: w.driver(t, o)}
	t.Cleanup(func() { w.clear(t, b.h) })

	uid := domain.ResourceUID(t.Name())
	root := domain.Desired{Key: domain.Key{Resource: uid, Kind: domain.ThingVolume}, VirtualID: "VM-0909A693", Host: "kvm-1",
		Spec: domain.Specification{Volume: &domain.VolumeSpec{Size: domain.GiB, Type: domain.SSD}}}
	with := func(groups ...string) domain.Desired {
		return domain.Desired{Key: domain.Key{Resource: uid, Kind: domain.ThingMachine}, VirtualID: "VM-0909A693", Host: "kvm-1", On: true, Root: root.Key,
			Network: "bridged", Gateway: netip.MustParseAddr("192.168.150.1"), Address: netip.MustParsePrefix("192.168.150.42/24"),
			Spec: domain.Specification{Machine: &domain.MachineSpec{Cores: 1, Memory: 160, Disk: domain.GiB, DiskType: domain.SSD, Image: "debian", SecurityGroups: groups}}}
	}
	b.ready(root)
	for group, kind := range map[string]domain.Kind{"unknown": domain.Invalid, "gone": domain.NotFound} {
		if _, err := b.h.Ensure(t.Context(), with("no-web", group)); domain.KindOf(err) != kind {
			t.Errorf("a machine of the group %q: got %v, want an error of kind %v", group, err, kind)
		}
	}
	machine := with("no-web")
	b.ensure(machine)
	b.await(machine.Key, domain.ThingReady) // port 22 is let through
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if conn, err := w.server.Dial(ctx, "tcp", net.JoinHostPort(machine.Address.Addr().String(), "80")); err == nil {
		conn.Close()
		t.Error("port 80, which the group closes: got a connection")
	}
	if _, err := b.h.Delete(t.Context(), machine.Key); err != nil {
		t.Fatal(err)
	}
	filters, _, err := w.rpc.ConnectListAllNwfilters(1, 0)
	if err != nil || len(filters) != 1 || filters[0].Name != "operator-no-web" {
		t.Errorf("filters after the deletion: got %v, %v, want the operator's alone", filters, err)
	}
}
