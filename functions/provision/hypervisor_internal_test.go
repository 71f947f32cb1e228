package provision

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/config"
	"kbnt.dev/virtualization/domain"
)

// What the operator wrote is what the driver has; it asks no host for what was
// given.
func TestLibvirt(t *testing.T) {
	t.Parallel()
	cores, memory, size, iops := 32, config.GiB(200), config.GiB(4000), 5000
	c := config.Provision{
		Hypervisor: config.Libvirt,
		LibvirtHosts: config.LibvirtHosts{
			Images: "images", Mode: "isolated",
			Hosts: []config.LibvirtHost{{Name: "kvm-1", Address: "unix:///nowhere", State: "down", Cores: &cores, Memory: &memory,
				Pools: map[string]config.LibvirtPool{"SSD": {Name: "ssd", Size: &size, IOPS: &iops}}}},
			Segments: map[string]config.LibvirtSegment{"bridged": {Bridge: "br0"}},
		},
		Images: config.Images{Catalogue: map[string]config.Image{"a": {Libvirt: &config.LibvirtImage{Volume: "a.qcow2"}}, "b": {}}},
	}
	h, err := hypervisor(c, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	caps, err := h.Capabilities(t.Context())
	if err != nil || caps.Driver != "libvirt" || caps.Simulated || caps.Guards != (application.Guards{Addresses: true}) || len(caps.Hosts) != 1 {
		t.Fatalf("capabilities: got %+v, %v, want those of libvirt with one host", caps, err)
	}
	host := caps.Hosts[0]
	if host.Name != "kvm-1" || host.State != domain.HostDown || host.Cores != 32 || host.Memory != 200*domain.GiB || host.Disks[domain.SSD] != (domain.DiskPool{Size: 4000 * domain.GiB, IOPS: 5000}) {
		t.Errorf("host: got %+v, want what was written", host)
	}

	c.LibvirtCertificates = filepath.Join(t.TempDir(), "none")
	if _, err := hypervisor(c, nil, nil); err == nil {
		t.Error("a directory without certificates: got no error")
	}
	c.LibvirtCertificates, c.LibvirtHosts.Hosts = "", nil
	if _, err := hypervisor(c, nil, nil); err == nil || os.IsNotExist(err) {
		t.Errorf("no hosts: got %v, want an error", err)
	}
}
