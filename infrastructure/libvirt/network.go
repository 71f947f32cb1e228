package libvirt

import (
	"fmt"
	"strings"

	rpc "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"kbnt.dev/virtualization/domain"
)

// network is a network of libvirt's on one host.
type network struct {
	rpc.Network
	xml    libvirtxml.Network
	record record
	ours   bool
}

// network looks one up. found: there is one of that name, perhaps not ours.
func (s *session) network(name string) (n network, found bool, err error) {
	var document string
	err = s.look("look up network "+name, func() error {
		if n.Network, err = s.rpc.NetworkLookupByName(name); err != nil {
			return err
		}
		document, err = s.rpc.NetworkGetXMLDesc(n.Network, 0)
		return err
	})
	if is(err, rpc.ErrNoNetwork) {
		return network{}, false, nil
	}
	if err == nil {
		err = n.xml.Unmarshal(document)
	}
	if err != nil {
		return network{}, false, err
	}
	if n.xml.Metadata != nil {
		n.record, n.ours = recordOf(n.xml.Metadata.XML, name)
	}
	return n, true, nil
}

func (h *Hypervisor) ensureNetwork(s *session, want domain.Desired) (domain.Observation, error) {
	n, found, err := s.network(want.Key.Name())
	switch {
	case err != nil:
		return domain.Observation{}, err
	case found && !n.ours:
		return domain.Observation{}, taken("foreign", "the name belongs to somebody else")
	case found && n.record.Hash != want.Hash():
		return domain.Observation{}, taken("spec-differs", "it exists with another specification")
	case !found:
		if n, err = h.defineNetwork(s, want); err != nil {
			return domain.Observation{}, err
		}
	}
	active, err := s.active(n)
	if err != nil {
		return domain.Observation{}, err
	}
	if !active {
		if err := s.startNetwork(n, !found); err != nil {
			return domain.Observation{}, err
		}
	}
	return h.seenNetwork(s.host, want.Key, n, true), nil
}

func (h *Hypervisor) defineNetwork(s *session, want domain.Desired) (n network, err error) {
	n.record = record{Name: want.Key.Name(), Hash: want.Hash(), Tenant: want.Tenant, VirtualID: want.VirtualID, Created: h.options.Now().UTC().Round(0)}
	n.ours = true
	wanted, err := h.networkXML(want, n.record)
	if err != nil {
		return n, err
	}
	document, err := wanted.Marshal()
	if err != nil {
		return n, fmt.Errorf("write %s: %w", n.record.Name, err)
	}
	n.xml = *wanted
	err = s.change("define network", func() (err error) {
		n.Network, err = s.rpc.NetworkDefineXML(document)
		return err
	})
	return n, err
}

// startNetwork starts a network, and sees to it that it starts with its host. libvirt refuses one whose subnet the host
// knows already, but keeps its definition, which is taken back if it was made just now.
func (s *session) startNetwork(n network, fresh bool) error {
	err := s.change("start network with its host", func() error { return s.rpc.NetworkSetAutostart(n.Network, 1) })
	if err != nil {
		return err
	}
	err = s.change("start network", func() error { return s.rpc.NetworkCreate(n.Network) })
	if !refusedByHost(err) {
		return err
	}
	if active, lookErr := s.active(n); lookErr == nil && active {
		return nil // another caller was faster
	}
	if !strings.Contains(err.Error(), "already in use by interface") {
		return err
	}
	overlap := &domain.Error{Kind: domain.Conflict, Code: "subnet-overlap", Detail: "the subnet overlaps one that the host has", Err: err}
	if fresh {
		if err := s.deleteNetwork(n); err != nil {
			return err
		}
	}
	return overlap
}

func (s *session) active(n network) (bool, error) {
	var active int32
	err := s.look("state of network", func() (err error) {
		active, err = s.rpc.NetworkIsActive(n.Network)
		return err
	})
	return active == 1, err
}

// networkXML is a network of a tenant. Addresses are given by DHCP to machines
// that have a reservation, and to nobody else: there is no range.
func (h *Hypervisor) networkXML(want domain.Desired, r record) (*libvirtxml.Network, error) {
	spec, tenants := want.Spec.Network, h.options.Tenants
	metadata, err := r.marshal()
	if err != nil {
		return nil, err
	}
	n := &libvirtxml.Network{Name: r.Name, UUID: want.Key.UUID(), Metadata: &libvirtxml.NetworkMetadata{XML: metadata}}
	if tenants.Mode == ModeOpenVSwitch {
		n.Forward = &libvirtxml.NetworkForward{Mode: "bridge"}
		n.Bridge = &libvirtxml.NetworkBridge{Name: tenants.Bridge}
		n.VirtualPort = &libvirtxml.NetworkVirtualPort{Params: &libvirtxml.NetworkVirtualPortParams{OpenVSwitch: &libvirtxml.NetworkVirtualPortParamsOpenVSwitch{}}}
		n.VLAN = &libvirtxml.NetworkVLAN{Tags: []libvirtxml.NetworkVLANTag{{ID: uint(spec.VLAN)}}}
		return n, nil
	}
	if tenants.Mode == ModeNAT {
		n.Forward = &libvirtxml.NetworkForward{Mode: "nat"}
	} else {
		n.DNS = &libvirtxml.NetworkDNS{Enable: "no"}
	}
	n.Bridge = &libvirtxml.NetworkBridge{Name: "kb" + want.Key.Short(), STP: "on", Delay: "0"}
	n.IPs = []libvirtxml.NetworkIP{{Address: spec.Gateway.String(), Prefix: uint(spec.Subnet.Bits())}}
	return n, nil
}

func (h *Hypervisor) observeNetwork(s *session, key domain.Key) (domain.Observation, error) {
	gone := domain.Observation{Key: key, Phase: domain.ThingAbsent}
	n, found, err := s.network(key.Name())
	switch {
	case err != nil || !found:
		return gone, err
	case !n.ours:
		gone.Reason = "Foreign"
		return gone, nil
	}
	active, err := s.active(n)
	if is(err, rpc.ErrNoNetwork) {
		return gone, nil
	}
	return h.seenNetwork(s.host, key, n, active), err
}

// seenNetwork: a network is everywhere, so its observation names no host.
func (h *Hypervisor) seenNetwork(host Host, key domain.Key, n network, active bool) domain.Observation {
	o := domain.Observation{Key: key, Phase: domain.ThingReady, ProviderID: key.UUID(), SpecHash: n.record.Hash, CreatedAt: n.record.Created}
	if !active {
		o.Phase, o.Reason, o.Message = domain.ThingCreating, "Inactive", "the network does not run on host "+host.Name
	}
	return o
}

func (h *Hypervisor) removeNetwork(s *session, key domain.Key) error {
	n, found, err := s.network(key.Name())
	switch {
	case err != nil || !found:
		return err
	case !n.ours:
		return taken("foreign", "the name belongs to somebody else")
	}
	return s.deleteNetwork(n)
}

// deleteNetwork stops a network and takes its definition away. One that has gone,
// or was never started, is success.
func (s *session) deleteNetwork(n network) error {
	err := s.change("stop network", func() error { return s.rpc.NetworkDestroy(n.Network) })
	if is(err, rpc.ErrNoNetwork) {
		return nil
	}
	if refusedByHost(err) { // it is an error to stop what does not run
		active, lookErr := s.active(n)
		if is(lookErr, rpc.ErrNoNetwork) {
			return nil
		}
		if lookErr == nil && !active {
			err = nil
		}
	}
	if err != nil {
		return err
	}
	err = s.change("undefine network", func() error { return s.rpc.NetworkUndefine(n.Network) })
	if is(err, rpc.ErrNoNetwork) {
		return nil
	}
	return err
}

// togetherNetwork makes one observation of those of all hosts. A network is ready
// when it is on every host, and gone when it is on none.
func togetherNetwork(key domain.Key, all []found) domain.Observation {
	var some *domain.Observation
	missing := ""
	for _, f := range all {
		switch {
		case f.seen.Phase == domain.ThingAbsent:
			missing = f.host
		case some == nil || f.seen.Phase != domain.ThingReady:
			some = &f.seen
		}
	}
	if some == nil {
		return domain.Observation{Key: key, Phase: domain.ThingAbsent, Reason: all[0].seen.Reason}
	}
	if missing != "" && some.Phase == domain.ThingReady {
		some.Phase, some.Reason, some.Message = domain.ThingCreating, "Missing", "the network is not on host "+missing
	}
	return *some
}
