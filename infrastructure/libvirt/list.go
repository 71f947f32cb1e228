package libvirt

import (
	"strconv"
	"strings"
	"time"

	rpc "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

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
		o := seenVolume(s.host, v)
		if o.CreatedAt, err = s.written(v); is(err, rpc.ErrNoStorageVol) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

// written is when a volume was last written to, at the host's clock, which is not before it was made; zero if the
// host does not say. A pool of files shows what it knew when it was last refreshed.
func (s *session) written(v vol) (time.Time, error) {
	var document string
	err := s.look("look up volume", func() (err error) {
		document, err = s.rpc.StorageVolGetXMLDesc(v.StorageVol, 0)
		return err
	})
	var shown libvirtxml.StorageVolume
	if err == nil {
		err = shown.Unmarshal(document)
	}
	if err != nil || shown.Target == nil || shown.Target.Timestamps == nil {
		return time.Time{}, err
	}
	return sinceEpoch(shown.Target.Timestamps.Mtime), nil
}

// sinceEpoch reads a time as libvirt writes it: "1355236900.012345678", or without the fraction. Zero: it is none.
func sinceEpoch(text string) time.Time {
	whole, _, _ := strings.Cut(text, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || seconds <= 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}
