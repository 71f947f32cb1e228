package config

import (
	"maps"
	"slices"
	"strings"
)

// Drivers is what the drivers of real hypervisors are told. The simulated one
// needs nothing of it.
type Drivers struct {
	Kubevirt       KubeVirtCluster `desc:"for kubevirt: file of the classes of disk, the segments and the rest (docs/hypervisors/kubevirt.md)"`
	Kubeconfig     string          `envconfig:"KUBECONFIG" desc:"for kubevirt: one kubeconfig file; empty: the cluster this process runs in, as its service account"`
	KubernetesHost string          `envconfig:"KUBERNETES_SERVICE_HOST" desc:"for kubevirt without a kubeconfig: the API server, as Kubernetes tells every pod"`
	KubernetesPort string          `envconfig:"KUBERNETES_SERVICE_PORT" desc:"its port, told with it"`

	LibvirtHosts        LibvirtHosts `desc:"for libvirt: file of the hosts (docs/hypervisors/libvirt.md)"`
	LibvirtCertificates string       `desc:"for libvirt hosts with a tls address: directory with tls.crt, tls.key and ca.crt"`
}

// Machines is all that makes machines: which driver, what it boots, and what it is
// told. A cluster and a laptop have it alike.
type Machines struct {
	Hypervisor Hypervisor
	Speed      float64 // of the simulated one, in times of life; 0: no latency
	Images     Images
	Drivers
}

// Machines is what provision makes machines with.
func (c Provision) Machines() Machines {
	return Machines{Hypervisor: c.Hypervisor, Speed: c.Speed, Images: c.Images, Drivers: c.Drivers}
}

// Machines is what the platform makes machines with. Its images are those it offers.
func (l Local) Machines() Machines {
	return Machines{Hypervisor: l.Hypervisor, Speed: l.Speed, Images: l.Images, Drivers: l.Drivers}
}

// check: a driver that was chosen has what it needs.
func (m Machines) check() (wrong []*Mistake) {
	need := func(there bool, variable, value, want string) {
		if !there {
			wrong = append(wrong, &Mistake{Variable: variable, Value: value, with: "KBNT_HYPERVISOR", Want: want})
		}
	}
	boots := func(with func(Image) bool) bool {
		return slices.ContainsFunc(slices.Collect(maps.Values(m.Images.Catalogue)), with)
	}
	switch m.Hypervisor {
	case Libvirt:
		encrypted := func(h LibvirtHost) bool { return strings.HasPrefix(h.Address, "tls:") }
		need(len(m.LibvirtHosts.Hosts) > 0, "KBNT_LIBVIRT_HOSTS", m.LibvirtHosts.Path, "a file of hosts, because KBNT_HYPERVISOR is libvirt")
		need(boots(func(i Image) bool { return i.Libvirt != nil }), "KBNT_IMAGES", m.Images.Path, "a file with one image at least that has a part for libvirt")
		need(m.LibvirtCertificates != "" || !slices.ContainsFunc(m.LibvirtHosts.Hosts, encrypted), "KBNT_LIBVIRT_CERTIFICATES", "", "a directory, because a host has a tls address")
	case KubeVirt:
		need(m.Kubevirt.Path != "", "KBNT_KUBEVIRT", "", "a file of classes of disk and segments, because KBNT_HYPERVISOR is kubevirt (docs/hypervisors/kubevirt.md)")
		need(boots(func(i Image) bool { return i.KubeVirt != nil }), "KBNT_IMAGES", m.Images.Path, "a file with one image at least that has a part for kubevirt")
		need(m.Kubeconfig != "" || m.KubernetesHost != "", "KUBECONFIG", "", "a kubeconfig file, because KBNT_HYPERVISOR is kubevirt and this process runs in no pod")
		if m.Kubeconfig != "" {
			if _, err := readFile(m.Kubeconfig); err != nil {
				need(false, "KUBECONFIG", m.Kubeconfig, err.Error())
			}
		}
	}
	return wrong
}
