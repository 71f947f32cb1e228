//go:build integration

package libvirt_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	rpc "github.com/digitalocean/go-libvirt"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/application/applicationtest"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/libvirt"
	"kbnt.dev/virtualization/infrastructure/libvirt/libvirttest"
)

// TestContract holds the driver against the contract on libvirt's driver "test",
// which makes nothing real: the guests are this test.
func TestContract(t *testing.T) {
	s := unprivileged(t)
	applicationtest.TestHypervisor(t, applicationtest.Harness{
		Open: func(t *testing.T) applicationtest.World { return openDefault(t, s).World },
		Cannot: map[applicationtest.Feature]string{
			applicationtest.Capacity:  "the platform places by its own claims, and libvirt takes whatever it is given",
			applicationtest.VLANs:     "the platform claims VLANs, and networks of a host's own carry no tag",
			applicationtest.HardQuota: "libvirt has none",
		},
	})
}

// openDefault opens "test:///default". It is there as long as somebody is connected.
func openDefault(t *testing.T, s *libvirttest.Server) opened {
	t.Helper()
	const uri = "test:///default"
	w := &world{server: s, uri: uri, every: 1, options: libvirt.Options{
		Hosts: []libvirt.Host{{
			Name: "kvm-1", Address: s.Address(), URI: uri, Type: "test", Machine: "pc", Arch: "i686",
			Pools: map[domain.DiskType]libvirt.Pool{domain.SSD: {Name: "default-pool", IOPS: 10_000, VolumeIOPS: 5000}},
		}},
		Images:   map[string]libvirt.Image{"small": {Kernel: "/boot/vmlinuz", NoCloudInit: true, Ports: map[string]int{"ssh": 22, "http": 80}}},
		Segments: map[string]libvirt.Segment{"bridged": {Network: "default"}},
		Dial:     everybody,
	}}
	w.keep(t)
	return opened{world: w, World: w.open(t, applicationtest.World{
		Machine: domain.MachineSpec{Cores: 1, Memory: 256, Disk: domain.GiB, DiskType: domain.SSD, Image: "small"},
		Segment: applicationtest.Segment{Name: "bridged", Network: domain.NetworkSpec{Subnet: netip.MustParsePrefix("192.168.122.0/24"), Gateway: netip.MustParseAddr("192.168.122.1")}},
		Networks: [2]domain.NetworkSpec{
			{Subnet: netip.MustParsePrefix("10.91.1.0/24"), VLAN: 201, Gateway: netip.MustParseAddr("10.91.1.1")},
			{Subnet: netip.MustParsePrefix("10.91.2.0/24"), VLAN: 202, Gateway: netip.MustParseAddr("10.91.2.1")},
		},
		Host: "kvm-1", Patience: 10 * time.Second,
	})}
}

// opened is a world of the contract, and what is behind it.
type opened struct {
	*world
	applicationtest.World
}

// world is a daemon as one test sees it.
type world struct {
	server  *libvirttest.Server
	uri     string
	options libvirt.Options
	every   int          // answers between two cuts
	rpc     *rpc.Libvirt // of the test itself
}

// keep keeps a connection open until the test ends.
func (w *world) keep(t *testing.T) {
	t.Helper()
	client, conn, err := w.server.Open(t.Context(), w.uri)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	w.rpc = client
}

func (w *world) driver(t *testing.T, o libvirt.Options) application.Hypervisor {
	t.Helper()
	h, err := libvirt.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (w *world) open(t *testing.T, world applicationtest.World) applicationtest.World {
	t.Helper()
	world.Hypervisor = w.driver(t, w.options)
	world.Pass = func(t *testing.T, d time.Duration) {
		select {
		case <-time.After(d): // the world's time is real: nothing else moves it
		case <-t.Context().Done():
		}
	}
	world.Cut = func(t *testing.T, n int) (application.Hypervisor, func() bool) {
		l := &line{connect: w.server.Connect, left: 1 + (n-1)*w.every}
		o := w.options
		o.Connect = l.dial
		return w.driver(t, o), l.cut
	}
	world.Hang = func(t *testing.T) application.Hypervisor {
		o := w.options
		o.Connect = func(context.Context, libvirt.Host) (net.Conn, error) { // takes all, says nothing
			ours, theirs := net.Pipe()
			go func() { _, _ = io.Copy(io.Discard, theirs) }()
			t.Cleanup(func() { theirs.Close() })
			return ours, nil
		}
		return w.driver(t, o)
	}
	world.Foreign = w.foreign
	world.Residue = w.residue
	t.Cleanup(func() { w.clear(t, world.Hypervisor) })
	return world
}

// foreign makes a domain of somebody else's.
func (w *world) foreign(t *testing.T, key domain.Key) func(*testing.T) {
	t.Helper()
	made, err := w.rpc.DomainDefineXML(`<domain type="` + w.options.Hosts[0].Type + `"><name>` + key.Name() + `</name><memory>65536</memory><os><type>hvm</type></os></domain>`)
	if err != nil {
		t.Fatalf("define a foreign domain: %v", err)
	}
	t.Cleanup(func() {
		if err := w.rpc.DomainUndefineFlags(made, 0); err != nil {
			t.Errorf("undefine the foreign domain: %v", err)
		}
	})
	before, err := w.rpc.DomainGetXMLDesc(made, 0)
	if err != nil {
		t.Fatal(err)
	}
	return func(t *testing.T) {
		t.Helper()
		if after, err := w.rpc.DomainGetXMLDesc(made, 0); err != nil || after != before {
			t.Errorf("foreign domain: got %s, %v, want it as it was, %s", after, err, before)
		}
	}
}

// residue is all that has a name of ours, and reservations of addresses.
func (w *world) residue(t *testing.T) []string {
	t.Helper()
	var all []string
	fail := func(err error) {
		if err != nil {
			t.Fatalf("look for what is left: %v", err)
		}
	}
	domains, _, err := w.rpc.ConnectListAllDomains(1, 0)
	fail(err)
	for _, d := range domains {
		all = append(all, "domain "+d.Name)
	}
	networks, _, err := w.rpc.ConnectListAllNetworks(1, 0)
	fail(err)
	for _, n := range networks {
		all = append(all, "network "+n.Name)
		document, err := w.rpc.NetworkGetXMLDesc(n, 0)
		fail(err)
		if strings.Contains(document, "<host ") {
			all = append(all, "kbnt-reservation on "+n.Name)
		}
	}
	pools, _, err := w.rpc.ConnectListAllStoragePools(1, 0)
	fail(err)
	for _, p := range pools {
		volumes, _, err := w.rpc.StoragePoolListAllVolumes(p, 1, 0)
		fail(err)
		for _, v := range volumes {
			all = append(all, "volume "+v.Name)
		}
	}
	var ours []string
	for _, name := range all {
		if strings.Contains(name, "kbnt-") {
			ours = append(ours, name)
		}
	}
	return ours
}

// clear takes away what a test left.
func (w *world) clear(t *testing.T, h application.Hypervisor) {
	ctx := context.WithoutCancel(t.Context())
	for _, kind := range []domain.ThingKind{domain.ThingMachine, domain.ThingVolume, domain.ThingNetwork} {
		for o, err := range h.List(ctx) {
			if err == nil && o.Key.Kind == kind {
				_, err = h.Delete(ctx, o.Key)
			}
			if err != nil {
				t.Errorf("clear up: %v", err)
			}
		}
	}
}

// everybody is every guest: whatever is dialed speaks SSH on port 22 and HTTP on others.
func everybody(_ context.Context, _, address string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		if strings.HasSuffix(address, ":22") {
			_, _ = io.WriteString(theirs, "SSH-2.0-test\r\n")
			return
		}
		if _, err := http.ReadRequest(bufio.NewReader(theirs)); err == nil {
			_, _ = io.WriteString(theirs, "HTTP/1.1 204 No Content\r\n\r\n")
		}
	}()
	return ours, nil
}
