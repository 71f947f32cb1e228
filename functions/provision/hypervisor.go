package provision

import (
	"crypto/tls"
	"fmt"
	"log/slog"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/config"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/libvirt"
	"kbnt.dev/virtualization/infrastructure/simulated"
)

// hypervisor makes the driver that was chosen. documents are for the simulated one.
func hypervisor(c config.Provision, documents application.Documents, log *slog.Logger) (application.Hypervisor, error) {
	if c.Hypervisor == config.Libvirt {
		return libvirtHypervisor(c, log)
	}
	return simulated.New(simulated.Options{Documents: documents, Speed: c.Speed, Log: log})
}

func libvirtHypervisor(c config.Provision, log *slog.Logger) (application.Hypervisor, error) {
	var trust *tls.Config
	if c.LibvirtCertificates != "" {
		var err error
		if trust, err = libvirt.Certificates(c.LibvirtCertificates); err != nil {
			return nil, fmt.Errorf("KBNT_LIBVIRT_CERTIFICATES: %w", err)
		}
	}
	o := libvirt.Options{
		Images: map[string]libvirt.Image{}, Segments: map[string]libvirt.Segment{}, SecurityGroups: c.LibvirtHosts.SecurityGroups, Log: log,
		Tenants: libvirt.Tenants{Mode: c.LibvirtHosts.Mode, Bridge: c.LibvirtHosts.Bridge, DNS: c.LibvirtHosts.DNS},
	}
	for _, host := range c.LibvirtHosts.Hosts {
		have := libvirt.Host{
			Name: host.Name, Address: host.Address, State: host.State, Type: host.Type, TLS: trust,
			Cores: or(host.Cores), Overcommit: or(host.Overcommit), Memory: domain.MiB(or(host.Memory)) * domain.GiB, Pools: map[domain.DiskType]libvirt.Pool{},
		}
		for class, pool := range host.Pools {
			have.Pools[domain.DiskType(class)] = libvirt.Pool{Name: pool.Name, Size: domain.MiB(or(pool.Size)) * domain.GiB, IOPS: or(pool.IOPS), VolumeIOPS: or(pool.VolumeIOPS)}
		}
		o.Hosts = append(o.Hosts, have)
	}
	for name, s := range c.LibvirtHosts.Segments {
		o.Segments[name] = libvirt.Segment{Network: s.Network, Bridge: s.Bridge, DNS: c.LibvirtHosts.DNS}
	}
	for name, image := range c.Images.Catalogue {
		if i := image.Libvirt; i != nil {
			o.Images[name] = libvirt.Image{
				Pool: i.Pool, Volume: i.Volume, SHA256: i.SHA256, User: image.User, Monitor: true,
				Kernel: i.Kernel, Initrd: i.Initrd, Cmdline: i.Cmdline,
			}
			if i.Pool == "" {
				own := o.Images[name]
				own.Pool = c.LibvirtHosts.Images
				o.Images[name] = own
			}
		}
	}
	return libvirt.New(o)
}

// or is a value, or the driver's default.
func or[T any](v *T) T {
	if v == nil {
		return *new(T)
	}
	return *v
}
