package provision

import (
	"fmt"
	"net"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/config"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/kubevirt"
)

func kubevirtHypervisor(m config.Machines) (application.Hypervisor, error) {
	o := kubevirtOptions(m)
	var err error
	if o.Cluster, err = cluster(m.Drivers); err != nil {
		return nil, err
	}
	h, err := kubevirt.New(o)
	if err != nil {
		return nil, fmt.Errorf("KBNT_KUBEVIRT=%s: %w", m.Kubevirt.Path, err)
	}
	return h, nil
}

// cluster is that of the kubeconfig or, without one, that of this pod.
func cluster(d config.Drivers) (kubevirt.Cluster, error) {
	if d.Kubeconfig != "" {
		c, err := kubevirt.Kubeconfig(d.Kubeconfig)
		if err != nil {
			return kubevirt.Cluster{}, fmt.Errorf("KUBECONFIG: %w", err)
		}
		return c, nil
	}
	c, err := kubevirt.InCluster(d.KubernetesHost, d.KubernetesPort, kubevirt.Account)
	if err != nil {
		return kubevirt.Cluster{}, fmt.Errorf("KBNT_HYPERVISOR=kubevirt: %w; config/cluster/components/kubevirt mounts the account, KUBECONFIG names another", err)
	}
	return c, nil
}

// Packages of the first boot, the same that machines on libvirt get.
const (
	monitor    = "prometheus-node-exporter"
	guestAgent = "qemu-guest-agent"
)

// kubevirtOptions are all but the cluster.
func kubevirtOptions(m config.Machines) kubevirt.Options {
	told := m.Kubevirt
	o := kubevirt.Options{
		Namespace: told.Namespace, Segments: told.Segments, Bridge: told.Bridge, DNS: told.DNS,
		Images: map[string]kubevirt.Image{}, Storage: map[domain.DiskType]kubevirt.Storage{},
	}
	switch told.SecurityGroups {
	case "NetworkPolicies":
		o.Groups = kubevirt.NetworkPolicies
	case "MultiNetworkPolicies":
		o.Groups = kubevirt.MultiNetworkPolicies
	}
	if told.Dial { // never to tenants' networks: two may have the same addresses
		o.Dial = new(net.Dialer).DialContext
	}
	for class, s := range told.Storage {
		o.Storage[domain.DiskType(class)] = kubevirt.Storage{Class: s.Class, Mode: s.Mode, Block: s.Block, IOPS: or(s.IOPS)}
	}
	for name, image := range m.Images.Catalogue {
		i := image.KubeVirt
		if i == nil {
			continue
		}
		made := kubevirt.Image{
			ContainerDisk: i.ContainerDisk, URL: i.URL, SHA256: i.SHA256, User: image.User, Agent: image.Agent, Ports: image.Ports,
			Install: []string{monitor},
		}
		if image.Agent {
			made.Install = append(made.Install, guestAgent)
		}
		o.Images[name] = made
	}
	return o
}
