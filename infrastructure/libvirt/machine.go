package libvirt

import (
	"context"
	"fmt"

	rpc "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"kbnt.dev/virtualization/domain"
)

// machine is a domain on one host.
type machine struct {
	rpc.Domain
	xml    libvirtxml.Domain
	record record
	ours   bool
}

// machine looks a domain up. found: there is one of that name, perhaps not ours.
func (s *session) machine(key domain.Key) (m machine, found bool, err error) {
	var document string
	err = s.look("look up machine", func() error {
		if m.Domain, err = s.rpc.DomainLookupByName(key.Name()); err != nil {
			return err
		}
		document, err = s.rpc.DomainGetXMLDesc(m.Domain, 0)
		return err
	})
	if is(err, rpc.ErrNoDomain) {
		return machine{}, false, nil
	}
	if err == nil {
		err = m.xml.Unmarshal(document)
	}
	if err != nil {
		return machine{}, false, err
	}
	if m.xml.Metadata != nil {
		m.record, m.ours = recordOf(m.xml.Metadata.XML, key.Name())
	}
	return m, true, nil
}

// ensureMachine defines a machine, sees to what it needs, and gives it the power
// wanted. The definition comes first: it says what a deletion has to take away,
// however far this comes.
func (h *Hypervisor) ensureMachine(ctx context.Context, s *session, want domain.Desired) (domain.Observation, error) {
	m, found, err := s.machine(want.Key)
	switch {
	case err != nil:
		return domain.Observation{}, err
	case found && !m.ours:
		return domain.Observation{}, taken("foreign", "the name belongs to somebody else")
	case found && m.record.Hash != want.Hash():
		return domain.Observation{}, taken("spec-differs", "it exists with another specification")
	}
	now := nothing
	if found {
		if now, err = s.power(m); err != nil {
			return domain.Observation{}, err
		}
	}
	if !found || m.record.Powered == "" && !now.on() {
		if m, err = h.prepare(s, want, m, found); err != nil {
			return domain.Observation{}, err
		}
	}
	was := now
	switch {
	case want.On && !was.on():
		err = h.switchOn(s, &m)
	case want.On && m.record.Off != "":
		err = h.takeBack(s, &m)
	case !want.On && was.on():
		err = h.switchOff(s, &m)
	case !want.On && m.record.Powered != "" && m.record.Off == "":
		err = h.stayOff(s, &m, was)
	}
	if err == nil {
		now, err = s.power(m)
	}
	if err != nil {
		return domain.Observation{}, err
	}
	o := h.seenMachine(s.host, want.Key, m, now)
	if was.on() && examinable(o) { // one that was switched on just now is not ready yet
		h.examine(ctx, s, &o, m, now)
	}
	return o, nil
}

// prepare makes what a machine needs to be switched on, or finds it made. NotFound:
// its volume, its network or its image is not there. Conflict: its address is
// another's; the definition is taken back then.
func (h *Hypervisor) prepare(s *session, want domain.Desired, m machine, found bool) (machine, error) {
	entry, ok := h.options.Images[want.Spec.Machine.Image]
	if !ok {
		return m, absent("image")
	}
	filters, err := h.filters(s, want)
	if err != nil {
		return m, err
	}
	roots, err := s.volumes(want.Root)
	if err != nil {
		return m, err
	}
	if len(roots) == 0 {
		return m, absent("volume")
	}
	plugged, err := h.segment(s, want)
	if err != nil {
		return m, err
	}
	var seed []byte
	if !entry.NoCloudInit {
		if seed, err = h.seedImage(want, plugged); err != nil {
			return m, err
		}
	}
	if !found {
		m.record, m.ours = h.recordFor(want, entry, plugged, roots[0]), true
		if m, err = h.define(s, want, m.record, roots[0], plugged, filters); err != nil {
			return m, err
		}
	}
	if plugged.dhcp {
		err := s.reserve(plugged.network, want.Key, want.Address.Addr())
		if err != nil && domain.KindOf(err) == domain.Conflict && !found {
			if undo := s.undefine(m); undo != nil {
				return m, undo
			}
		}
		if err != nil {
			return m, err
		}
	}
	if len(filters) > 0 {
		if err := s.ensureFilter(want.Key, filters); err != nil {
			return m, err
		}
	}
	if seed != nil {
		return m, s.ensureSeed(m.record.Pool, want.Key, seed)
	}
	return m, nil
}

func (h *Hypervisor) recordFor(want domain.Desired, entry Image, plugged segment, root vol) record {
	r := record{
		Name: want.Key.Name(), Hash: want.Hash(), Tenant: want.Tenant, VirtualID: want.VirtualID, Created: h.options.Now().UTC().Round(0),
		Image: want.Spec.Machine.Image, SHA256: entry.SHA256, Address: want.Address.Addr(), Pool: root.Pool,
	}
	if plugged.dhcp {
		r.Segment = plugged.network.Name
	}
	return r
}

func (h *Hypervisor) define(s *session, want domain.Desired, r record, root vol, plugged segment, filters []string) (m machine, err error) {
	wanted, err := h.machineXML(s.host, want, r, root, plugged, filters)
	if err != nil {
		return m, err
	}
	document, err := wanted.Marshal()
	if err != nil {
		return m, fmt.Errorf("write %s: %w", r.Name, err)
	}
	m.xml, m.record, m.ours = *wanted, r, true
	err = s.change("define machine", func() (err error) {
		m.Domain, err = s.rpc.DomainDefineXML(document)
		return err
	})
	if is(err, rpc.ErrOperationFailed) { // the name or the UUID is another's
		if other, found, lookErr := s.machine(want.Key); lookErr == nil && found && !other.ours {
			return m, taken("foreign", "the name belongs to somebody else")
		}
	}
	return m, err
}

// removeMachine switches a machine off and takes away what was made for it, the
// definition last: until then another call finds what is left. The root volume stays.
func (h *Hypervisor) removeMachine(s *session, key domain.Key) error {
	m, found, err := s.machine(key)
	switch {
	case err != nil || !found:
		return err
	case !m.ours:
		return taken("foreign", "the name belongs to somebody else")
	}
	if err := s.cut(m); err != nil {
		return err
	}
	if m.record.Segment != "" {
		if err := s.release(m.record.Segment, key, m.record.Address); err != nil {
			return err
		}
	}
	if err := s.removeSeed(m.record.Pool, key); err != nil {
		return err
	}
	if err := s.removeFilter(key, m); err != nil {
		return err
	}
	return s.undefine(m)
}

// undefine takes a definition away, with what libvirt keeps beside it. Drivers that keep
// nothing refuse the flags.
func (s *session) undefine(m machine) error {
	err := s.change("undefine machine", func() error {
		return s.rpc.DomainUndefineFlags(m.Domain, rpc.DomainUndefineManagedSave|rpc.DomainUndefineSnapshotsMetadata|rpc.DomainUndefineCheckpointsMetadata|rpc.DomainUndefineNvram)
	})
	if is(err, rpc.ErrInvalidArg, rpc.ErrNoSupport, rpc.ErrArgumentUnsupported) {
		err = s.change("undefine machine", func() error { return s.rpc.DomainUndefineFlags(m.Domain, 0) })
	}
	if is(err, rpc.ErrNoDomain) {
		return nil
	}
	return err
}
