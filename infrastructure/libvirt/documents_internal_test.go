package libvirt

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"libvirt.org/go/libvirtxml"

	rpc "github.com/digitalocean/go-libvirt"

	"kbnt.dev/virtualization/domain"
)

var update = flag.Bool("update", false, "write the goldens anew")

// sample is a driver whose options use everything.
func sample(change ...func(*Options)) *Hypervisor {
	o := Options{
		Hosts: []Host{{Name: "kvm-1", Address: "unix:///run/libvirt/libvirt-sock", Pools: map[domain.DiskType]Pool{
			domain.SSD: {Name: "ssd", VolumeIOPS: 5000}, domain.HDD: {Name: "hdd"},
		}}},
		Images: map[string]Image{
			"Ubuntu 22.04": {Pool: "images", Volume: "jammy.qcow2", SHA256: "0000000000000000000000000000000000000000000000000000000000000001", User: "ubuntu", Agent: true, Monitor: true, EFI: true},
			"small":        {Kernel: "/boot/vmlinuz", Initrd: "/boot/initrd", Cmdline: "console=ttyS0 a<b", NoCloudInit: true},
		},
		Segments: map[string]Segment{"bridged": {Network: "default"}, "vlan-100": {Bridge: "br100"}, "vlan-*": {Bridge: "br-v*", DNS: []netip.Addr{netip.MustParseAddr("10.0.0.53")}}},
		Now:      func() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) },
	}
	for _, f := range change {
		f(&o)
	}
	h, err := New(o)
	if err != nil {
		panic(err) // a mistake in this file
	}
	return h
}

const resource = "6a08081c-5f3f-5d0e-9a4f-1f6d1c2f3b4a"

// wanted is a machine whose words try to leave their places.
func wanted() domain.Desired {
	return domain.Desired{
		Key: domain.Key{Resource: resource, Kind: domain.ThingMachine}, Tenant: `acme"/><x>&`, VirtualID: "VM-0909A693", Host: "kvm-1", On: true,
		Network: "bridged", Address: netip.MustParsePrefix("192.168.122.7/24"), Gateway: netip.MustParseAddr("192.168.122.1"),
		Root: domain.Key{Resource: resource, Kind: domain.ThingVolume},
		Spec: domain.Specification{Machine: &domain.MachineSpec{Cores: 4, Memory: 8 * domain.GiB, Disk: 100 * domain.GiB, DiskType: domain.SSD, Image: "Ubuntu 22.04"}},
	}
}

func wantedVolume(image string, iops int) domain.Desired {
	return domain.Desired{
		Key: domain.Key{Resource: resource, Kind: domain.ThingVolume}, Tenant: "acme", VirtualID: "VM-0909A693", Host: "kvm-1", Image: image,
		Spec: domain.Specification{Volume: &domain.VolumeSpec{Size: 100 * domain.GiB, Type: domain.SSD, IOPS: iops}},
	}
}

func wantedNetwork() domain.Desired {
	return domain.Desired{
		Key: domain.Key{Resource: resource, Kind: domain.ThingNetwork}, Tenant: "acme", VirtualID: "NET-0909A693", VLAN: 200,
		Spec: domain.Specification{Network: &domain.NetworkSpec{Subnet: netip.MustParsePrefix("10.0.1.0/24"), VLAN: 200, Gateway: netip.MustParseAddr("10.0.1.1")}},
	}
}

// TestDocuments compares every document that is sent to a host with a golden.
func TestDocuments(t *testing.T) {
	t.Parallel()
	h := sample()
	onNetwork := segment{network: network{Network: rpc.Network{Name: "default"}}, dhcp: true}
	machine := func(h *Hypervisor, want domain.Desired, plugged segment, iops int, filters ...string) (*libvirtxml.Domain, error) {
		root := vol{StorageVol: rpc.StorageVol{Pool: "ssd", Name: nameOf(wantedVolume("Ubuntu 22.04", iops))}, iops: iops}
		r := h.recordFor(want, h.options.Images[want.Spec.Machine.Image], plugged, root)
		return h.machineXML(h.options.Hosts[0], want, r, root, plugged, filters)
	}
	small := wanted()
	small.Spec.Machine.Image, small.Spec.Machine.DiskType = "small", domain.HDD
	networkOf := func(t Tenants) (*libvirtxml.Network, error) {
		h := sample(func(o *Options) { o.Tenants = t })
		return h.networkXML(wantedNetwork(), record{Name: wantedNetwork().Key.Name(), Hash: "0123456789abcdef", Tenant: "acme", Created: h.options.Now()})
	}
	for name, make := range map[string]func() (interface{ Marshal() (string, error) }, error){
		"machine": func() (interface{ Marshal() (string, error) }, error) {
			return machine(h, wanted(), onNetwork, 0)
		},
		"machine-kernel-bridge": func() (interface{ Marshal() (string, error) }, error) {
			return machine(h, small, segment{bridge: "br100"}, 3000)
		},
		"machine-filtered": func() (interface{ Marshal() (string, error) }, error) {
			return machine(h, wanted(), onNetwork, 0, "web", "ssh")
		},
		"machine-qemu": func() (interface{ Marshal() (string, error) }, error) {
			return machine(sample(func(o *Options) { o.Hosts[0].Type = "qemu" }), wanted(), onNetwork, 0)
		},
		"volume-blank": func() (interface{ Marshal() (string, error) }, error) {
			return volumeXML(wantedVolume("", 3000), nil), nil
		},
		"volume-image": func() (interface{ Marshal() (string, error) }, error) {
			return volumeXML(wantedVolume("Ubuntu 22.04", 0), &baseVolume{"/images/jammy.qcow2", "qcow2"}), nil
		},
		"network-nat":      func() (interface{ Marshal() (string, error) }, error) { return networkOf(Tenants{}) },
		"network-isolated": func() (interface{ Marshal() (string, error) }, error) { return networkOf(Tenants{Mode: ModeIsolated}) },
		"network-openvswitch": func() (interface{ Marshal() (string, error) }, error) {
			return networkOf(Tenants{Mode: ModeOpenVSwitch, Bridge: "ovs0"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			document, err := make()
			if err != nil {
				t.Fatal(err)
			}
			got, err := document.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			for what, hash := range map[string]string{"HASH": wanted().Hash(), "HASH-SMALL": small.Hash(), "HASH-VOLUME": wantedVolume("Ubuntu 22.04", 0).Hash(),
				"HASH-IOPS": wantedVolume("Ubuntu 22.04", 3000).Hash(), "HASH-BLANK": wantedVolume("", 3000).Hash()} {
				got = strings.ReplaceAll(got, hash, what) // how it is made is the domain's
			}
			compare(t, filepath.Join("testdata", name+".xml"), got+"\n")
		})
	}
}

func compare(t *testing.T, golden, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s\n(go test -update writes it anew)", golden, got, want)
	}
}

// TestRecord holds that what a record says is read again, whatever is in it.
func TestRecord(t *testing.T) {
	t.Parallel()
	h := sample()
	want := wanted()
	r := h.recordFor(want, h.options.Images["Ubuntu 22.04"], segment{network: network{Network: rpc.Network{Name: "default"}}, dhcp: true}, vol{StorageVol: rpc.StorageVol{Pool: "ssd"}})
	r.Powered = stamp(h.options.Now())
	document, err := r.marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, ours := recordOf(`<other:x xmlns:other="urn:x"><thing name="no"/></other:x>`+document, want.Key.Name())
	if !ours || got != r {
		t.Errorf("record read again: got %+v, ours %v, want %+v", got, ours, r)
	}
	if !moment(got.Powered).Equal(h.options.Now()) || !moment("").IsZero() {
		t.Errorf("powered at: got %s, want %s", moment(got.Powered), h.options.Now())
	}
	for what, metadata := range map[string]string{
		"nothing":             "",
		"another namespace":   `<x:thing xmlns:x="urn:x" name="` + want.Key.Name() + `"/>`,
		"another machine's":   `<kbnt:thing xmlns:kbnt="` + namespace + `" name="kbnt-machine-0-x"/>`,
		"two":                 document + document,
		"no XML":              "<",
		"a time that is none": `<kbnt:thing xmlns:kbnt="` + namespace + `" created="x" name="` + want.Key.Name() + `"/>`,
	} {
		if _, ours := recordOf(metadata, want.Key.Name()); ours {
			t.Errorf("metadata of %s: got taken for ours", what)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, kind := range []domain.ThingKind{domain.ThingMachine, domain.ThingVolume, domain.ThingNetwork} {
		key := domain.Key{Resource: resource, Kind: kind, Item: 3}
		if got, ok := keyOf(key.Name()); !ok || got != key {
			t.Errorf("key of %s: got %+v, %v, want %+v", key.Name(), got, ok, key)
		}
	}
	want := wantedVolume("", 3000)
	if key, hash, iops, ok := volumeOf(nameOf(want)); !ok || key != want.Key || hash != want.Hash() || iops != 3000 {
		t.Errorf("volume %s: got %+v %s %d %v, want %+v %s 3000", nameOf(want), key, hash, iops, ok, want.Key, want.Hash())
	}
	if n := len(nameOf(domain.Desired{Key: domain.Key{Resource: resource, Kind: domain.ThingVolume, Item: 99}, Spec: domain.Specification{Volume: &domain.VolumeSpec{IOPS: 999_999_999}}})); n > 255 {
		t.Errorf("longest name of a volume: got %d bytes, want at most 255, as a file may have", n)
	}
	for _, name := range []string{"", "kbnt", "kbnt-machine", "kbnt-machine-0", "kbnt-machine-0-", "kbnt-machine-00-x", "kbnt-machine-x-x", "other-machine-0-x", "kbnt-machine--1-x"} {
		if key, ok := keyOf(name); ok && key.Name() != name {
			t.Errorf("key of %q: got %+v, want none", name, key)
		}
	}
	for _, name := range []string{want.Key.Name(), seedName(wanted().Key), want.Key.Name() + ".0123456789ABCDEF.0", want.Key.Name() + ".0123456789abcdef.", want.Key.Name() + ".0123456789abcdef.0.copy"} {
		if key, _, _, ok := volumeOf(name); ok {
			t.Errorf("volume %q: got taken for ours, %+v", name, key)
		}
	}
}
