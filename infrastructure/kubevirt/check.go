package kubevirt

import (
	"fmt"
	"net/netip"

	"kbnt.dev/virtualization/domain"
)

// check refuses what the cluster could never make, before anything is asked.
func (h *Hypervisor) check(want domain.Desired) error {
	invalid := func(format string, args ...any) error {
		return &domain.Error{Kind: domain.Invalid, Code: "invalid-spec", Detail: fmt.Sprintf(format, args...)}
	}
	m, v, n := want.Spec.Machine, want.Spec.Volume, want.Spec.Network
	given := 0
	for _, is := range []bool{m != nil, v != nil, n != nil} {
		if is {
			given++
		}
	}
	if err := checkKey(want.Key); err != nil {
		return err
	}
	switch k := want.Key; {
	case given != 1:
		return invalid("%d specifications, want 1", given)
	case k.Kind == domain.ThingMachine && m != nil:
		switch {
		case m.Cores < 1 || m.Memory < 1:
			return invalid("a machine needs at least 1 core and 1 MiB, not %d and %s", m.Cores, m.Memory)
		case want.Network == "" || !hostAddress(want.Address):
			return invalid("a machine needs a network and a host address on it, not %q and %s", want.Network, want.Address)
		case want.Root.Kind != domain.ThingVolume || checkKey(want.Root) != nil:
			return invalid("a machine needs a root volume")
		}
		for _, g := range m.SecurityGroups {
			if !labelValue().MatchString(g) {
				return invalid("%q is no security group: a name begins and ends with a letter or a digit", g)
			}
		}
	case k.Kind == domain.ThingVolume && v != nil:
		class, ok := h.storage[v.Type]
		switch {
		case !ok:
			return invalid("%q is no class of disk", v.Type)
		case v.Size < 1:
			return invalid("a volume needs at least 1 MiB, not %s", v.Size)
		case v.IOPS < 0 || class.IOPS > 0 && v.IOPS > class.IOPS:
			return invalid("%d IOPS are not within 0 and %d, the most of %s", v.IOPS, class.IOPS, v.Type)
		}
	case k.Kind == domain.ThingNetwork && n != nil:
		switch {
		case !n.Subnet.IsValid() || n.Subnet != n.Subnet.Masked():
			return invalid("%s is no subnet", n.Subnet)
		case n.VLAN < 1 || n.VLAN > 4094:
			return invalid("VLAN %d is not within 1 and 4094", n.VLAN)
		}
	default:
		return invalid("the specification is not that of a %q", k.Kind)
	}
	return nil
}

// checkKey refuses a key whose name would be no name of an object.
func checkKey(k domain.Key) error {
	switch k.Kind {
	case domain.ThingMachine, domain.ThingVolume, domain.ThingNetwork:
		if k.Resource != "" && k.Item >= 0 && label().MatchString(k.Name()) && labelValue().MatchString(k.Resource) {
			return nil
		}
	}
	return &domain.Error{Kind: domain.Invalid, Code: "invalid-spec", Detail: fmt.Sprintf("%.80q names no thing", k.Name())}
}

// hostAddress reports whether p is a host's address: neither the subnet's nor, for
// IPv4, the broadcast address.
func hostAddress(p netip.Prefix) bool {
	if !p.IsValid() {
		return false
	}
	a := p.Addr()
	return a != p.Masked().Addr() && (a.Is6() || p.Contains(a.Next()))
}
