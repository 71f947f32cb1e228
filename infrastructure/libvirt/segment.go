package libvirt

import (
	"net/netip"
	"strconv"
	"strings"

	"libvirt.org/go/libvirtxml"

	"kbnt.dev/virtualization/domain"
)

// tenantNetwork is how the names of networks of tenants begin; other names are
// segments of the operator.
const tenantNetwork = "kbnt-" + string(domain.ThingNetwork) + "-"

// segment is what a machine is plugged into on one host.
type segment struct {
	bridge  string // or
	network network
	dhcp    bool // the network gives addresses to those with a reservation
	dns     []netip.Addr
}

// segment finds what the machine is to be on. NotFound: the host does not have it.
func (h *Hypervisor) segment(s *session, want domain.Desired) (segment, error) {
	chosen := Segment{Network: want.Network, DNS: h.options.Tenants.DNS}
	tenant := strings.HasPrefix(want.Network, tenantNetwork)
	if tenant && chosen.DNS == nil && h.options.Tenants.Mode == ModeNAT && want.Gateway.IsValid() {
		chosen.DNS = []netip.Addr{want.Gateway}
	}
	if !tenant {
		var ok bool
		if chosen, ok = h.options.Segments[want.Network]; !ok && want.VLAN > 0 {
			chosen, ok = h.options.Segments["vlan-*"]
		}
		if !ok {
			return segment{}, absent("network")
		}
	}
	number := strconv.Itoa(want.VLAN)
	plugged := segment{bridge: strings.ReplaceAll(chosen.Bridge, "*", number), dns: chosen.DNS}
	if plugged.bridge != "" {
		return plugged, nil
	}
	n, found, err := s.network(strings.ReplaceAll(chosen.Network, "*", number))
	switch {
	case err != nil:
		return segment{}, err
	case !found || tenant && !n.ours:
		return segment{}, absent("network")
	}
	plugged.network = n
	for _, ip := range n.xml.IPs {
		if prefix, ok := prefixOf(ip); ok && prefix.Contains(want.Address.Addr()) {
			plugged.dhcp = n.ours || ip.DHCP != nil
		}
	}
	return plugged, nil
}

// prefixOf is the subnet of an element <ip>.
func prefixOf(ip libvirtxml.NetworkIP) (netip.Prefix, bool) {
	address, err := netip.ParseAddr(ip.Address)
	if err != nil {
		return netip.Prefix{}, false
	}
	bits := int(ip.Prefix)
	if mask, err := netip.ParseAddr(ip.Netmask); err == nil && mask.Is4() {
		bits = 0
		for _, b := range mask.As4() {
			for ; b&0x80 != 0; b <<= 1 {
				bits++
			}
		}
	}
	prefix, err := address.Prefix(bits)
	return prefix, err == nil
}
