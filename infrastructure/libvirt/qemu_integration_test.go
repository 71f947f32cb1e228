//go:build integration

package libvirt_test

import (
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/application/applicationtest"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/libvirt"
	"kbnt.dev/virtualization/infrastructure/libvirt/libvirttest"
)

// cutEvery is how many answers lie between two cuts. On the driver "test" the line is
// cut at each; on QEMU, where a machine takes seconds, that took 10 minutes.
var cutEvery = flag.Int("cut", 6, "on QEMU, cut the line at every n-th answer")

// baseMark is how the base volume of the tests' image begins.
const baseMark = "kbnt-base-image"

// qemu starts a libvirtd that boots guests, with a pool, a base volume and a segment
// of the operator's, 192.168.150.0/24.
func qemu(t *testing.T) *world {
	t.Helper()
	s, err := libvirttest.QEMU()
	if errors.Is(err, libvirttest.ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("libvirtd said:\n%s", s.Said())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{server: s, uri: "qemu:///system", every: *cutEvery}
	w.keep(t)
	dir := filepath.Join(s.Dir(), "guests")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	base := append([]byte(baseMark), make([]byte, 1<<20-len(baseMark))...)
	if err := os.WriteFile(filepath.Join(dir, "base.img"), base, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.Pool(t.Context(), "guests"); err != nil {
		t.Fatal(err)
	}
	network, err := w.rpc.NetworkDefineXML(`<network><name>operator</name><forward mode="nat"/><bridge name="operator0"/>
		<ip address="192.168.150.1" prefix="24"><dhcp><range start="192.168.150.100" end="192.168.150.200"/></dhcp></ip></network>`)
	if err == nil {
		err = w.rpc.NetworkCreate(network)
	}
	if err != nil {
		t.Fatalf("make the operator's network: %v", err)
	}
	w.options = libvirt.Options{
		Hosts: []libvirt.Host{{
			Name: "kvm-1", Address: s.Address(), Type: "qemu",
			Pools: map[domain.DiskType]libvirt.Pool{domain.SSD: {Name: "guests", IOPS: 10_000, VolumeIOPS: 5000}},
		}},
		Images:   map[string]libvirt.Image{"base": {Pool: "guests", Volume: "base.img"}},
		Segments: map[string]libvirt.Segment{"bridged": {Network: "operator"}},
		Dial:     s.Dial,
		PowerOff: -1,
	}
	return w
}

func (w *world) openQEMU(t *testing.T) applicationtest.World {
	t.Helper()
	return w.open(t, applicationtest.World{
		Machine: domain.MachineSpec{Cores: 1, Memory: 128, Disk: domain.GiB, DiskType: domain.SSD, Image: "base", SSHKeys: []string{"ssh-ed25519 AAAA test"}},
		Segment: applicationtest.Segment{Name: "bridged", Network: domain.NetworkSpec{Subnet: netip.MustParsePrefix("192.168.150.0/24"), Gateway: netip.MustParseAddr("192.168.150.1")}},
		Networks: [2]domain.NetworkSpec{
			{Subnet: netip.MustParsePrefix("10.91.1.0/24"), VLAN: 201, Gateway: netip.MustParseAddr("10.91.1.1")},
			{Subnet: netip.MustParsePrefix("10.91.2.0/24"), VLAN: 202, Gateway: netip.MustParseAddr("10.91.2.1")},
		},
		Host: "kvm-1", Patience: 60 * time.Second,
	})
}

// TestContractQEMU holds the driver against the contract on QEMU: real domains,
// volumes, bridges and leases. What answers for the guests is this test, so that
// hundreds of machines need not boot; TestGuest boots one.
func TestContractQEMU(t *testing.T) {
	w := qemu(t)
	w.options.Dial = everybody
	applicationtest.TestHypervisor(t, applicationtest.Harness{
		Open: w.openQEMU,
		Cannot: map[applicationtest.Feature]string{
			applicationtest.Capacity:  "the platform places by its own claims, and libvirt takes whatever it is given",
			applicationtest.VLANs:     "the platform claims VLANs, and networks of a host's own carry no tag",
			applicationtest.HardQuota: "libvirt has none",
		},
	})
}

// page asks a guest for what it found.
func page(ctx context.Context, t *testing.T, dial func(context.Context, string, string) (net.Conn, error), address netip.Addr) map[string]string {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}, Timeout: 5 * time.Second}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address.String()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatalf("ask the guest at %s: %v", address, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for line := range strings.Lines(string(body)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		found[name] = value
	}
	return found
}
