package libvirt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"kbnt.dev/virtualization/domain"
)

// Options of the driver. Hosts and Images are required; all else has a default.
type Options struct {
	Hosts    []Host
	Images   map[string]Image   // the catalogue, by the name that a request gives
	Segments map[string]Segment // the operator's networks: "bridged", "vlan-100"; "vlan-*" is all other VLANs
	Tenants  Tenants            // how networks of tenants are made

	// SecurityGroups maps names that requests give to nwfilters of the hosts. A
	// name that is not in it is refused.
	SecurityGroups map[string]string

	// PowerOff is how long a guest gets to shut down when it is switched off,
	// before its power is cut. 0 is 20s; below 0 the power is cut at once.
	PowerOff time.Duration

	// Connect opens a line to the daemon of a host. Default: what Host.Address says.
	Connect func(ctx context.Context, host Host) (net.Conn, error)

	// Dial opens a connection to a guest, for the health checks. Default: directly,
	// so that this process must be able to reach the networks of the guests.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	Now func() time.Time // default time.Now
	Log *slog.Logger     // default: none
}

// Host is one daemon and what its machine can hold.
type Host struct {
	Name    string // by which things are placed: "kvm-1"
	Address string // of libvirtd: "unix:///run/libvirt/libvirt-sock" or "tls://kvm-1.example:16514"
	URI     string // the driver asked of libvirtd; default "qemu:///system"
	State   string // domain.HostUp (default), HostDraining or HostDown, as the operator wants it

	// TLS says who we are and whom we trust, for tls addresses: a client certificate
	// and the authority of the host's.
	TLS *tls.Config

	Cores      int        // that may be given to machines; default: those of the host, Overcommit times
	Overcommit int        // virtual cores per core; default 4
	Memory     domain.MiB // that may be given to machines; default: that of the host less 1/8

	Pools map[domain.DiskType]Pool

	Type    string // domains: "kvm" (default), "qemu" (without KVM: slow), "test"
	Machine string // default "q35"
	Arch    string // default "x86_64"
}

// Pool is a storage pool of files (dir, fs or netfs) on a host, for one class of disk.
type Pool struct {
	Name       string
	Size       domain.MiB // that may be given to volumes; default: the capacity of the pool. Required where classes share it
	IOPS       int        // that may be promised to volumes, all together
	VolumeIOPS int        // most of one volume, and what a root volume is held to; 0: no limit
}

// Image is what a root volume begins with, and how its guest is spoken to.
type Image struct {
	Pool, Volume string // the base volume, on every host; both empty: the disk begins blank
	SHA256       string // of the base volume's file, noted with each machine made of it; not verified here
	User         string // who gets the SSH keys; empty: the image's default
	NoCloudInit  bool   // the image does not read a seed: none is made
	Agent        bool   // has the QEMU guest agent installed, and asks it
	Monitor      bool   // has the monitoring agent installed

	// Ports that the guest answers on, by name: "ssh" is required and "http" is
	// asked for a page. Default: ssh on 22.
	Ports map[string]int

	Kernel, Initrd, Cmdline string // paths on the hosts to boot directly; empty: boot from the disk
	EFI                     bool   // boot with UEFI firmware
}

// Segment is where a network of the operator is on every host: a network of
// libvirt's, or a bridge. "*" in a name stands for the VLAN.
type Segment struct {
	Network string
	Bridge  string
	DNS     []netip.Addr // servers told to guests
}

// Modes of [Tenants].
const (
	ModeNAT         = "nat"         // a bridge on each host, and a way out through it
	ModeIsolated    = "isolated"    // a bridge on each host
	ModeOpenVSwitch = "openvswitch" // the VLAN on a bridge of Open vSwitch: one network on all hosts
)

// Tenants says how networks of tenants are made.
type Tenants struct {
	Mode   string       // default ModeNAT
	Bridge string       // for ModeOpenVSwitch
	DNS    []netip.Addr // servers told to guests; default: with ModeNAT, the gateway
}

const (
	defaultPowerOff = 20 * time.Second
	most            = 64 << 10 // of anything counted in options
)

// withDefaults returns a copy with what was left out.
func (o Options) withDefaults() Options {
	o.Hosts = slices.Clone(o.Hosts)
	for i := range o.Hosts {
		host := &o.Hosts[i]
		fill(&host.URI, "qemu:///system")
		fill(&host.State, domain.HostUp)
		fill(&host.Type, "kvm")
		fill(&host.Machine, "q35")
		fill(&host.Arch, "x86_64")
		if host.Overcommit == 0 {
			host.Overcommit = 4
		}
	}
	fill(&o.Tenants.Mode, ModeNAT)
	if o.PowerOff == 0 {
		o.PowerOff = defaultPowerOff
	}
	if o.Connect == nil {
		o.Connect = connect
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func fill(s *string, value string) {
	if *s == "" {
		*s = value
	}
}

// check returns every mistake.
func (o Options) check() error {
	var wrong []error
	note := func(bad bool, format string, args ...any) {
		if bad {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	note(len(o.Hosts) == 0, "hosts: none given")
	names := map[string]bool{}
	for _, host := range o.Hosts {
		note(host.Name == "" || names[host.Name], "host %q: want names that differ", host.Name)
		names[host.Name] = true
		note(!slices.Contains([]string{domain.HostUp, domain.HostDraining, domain.HostDown}, host.State), "host %q: state %q: want up, draining or down", host.Name, host.State)
		note(host.Cores < 0 || host.Memory < 0 || host.Overcommit < 1 || host.Overcommit > most, "host %q: cores %d, memory %d MiB, overcommit %d: want what is possible", host.Name, host.Cores, host.Memory, host.Overcommit)
		note(len(host.Pools) == 0, "host %q: no pool for any class of disk", host.Name)
		classes := map[string]int{} // of each pool
		for _, pool := range host.Pools {
			classes[pool.Name]++
		}
		for class, pool := range host.Pools {
			note(classes[pool.Name] > 1 && pool.Size == 0, "host %q: pool %q is that of several classes of disk, and its room would count for each: want a size for %s", host.Name, pool.Name, class)
			note(pool.Name == "" || pool.Size < 0 || pool.IOPS < 0 || pool.VolumeIOPS < 0, "host %q: pool of %s: want a name, and no limit below 0", host.Name, class)
		}
		if _, _, err := place(host.Address); err != nil {
			note(true, "host %q: %w", host.Name, err)
		} else {
			note(strings.HasPrefix(host.Address, "tls:") && (host.TLS == nil || len(host.TLS.Certificates) == 0 && host.TLS.GetClientCertificate == nil), "host %q: a tls address needs a client certificate", host.Name)
		}
	}
	note(len(o.Images) == 0, "images: none given")
	sum := regexp.MustCompile(`^([0-9a-f]{64})?$`)
	for name, image := range o.Images {
		note(name == "", "image \"\": want a name")
		note((image.Pool == "") != (image.Volume == ""), "image %q: want both or none of pool and volume", name)
		note(!sum.MatchString(image.SHA256), "image %q: SHA256 %q: want 64 hexadecimal digits", name, image.SHA256)
		note(image.Kernel == "" && image.Initrd+image.Cmdline != "", "image %q: initrd and cmdline need a kernel", name)
		note(image.Kernel == "" && image.Volume == "", "image %q: want a base volume or a kernel to boot", name)
		note(image.Ports != nil && image.Ports["ssh"] == 0, "image %q: want an ssh port", name)
		for service, port := range image.Ports {
			note(port < 1 || port > 65535, "image %q: port %d of %s: want 1 to 65535", name, port, service)
		}
	}
	for name, s := range o.Segments {
		note((s.Network == "") == (s.Bridge == ""), "segment %q: want a network or a bridge", name)
	}
	note(!slices.Contains([]string{ModeNAT, ModeIsolated, ModeOpenVSwitch}, o.Tenants.Mode), "tenants: mode %q: want nat, isolated or openvswitch", o.Tenants.Mode)
	note((o.Tenants.Mode == ModeOpenVSwitch) != (o.Tenants.Bridge != ""), "tenants: openvswitch, and nothing else, has a bridge")
	return errors.Join(wrong...)
}

// place reads the address of a daemon: "unix" and a path, or "tcp" and host:port.
func place(address string) (network, at string, err error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return "", "", fmt.Errorf("address: %w", err)
	case u.Scheme == "unix" && u.Host == "" && u.Path != "":
		return "unix", u.Path, nil
	case u.Scheme == "tls" && u.Hostname() != "" && u.Path == "":
		port := u.Port()
		fill(&port, "16514") // libvirt's own
		return "tcp", net.JoinHostPort(u.Hostname(), port), nil
	}
	return "", "", fmt.Errorf("address %q: want unix:///path or tls://host:port", address)
}
