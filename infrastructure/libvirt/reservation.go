package libvirt

import (
	"net/netip"
	"strings"

	rpc "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"kbnt.dev/virtualization/domain"
)

// sections and commands of virNetworkUpdate, in the order that libvirt 7.2 and
// later read them in.
const sectionDHCPHost = 4

// A network has two documents: what it runs by, and what it is started by the next time. Whoever
// defines it anew changes the second alone, so a reservation can be in one of them and not
// in the other, and an update of both is then refused.
type document struct {
	shown   rpc.NetworkXMLFlags
	updated rpc.NetworkUpdateFlags
}

// reserve sees to it that the network gives the machine its address, and nobody
// else. Conflict: another has it.
func (s *session) reserve(n network, key domain.Key, address netip.Addr) error {
	if holder := holderOf(n.xml, address); holder != "" && holder != key.MAC() {
		return errTaken()
	} else if holder == "" {
		err := s.updateBoth(n, rpc.NetworkUpdateCommandAddLast, key, address)
		if !refusedByHost(err) {
			return err
		}
	}
	return s.eachDocument(n, func(holder string, readable bool, flags rpc.NetworkUpdateFlags) error {
		switch holder {
		case key.MAC():
			return nil
		case "":
			err := s.updateHost(n, rpc.NetworkUpdateCommandAddLast, key, address, flags)
			if !readable && is(err, rpc.ErrOperationInvalid) {
				return nil // it is there, or would be refused for the running network, too
			}
			return err
		}
		return errTaken()
	}, address)
}

func errTaken() error { return taken("address-taken", "the address is taken by another machine") }

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
	if err != nil || !found {
		return err
	}
	if holderOf(n.xml, address) == key.MAC() {
		err := s.updateBoth(n, rpc.NetworkUpdateCommandDelete, key, address)
		if !refusedByHost(err) {
			return err
		}
	}
	err = s.eachDocument(n, func(holder string, readable bool, flags rpc.NetworkUpdateFlags) error {
		if readable && holder != key.MAC() {
			return nil
		}
		err := s.updateHost(n, rpc.NetworkUpdateCommandDelete, key, address, flags)
		if !readable && is(err, rpc.ErrOperationInvalid) {
			return nil // it is not there
		}
		return err
	}, address)
	if is(err, rpc.ErrNoNetwork) {
		return nil
	}
	return err
}

// eachDocument calls settle for each document that the network has now, with who holds the address
// in it. readable: false if the driver shows only the one it runs by.
func (s *session) eachDocument(n network, settle func(holder string, readable bool, flags rpc.NetworkUpdateFlags) error, address netip.Addr) error {
	active, err := s.active(n)
	if err != nil {
		return err
	}
	for _, d := range []document{{0, rpc.NetworkUpdateAffectLive}, {rpc.NetworkXMLInactive, rpc.NetworkUpdateAffectConfig}} {
		if d.updated == rpc.NetworkUpdateAffectLive && !active {
			continue
		}
		var text string
		var shown libvirtxml.Network
		err := s.look("read network", func() (err error) {
			text, err = s.rpc.NetworkGetXMLDesc(n.Network, uint32(d.shown))
			return err
		})
		readable := !is(err, rpc.ErrInvalidArg, rpc.ErrNoSupport, rpc.ErrArgumentUnsupported)
		if err == nil {
			err = shown.Unmarshal(text)
		}
		if err != nil && readable {
			return err
		}
		if err := settle(holderOf(shown, address), readable, d.updated); err != nil {
			return err
		}
	}
	return nil
}

// updateBoth changes both documents in one call, which succeeds for both or for none.
func (s *session) updateBoth(n network, command rpc.NetworkUpdateCommand, key domain.Key, address netip.Addr) error {
	active, err := s.active(n)
	if err != nil {
		return err
	}
	flags := rpc.NetworkUpdateAffectConfig
	if active {
		flags |= rpc.NetworkUpdateAffectLive
	}
	return s.updateHost(n, command, key, address, flags)
}

func (s *session) updateHost(n network, command rpc.NetworkUpdateCommand, key domain.Key, address netip.Addr, flags rpc.NetworkUpdateFlags) error {
	document, err := (&libvirtxml.NetworkDHCPHost{MAC: key.MAC(), IP: address.String()}).Marshal()
	if err != nil {
		return err
	}
	return s.change("reserve address", func() error {
		return s.rpc.NetworkUpdate(n.Network, uint32(command), sectionDHCPHost, -1, document, flags)
	})
}
