package config

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

func TestLibvirtHosts(t *testing.T) {
	t.Parallel()
	var l LibvirtHosts
	if got := decoded(t, &l, `
hosts:
  kvm-1:
    address: tls://kvm-1.example:16514
    overcommit: 2
    memory: 200
    pools:
      SSD: {name: ssd, size: 4000, iops: 50000, volumeIops: 5000}
      HDD: {name: hdd}
  here:
    address: unix:///run/libvirt/libvirt-sock
    state: draining
    type: qemu
    pools: {SSD: {name: default}}
segments:
  bridged: {network: default}
  vlan-*: {bridge: br*}
tenants: {mode: openvswitch, bridge: ovs0, dns: 10.0.0.53 10.0.1.53}
securityGroups: {web: operator-web}
`); got != nil {
		t.Fatalf("a good file: %q", got)
	}
	two, gib, four, all, each := 2, GiB(200), GiB(4000), 50000, 5000
	want := LibvirtHosts{
		Path: l.Path, Images: "images", Mode: "openvswitch", Bridge: "ovs0", DNS: []netip.Addr{netip.MustParseAddr("10.0.0.53"), netip.MustParseAddr("10.0.1.53")},
		Segments: map[string]LibvirtSegment{"bridged": {Network: "default"}, "vlan-*": {Bridge: "br*"}}, SecurityGroups: map[string]string{"web": "operator-web"},
		Hosts: []LibvirtHost{
			{Name: "kvm-1", Address: "tls://kvm-1.example:16514", Overcommit: &two, Memory: &gib, Pools: map[string]LibvirtPool{"SSD": {Name: "ssd", Size: &four, IOPS: &all, VolumeIOPS: &each}, "HDD": {Name: "hdd"}}},
			{Name: "here", Address: "unix:///run/libvirt/libvirt-sock", State: "draining", Type: "qemu", Pools: map[string]LibvirtPool{"SSD": {Name: "default"}}},
		},
	}
	if !reflect.DeepEqual(l, want) {
		t.Errorf("got  %+v\nwant %+v", l, want)
	}
}

func TestLibvirtHostsMistakes(t *testing.T) {
	t.Parallel()
	const pools = "pools: {SSD: {name: a}}"
	for name, c := range map[string]struct {
		reason, content string
		want            []string // beginnings
	}{
		"nothing":      {"a driver without hosts makes nothing", "segments: {}\n", []string{"line 1, hosts: one host"}},
		"no address":   {"it cannot be reached", "hosts: {a: {" + pools + "}}\n", []string{"line 1, hosts.a: address"}},
		"no pools":     {"there is no room on it", "hosts: {a: {address: \"unix:///s\"}}\n", []string{"line 1, hosts.a: pools"}},
		"plain tcp":    {"anybody could listen, or be the host", "hosts: {a: {address: \"tcp://a:16509\", " + pools + "}}\n", []string{"line 1, hosts.a.address: unix"}},
		"a user":       {"there are certificates for that", "hosts: {a: {address: \"tls://root@a\", " + pools + "}}\n", []string{"line 1, hosts.a.address: unix"}},
		"a class":      {"requests name three", "hosts: {a: {address: \"tls://a\", pools: {TAPE: {name: a}}}}\n", []string{"line 1, hosts.a.pools.TAPE: a class"}},
		"no pool":      {"it has no name", "hosts: {a: {address: \"tls://a\", pools: {SSD: {iops: 1}}}}\n", []string{"line 1, hosts.a.pools.SSD: name"}},
		"both":         {"a card has one end", "hosts: {a: {address: \"tls://a\", " + pools + "}}\nsegments: {bridged: {network: a, bridge: b}}\n", []string{"line 2, segments.bridged: either"}},
		"mode":         {"others are not done", "hosts: {a: {address: \"tls://a\", " + pools + "}}\ntenants: {mode: vxlan}\n", []string{"line 2, tenants.mode: nat"}},
		"no addresses": {"a name cannot be asked for before there is a server", "hosts: {a: {address: \"tls://a\", " + pools + "}}\ntenants: {dns: dns.example}\n", []string{"line 2, tenants.dns: addresses"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var l LibvirtHosts
			if got := decoded(t, &l, c.content); !begin(got, c.want) {
				t.Errorf("%s\ngot  %q\nwant %q (%s)", c.content, got, c.want, c.reason)
			}
		})
	}
}

// The driver of libvirt needs hosts, something to boot and, over TLS, a certificate.
func TestLibvirtNeeds(t *testing.T) {
	set := needed(new(Provision))
	set["KBNT_HYPERVISOR"] = "libvirt"
	set["KBNT_LIBVIRT_HOSTS"] = file(t, "hosts: {a: {address: \"tls://a\", pools: {SSD: {name: a}}}}\n")
	set["KBNT_IMAGES"] = file(t, "default: x\nimages: {x: {kubevirt: {containerDisk: x}}}\n")
	environ(t, new(Provision), set)
	_, err := ReadProvision()
	var got []string
	for _, m := range mistakes(t, err) {
		got = append(got, m.Variable)
	}
	if strings.Join(got, " ") != "KBNT_IMAGES KBNT_LIBVIRT_CERTIFICATES" {
		t.Errorf("without an image and a certificate: got mistakes in %v, want KBNT_IMAGES and KBNT_LIBVIRT_CERTIFICATES", got)
	}
	delete(set, "KBNT_LIBVIRT_HOSTS")
	environ(t, new(Provision), set)
	if _, err = ReadProvision(); err == nil || !strings.Contains(err.Error(), "KBNT_LIBVIRT_HOSTS") {
		t.Errorf("without hosts: got %v, want a mistake in KBNT_LIBVIRT_HOSTS", err)
	}
}
