package libvirt

import (
	"strings"

	rpc "github.com/digitalocean/go-libvirt"

	"kbnt.dev/virtualization/domain"
)

// listHost is everything of ours on one host. What goes while it is listed is left out.
func (h *Hypervisor) listHost(s *session) ([]domain.Observation, error) {
	var all []domain.Observation
	var machines []rpc.Domain
	err := s.look("list machines", func() (err error) {
		machines, _, err = s.rpc.ConnectListAllDomains(1, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, one := range machines {
		key, ok := keyOf(one.Name)
		if !ok || key.Kind != domain.ThingMachine {
			continue
		}
		m, found, err := s.machine(key)
		if err != nil {
			return nil, err
		}
		if !found || !m.ours {
			continue
		}
		now, err := s.power(m)
		if is(err, rpc.ErrNoDomain) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, h.seenMachine(s.host, key, m, now))
	}

	var networks []rpc.Network
	err = s.look("list networks", func() (err error) {
		networks, _, err = s.rpc.ConnectListAllNetworks(1, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, one := range networks {
		key, ok := keyOf(one.Name)
		if !ok || key.Kind != domain.ThingNetwork {
			continue
		}
		o, err := h.observeNetwork(s, key)
		if err != nil {
			return nil, err
		}
		if o.Phase != domain.ThingAbsent {
			all = append(all, o)
		}
	}

	volumes, err := s.volumesThat(func(name string) bool { return strings.HasPrefix(name, "kbnt-") }, func(vol) bool { return true })
	if err != nil {
		return nil, err
	}
	for _, v := range volumes {
		all = append(all, seenVolume(s.host, v))
	}
	return all, nil
}
