package libvirt

import (
	"net/netip"
	"strconv"
	"strings"

	rpc "github.com/digitalocean/go-libvirt"
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

// sections and commands of virNetworkUpdate, in the order that libvirt 7.2 and
// later read them in.
const sectionDHCPHost = 4

// reserve sees to it that the network gives the machine its address, and nobody
// else. Conflict: another has it.
func (s *session) reserve(n network, key domain.Key, address netip.Addr) error {
	switch holder := holderOf(n.xml, address); {
	case holder == key.MAC():
		return nil
	case holder != "":
		return taken("address-taken", "the address is taken by another machine")
	}
	err := s.updateHost(n, rpc.NetworkUpdateCommandAddLast, key, address)
	if !refusedByHost(err) {
		return err
	}
	again, found, lookErr := s.network(n.Name) // who was faster?
	if lookErr == nil && found {
		switch holder := holderOf(again.xml, address); {
		case holder == key.MAC():
			return nil
		case holder != "":
			return taken("address-taken", "the address is taken by another machine")
		}
	}
	return err
}

// holderOf is the hardware address that an address is reserved for, "" if none.
func holderOf(n libvirtxml.Network, address netip.Addr) string {
	for _, ip := range n.IPs {
		if ip.DHCP == nil {
			continue
		}
		for _, host := range ip.DHCP.Hosts {
			if host.IP == address.String() {
				return strings.ToLower(host.MAC)
			}
		}
	}
	return ""
}

// release takes a reservation back. A network that has gone has none.
func (s *session) release(name string, key domain.Key, address netip.Addr) error {
	n, found, err := s.network(name)
	if err != nil || !found || holderOf(n.xml, address) != key.MAC() {
		return err
	}
	err = s.updateHost(n, rpc.NetworkUpdateCommandDelete, key, address)
	if refusedByHost(err) {
		again, found, lookErr := s.network(name)
		if lookErr == nil && (!found || holderOf(again.xml, address) != key.MAC()) {
			return nil
		}
	}
	return err
}

func (s *session) updateHost(n network, command rpc.NetworkUpdateCommand, key domain.Key, address netip.Addr) error {
	document, err := (&libvirtxml.NetworkDHCPHost{MAC: key.MAC(), IP: address.String()}).Marshal()
	if err != nil {
		return err
	}
	active, err := s.active(n)
	if err != nil {
		return err
	}
	flags := rpc.NetworkUpdateAffectConfig
	if active {
		flags |= rpc.NetworkUpdateAffectLive
	}
	return s.change("reserve address", func() error {
		return s.rpc.NetworkUpdate(n.Network, uint32(command), sectionDHCPHost, -1, document, flags)
	})
}
