package libvirt

import (
	"context"
	"fmt"
	"strings"

	"kbnt.dev/virtualization/domain"
)

// spread brings a tenant's network to a host that was away, or not there yet, when the
// network was made, before a machine is made on it there. The definition comes from a host that
// has it. It does nothing where the network is, and where no other host has it: the
// machine is then refused for want of it.
func (h *Hypervisor) spread(ctx context.Context, to Host, want domain.Desired) error {
	key, ok := keyOf(want.Network)
	if !ok || key.Kind != domain.ThingNetwork || !strings.HasPrefix(want.Network, tenantNetwork) || len(h.options.Hosts) == 1 {
		return nil
	}
	var have bool
	err := h.with(ctx, to, func(s *session) (err error) {
		_, have, err = s.network(want.Network)
		return err
	})
	if err != nil || have {
		return err
	}
	for _, from := range h.options.Hosts {
		if from.Name == to.Name || from.State == domain.HostDown {
			continue
		}
		var n network
		err := h.with(ctx, from, func(s *session) (err error) {
			n, have, err = s.network(want.Network)
			return err
		})
		if err == nil && have && n.ours {
			return h.with(ctx, to, func(s *session) error { return s.copyNetwork(n) })
		}
	}
	return nil
}

// copyNetwork makes the network that another host has, without the reservations of
// machines there.
func (s *session) copyNetwork(n network) error {
	there := n.xml
	there.MAC = nil
	for i := range there.IPs {
		there.IPs[i].DHCP = nil
	}
	document, err := there.Marshal()
	if err != nil {
		return fmt.Errorf("write %s: %w", n.Name, err)
	}
	if _, have, err := s.network(n.Name); err != nil || have { // defining it again would lose the reservations in it
		return err
	}
	err = s.change("define network", func() (err error) {
		n.Network, err = s.rpc.NetworkDefineXML(document)
		return err
	})
	if err != nil {
		return err
	}
	return s.startNetwork(n, true)
}
