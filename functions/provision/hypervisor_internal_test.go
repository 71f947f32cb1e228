package provision

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/config"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/kubevirt"
)

// What the operator wrote is what the driver has; it asks no host for what was
// given.
func TestLibvirt(t *testing.T) {
	t.Parallel()
	cores, memory, size, iops := 32, config.GiB(200), config.GiB(4000), 5000
	m := config.Machines{
		Hypervisor: config.Libvirt,
		Images:     config.Images{Catalogue: map[string]config.Image{"a": {Ports: map[string]int{"http": 80}, Libvirt: &config.LibvirtImage{Volume: "a.qcow2"}}, "b": {}}},
		Drivers: config.Drivers{LibvirtHosts: config.LibvirtHosts{
			Images: "images", Mode: "isolated",
			Hosts: []config.LibvirtHost{{Name: "kvm-1", Address: "unix:///nowhere", State: "down", Cores: &cores, Memory: &memory,
				Pools: map[string]config.LibvirtPool{"SSD": {Name: "ssd", Size: &size, IOPS: &iops}}}},
			Segments: map[string]config.LibvirtSegment{"bridged": {Bridge: "br0"}},
		}},
	}
	h, err := Hypervisor(m, nil, slog.New(slog.DiscardHandler))
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

	m.LibvirtCertificates = filepath.Join(t.TempDir(), "none")
	if _, err := Hypervisor(m, nil, nil); err == nil || !strings.Contains(err.Error(), "KBNT_LIBVIRT_CERTIFICATES") {
		t.Errorf("a directory without certificates: got %v, want an error that names the variable", err)
	}
	m.LibvirtCertificates, m.LibvirtHosts.Hosts = "", nil
	if _, err := Hypervisor(m, nil, nil); err == nil || !strings.Contains(err.Error(), "KBNT_LIBVIRT_HOSTS") {
		t.Errorf("no hosts: got %v, want an error that names the variable", err)
	}
}

// onKubeVirt is a catalogue and a cluster as an operator writes them.
func onKubeVirt() config.Machines {
	iops := 5000
	return config.Machines{
		Hypervisor: config.KubeVirt,
		Images: config.Images{Catalogue: map[string]config.Image{
			"plain": {User: "debian", KubeVirt: &config.KubeVirtImage{URL: "https://a.example/d.qcow2", SHA256: strings.Repeat("ab", 32)}},
			"agent": {Agent: true, Ports: map[string]int{"ssh": 2222, "http": 80}, KubeVirt: &config.KubeVirtImage{ContainerDisk: "a.example/a:1"}},
			"other": {Libvirt: &config.LibvirtImage{Volume: "a.qcow2"}},
		}},
		Drivers: config.Drivers{Kubevirt: config.KubeVirtCluster{
			Path: "kubevirt.yaml", Namespace: "machines", Bridge: "br-tenants", DNS: []netip.Addr{netip.MustParseAddr("10.0.0.53")},
			Storage:  map[string]config.KubeVirtStorage{"SSD": {Class: "fast", Mode: "ReadWriteMany", Block: true, IOPS: &iops}, "HDD": {}},
			Segments: map[string]string{"bridged": "default/office"}, SecurityGroups: "MultiNetworkPolicies",
		}},
	}
}

// What the operator wrote is what the driver is given, and nothing else.
func TestKubeVirtOptions(t *testing.T) {
	t.Parallel()
	got := kubevirtOptions(onKubeVirt())
	want := kubevirt.Options{
		Namespace: "machines", Bridge: "br-tenants", DNS: []netip.Addr{netip.MustParseAddr("10.0.0.53")}, Groups: kubevirt.MultiNetworkPolicies,
		Segments: map[string]string{"bridged": "default/office"},
		Storage:  map[domain.DiskType]kubevirt.Storage{domain.SSD: {Class: "fast", Mode: "ReadWriteMany", Block: true, IOPS: 5000}, domain.HDD: {}},
		Images: map[string]kubevirt.Image{
			"plain": {User: "debian", URL: "https://a.example/d.qcow2", SHA256: strings.Repeat("ab", 32), Install: []string{"prometheus-node-exporter"}},
			"agent": {ContainerDisk: "a.example/a:1", Agent: true, Ports: map[string]int{"ssh": 2222, "http": 80}, Install: []string{"prometheus-node-exporter", "qemu-guest-agent"}},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	m := onKubeVirt()
	m.Kubevirt.Dial, m.Kubevirt.SecurityGroups = true, "NetworkPolicies"
	if got := kubevirtOptions(m); got.Dial == nil || got.DialTenants || got.Groups != kubevirt.NetworkPolicies {
		t.Errorf("with a way to the guests: got %+v, want a Dial, for segments alone, and NetworkPolicies", got)
	}
}

// The cluster is that of the kubeconfig, and nobody is asked yet.
func TestKubeVirt(t *testing.T) {
	t.Parallel()
	m := onKubeVirt()
	m.Kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	const text = `
current-context: a
contexts: [{name: a, context: {cluster: a, user: a}}]
clusters: [{name: a, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: a, user: {token: abc}}]
`
	if err := os.WriteFile(m.Kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := Hypervisor(m, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if caps, err := h.Capabilities(t.Context()); err != nil || caps.Driver != "kubevirt" || caps.Simulated {
		t.Errorf("capabilities: got %+v, %v, want those of kubevirt", caps, err)
	}
}

// An error at the start names what the operator has to change.
func TestKubeVirtMistakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason string
		change func(*config.Machines)
		want   string
	}{
		"no kubeconfig": {"the file went away", func(m *config.Machines) { m.Kubeconfig = filepath.Join(t.TempDir(), "none") }, "KUBECONFIG"},
		"no account":    {"a pod whose account is not mounted", func(m *config.Machines) { m.KubernetesHost = "127.0.0.1" }, "components/kubevirt"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := os.Stat(kubevirt.Account); err == nil && name == "no account" {
				t.Skip("this test runs in a pod with an account")
			}
			m := onKubeVirt()
			c.change(&m)
			if _, err := Hypervisor(m, nil, nil); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q (%s)", err, c.want, c.reason)
			}
		})
	}
}
