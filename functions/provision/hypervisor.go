package provision

import (
	"log/slog"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/config"
	"kbnt.dev/virtualization/infrastructure/simulated"
)

// Hypervisor makes the driver that was chosen. It asks no host and no cluster;
// files of credentials are read. documents keep the world of the simulated one, and
// no other writes there. The error names the variable to change.
func Hypervisor(m config.Machines, documents application.Documents, log *slog.Logger) (application.Hypervisor, error) {
	switch m.Hypervisor {
	case config.KubeVirt:
		return kubevirtHypervisor(m)
	case config.Libvirt:
		return libvirtHypervisor(m, log)
	}
	return simulated.New(simulated.Options{Documents: documents, Speed: m.Speed, Log: log})
}

// or is a value, or the driver's default.
func or[T any](v *T) T {
	if v == nil {
		return *new(T)
	}
	return *v
}
