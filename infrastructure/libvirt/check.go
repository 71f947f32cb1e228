package libvirt

import (
	"kbnt.dev/virtualization/domain"
)

// checkSpec refuses what no host can make. It does not repeat the limits of
// requests: those are the domain's.
func (h *Hypervisor) checkSpec(want domain.Desired) error {
	machine, volume, network := want.Spec.Machine, want.Spec.Volume, want.Spec.Network
	switch kind := want.Key.Kind; {
	case kind != domain.ThingMachine && kind != domain.ThingVolume && kind != domain.ThingNetwork:
		return invalid("%q is nothing that can be made", kind)
	case (kind == domain.ThingMachine) != (machine != nil), (kind == domain.ThingVolume) != (volume != nil), (kind == domain.ThingNetwork) != (network != nil):
		return invalid("a %s needs the specification of one, and no other", kind)
	case machine != nil:
		return checkMachine(want)
	case volume != nil && volume.Size < 1:
		return invalid("a volume of %d MiB cannot be made", volume.Size)
	case volume != nil && volume.IOPS < 0:
		return invalid("%d IOPS are not possible", volume.IOPS)
	case network != nil && (!network.Subnet.IsValid() || !network.Subnet.Addr().Is4() || !network.Subnet.Contains(network.Gateway)):
		return invalid("a network needs an IPv4 subnet and a gateway in it")
	case network != nil && (network.VLAN < 1 || network.VLAN > 4094):
		return invalid("VLAN %d: want 1 to 4094", network.VLAN)
	}
	return nil
}

func checkMachine(want domain.Desired) error {
	spec := want.Spec.Machine
	switch {
	case spec.Cores < 1:
		return invalid("a machine needs a core")
	case spec.Memory < 1:
		return invalid("a machine needs memory")
	case !want.Address.IsValid() || !want.Address.Addr().Is4():
		return invalid("a machine needs an IPv4 address")
	case want.Root.Kind != domain.ThingVolume:
		return invalid("a machine needs a root volume")
	}
	return nil
}
