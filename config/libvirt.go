package config

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// LibvirtHosts is what the driver of libvirt is told about its hosts, read from a
// file:
//
//	hosts:
//	  kvm-1:
//	    address: tls://kvm-1.example:16514
//	    pools:
//	      SSD: {name: ssd, iops: 50000, volumeIops: 5000}
//	segments:
//	  bridged: {network: default}
//	  vlan-*: {bridge: br*}
//	tenants: {mode: nat}
//	securityGroups: {web: operator-web}
type LibvirtHosts struct {
	Path           string // of the file; empty: there is none
	Hosts          []LibvirtHost
	Segments       map[string]LibvirtSegment
	Mode           string // of networks of tenants: nat, isolated, openvswitch; empty: the driver's default
	Bridge         string // for openvswitch
	DNS            []netip.Addr
	SecurityGroups map[string]string // name of a request -> nwfilter
	Images         string            // the pool of images whose entry names none; default "images"
}

// LibvirtHost is one host. What is nil the driver asks the host for, or has a default.
type LibvirtHost struct {
	Name       string
	Address    string // unix:///path or tls://host:port
	State      string // up, draining, down; empty: up
	Type       string // kvm or qemu; empty: kvm
	Overcommit *int   // cores given for each core
	Cores      *int   // that may be given
	Memory     *GiB   // that may be given
	Pools      map[string]LibvirtPool
}

// LibvirtPool is a storage pool for one class of disk.
type LibvirtPool struct {
	Name       string
	Size       *GiB
	IOPS       *int // of all volumes together
	VolumeIOPS *int // of one volume
}

// LibvirtSegment is a network of the operator: one of the two.
type LibvirtSegment struct{ Network, Bridge string }

// String is the path of the file.
func (l LibvirtHosts) String() string { return l.Path }

// Decode reads the file that value names.
func (l *LibvirtHosts) Decode(value string) error {
	read := LibvirtHosts{Path: value, Images: "images", Segments: map[string]LibvirtSegment{}, SecurityGroups: map[string]string{}}
	err := readDocument(value, func(d *document, root *yaml.Node) {
		d.members(root, "", map[string]func(*yaml.Node, string){
			"hosts": func(n *yaml.Node, field string) {
				d.each(n, field, func(key, value *yaml.Node, field string) {
					read.Hosts = append(read.Hosts, d.libvirtHost(key.Value, value, field))
				})
			},
			"segments": func(n *yaml.Node, field string) {
				d.each(n, field, func(key, value *yaml.Node, field string) { read.Segments[key.Value] = d.libvirtSegment(value, field) })
			},
			"tenants": func(n *yaml.Node, field string) {
				d.members(n, field, map[string]func(*yaml.Node, string){
					"mode":   d.text(&read.Mode, oneOf("nat", "isolated", "openvswitch"), "nat, isolated or openvswitch"),
					"bridge": d.text(&read.Bridge, isVolume, wantHostName),
					"dns":    d.text(new(string), func(s string) bool { return addresses(s, &read.DNS) }, "addresses, separated by spaces"),
				}, "mode, bridge, dns")
			},
			"securityGroups": func(n *yaml.Node, field string) {
				d.each(n, field, func(key, value *yaml.Node, field string) {
					var filter string
					d.text(&filter, isVolume, "the name of an nwfilter")(value, field)
					read.SecurityGroups[key.Value] = filter
				})
			},
			"images": d.text(&read.Images, isVolume, "the name of a storage pool"),
		}, "hosts, segments, tenants, securityGroups, images")
		if len(d.faults) == 0 && len(read.Hosts) == 0 {
			d.want(root, "hosts", "one host at least")
		}
	})
	if err == nil {
		*l = read
	}
	return err
}

const wantHostName = "a name of a thing on the host"

func (d *document) libvirtHost(name string, n *yaml.Node, field string) LibvirtHost {
	const many = 1_000_000
	before := len(d.faults)
	h := LibvirtHost{Name: name, Pools: map[string]LibvirtPool{}}
	if !isVolume(name) {
		d.want(n, field, "a host's name of A-Z a-z 0-9 . _ + -")
	}
	d.members(n, field, map[string]func(*yaml.Node, string){
		"address":    d.text(&h.Address, isLibvirtAddress, "unix:///path or tls://host:port"),
		"state":      d.text(&h.State, oneOf("up", "draining", "down"), "up, draining or down"),
		"type":       d.text(&h.Type, oneOf("kvm", "qemu"), "kvm or qemu"),
		"overcommit": whole(d, &h.Overcommit, 64),
		"cores":      whole(d, &h.Cores, many),
		"memory":     whole(d, &h.Memory, many),
		"pools": func(n *yaml.Node, field string) {
			d.each(n, field, func(key, value *yaml.Node, field string) {
				if !oneOf("SSD", "HDD", "NVME")(key.Value) {
					d.want(key, field, "a class of disk: SSD, HDD or NVME")
				}
				var p LibvirtPool
				d.members(value, field, map[string]func(*yaml.Node, string){
					"name":       d.text(&p.Name, isVolume, "the name of a storage pool"),
					"size":       whole(d, &p.Size, many),
					"iops":       whole(d, &p.IOPS, 1000*many),
					"volumeIops": whole(d, &p.VolumeIOPS, many),
				}, "name, size, iops, volumeIops")
				if p.Name == "" && len(d.faults) == before {
					d.want(value, field, "name: that of the pool")
				}
				h.Pools[key.Value] = p
			})
		},
	}, "address, state, type, overcommit, cores, memory, pools")
	switch {
	case len(d.faults) > before:
	case h.Address == "":
		d.want(n, field, "address: where its libvirtd is")
	case len(h.Pools) == 0:
		d.want(n, field, "pools: one at least")
	}
	return h
}

func (d *document) libvirtSegment(n *yaml.Node, field string) LibvirtSegment {
	var s LibvirtSegment
	before := len(d.faults)
	onHost := func(s string) bool { return isVolume(strings.ReplaceAll(s, "*", "0")) }
	d.members(n, field, map[string]func(*yaml.Node, string){
		"network": d.text(&s.Network, onHost, wantHostName), "bridge": d.text(&s.Bridge, onHost, wantHostName),
	}, "network, bridge")
	if len(d.faults) == before && (s.Network == "") == (s.Bridge == "") {
		d.want(n, field, "either network or bridge")
	}
	return s
}

func oneOf(words ...string) func(string) bool {
	return func(s string) bool { return slices.Contains(words, s) }
}

func isLibvirtAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.User == nil && u.RawQuery == "" && (u.Scheme == "unix" && u.Host == "" && isHostPath(u.Path) || u.Scheme == "tls" && u.Hostname() != "" && u.Path == "")
}

func addresses(s string, into *[]netip.Addr) bool {
	for _, word := range strings.Fields(s) {
		a, err := netip.ParseAddr(word)
		if err != nil || a.Zone() != "" {
			return false
		}
		*into = append(*into, a)
	}
	return len(*into) > 0
}
