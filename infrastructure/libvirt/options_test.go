package libvirt_test

import (
	"strings"
	"testing"

	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/libvirt"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason string
		change func(*libvirt.Options)
		want   []string // parts of the error; none: there is none
	}{
		"good":          {"the least there can be", func(*libvirt.Options) {}, nil},
		"nothing":       {"all mistakes are named at once", func(o *libvirt.Options) { *o = libvirt.Options{} }, []string{"hosts: none", "images: none"}},
		"same name":     {"a name is a place", func(o *libvirt.Options) { o.Hosts = append(o.Hosts, o.Hosts[0]) }, []string{"names that differ"}},
		"state":         {"up, draining or down", func(o *libvirt.Options) { o.Hosts[0].State = "gone" }, []string{`state "gone"`}},
		"no pool":       {"a host without room", func(o *libvirt.Options) { o.Hosts[0].Pools = nil }, []string{"no pool"}},
		"pool, no name": {"it cannot be found", func(o *libvirt.Options) { o.Hosts[0].Pools = map[domain.DiskType]libvirt.Pool{domain.SSD: {}} }, []string{"pool of SSD"}},
		"pool, twice": {"its room would count twice", func(o *libvirt.Options) {
			o.Hosts[0].Pools = map[domain.DiskType]libvirt.Pool{domain.SSD: {Name: "a", Size: domain.GiB}, domain.HDD: {Name: "a"}}
		}, []string{`pool "a"`, "size for HDD"}},
		"pool, shared out": {"what each class may take is said", func(o *libvirt.Options) {
			o.Hosts[0].Pools = map[domain.DiskType]libvirt.Pool{domain.SSD: {Name: "a", Size: domain.GiB}, domain.HDD: {Name: "a", Size: domain.GiB}}
		}, nil},
		"plain tcp":       {"anybody could be the host", func(o *libvirt.Options) { o.Hosts[0].Address = "tcp://kvm-1:16509" }, []string{"want unix:///path or tls://host:port"}},
		"no certificate":  {"anybody could be us", func(o *libvirt.Options) { o.Hosts[0].Address = "tls://kvm-1" }, []string{"client certificate"}},
		"half a volume":   {"a volume is in a pool", func(o *libvirt.Options) { o.Images["x"] = libvirt.Image{Volume: "a"} }, []string{"pool and volume"}},
		"nothing to boot": {"a blank disk does not boot", func(o *libvirt.Options) { o.Images["x"] = libvirt.Image{} }, []string{"a base volume or a kernel"}},
		"no kernel":       {"an initrd needs one", func(o *libvirt.Options) { o.Images["x"] = libvirt.Image{Pool: "a", Volume: "a", Initrd: "/i"} }, []string{"need a kernel"}},
		"no sum":          {"64 digits", func(o *libvirt.Options) { o.Images["x"] = libvirt.Image{Kernel: "/k", SHA256: "abc"} }, []string{"SHA256"}},
		"no ssh": {"one of the five checks is about it", func(o *libvirt.Options) {
			o.Images["x"] = libvirt.Image{Kernel: "/k", Ports: map[string]int{"http": 80}}
		}, []string{"ssh port"}},
		"port": {"16 bits", func(o *libvirt.Options) {
			o.Images["x"] = libvirt.Image{Kernel: "/k", Ports: map[string]int{"ssh": 70000}}
		}, []string{"70000"}},
		"segment, both": {"a card has one end", func(o *libvirt.Options) {
			o.Segments = map[string]libvirt.Segment{"bridged": {Network: "a", Bridge: "b"}}
		}, []string{"a network or a bridge"}},
		"mode":      {"three are done", func(o *libvirt.Options) { o.Tenants.Mode = "vxlan" }, []string{`mode "vxlan"`}},
		"no bridge": {"Open vSwitch needs one", func(o *libvirt.Options) { o.Tenants.Mode = libvirt.ModeOpenVSwitch }, []string{"has a bridge"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := libvirt.Options{
				Hosts:  []libvirt.Host{{Name: "kvm-1", Address: "unix:///run/libvirt/libvirt-sock", Pools: map[domain.DiskType]libvirt.Pool{domain.SSD: {Name: "ssd"}}}},
				Images: map[string]libvirt.Image{"x": {Pool: "images", Volume: "x.qcow2"}},
			}
			c.change(&o)
			_, err := libvirt.New(o)
			if (err == nil) != (c.want == nil) {
				t.Fatalf("New: got %v, want %q: %s", err, c.want, c.reason)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("New: got %v, want %q in it: %s", err, part, c.reason)
				}
			}
		})
	}
}
