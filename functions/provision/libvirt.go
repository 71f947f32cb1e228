package provision

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/config"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/libvirt"
)

func libvirtHypervisor(m config.Machines, log *slog.Logger) (application.Hypervisor, error) {
	var trust *tls.Config
	if m.LibvirtCertificates != "" {
		var err error
		if trust, err = libvirt.Certificates(m.LibvirtCertificates); err != nil {
			return nil, fmt.Errorf("KBNT_LIBVIRT_CERTIFICATES: %w", err)
		}
	}
	told := m.LibvirtHosts
	o := libvirt.Options{
		Images: map[string]libvirt.Image{}, Segments: map[string]libvirt.Segment{}, SecurityGroups: told.SecurityGroups, Log: log,
		Tenants: libvirt.Tenants{Mode: told.Mode, Bridge: told.Bridge, DNS: told.DNS},
	}
	for _, host := range told.Hosts {
		have := libvirt.Host{
			Name: host.Name, Address: host.Address, State: host.State, Type: host.Type, TLS: trust,
			Cores: or(host.Cores), Overcommit: or(host.Overcommit), Memory: domain.MiB(or(host.Memory)) * domain.GiB, Pools: map[domain.DiskType]libvirt.Pool{},
		}
		for class, pool := range host.Pools {
			have.Pools[domain.DiskType(class)] = libvirt.Pool{Name: pool.Name, Size: domain.MiB(or(pool.Size)) * domain.GiB, IOPS: or(pool.IOPS), VolumeIOPS: or(pool.VolumeIOPS)}
		}
		o.Hosts = append(o.Hosts, have)
	}
	for name, s := range told.Segments {
		o.Segments[name] = libvirt.Segment{Network: s.Network, Bridge: s.Bridge, DNS: told.DNS}
	}
	for name, image := range m.Images.Catalogue {
		i := image.Libvirt
		if i == nil {
			continue
		}
		o.Images[name] = libvirt.Image{
			Pool: cmp.Or(i.Pool, told.Images), Volume: i.Volume, SHA256: i.SHA256, User: image.User, Agent: image.Agent, Monitor: true,
			Ports: withSSH(image.Ports), Kernel: i.Kernel, Initrd: i.Initrd, Cmdline: i.Cmdline,
		}
	}
	h, err := libvirt.New(o)
	if err != nil {
		return nil, fmt.Errorf("KBNT_LIBVIRT_HOSTS=%s: %w", told.Path, err)
	}
	return h, nil
}

// withSSH are the ports of an image, on which ssh is always looked for.
func withSSH(ports map[string]int) map[string]int {
	all := map[string]int{"ssh": 22}
	maps.Copy(all, ports)
	return all
}
