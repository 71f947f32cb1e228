package libvirt

import (
	"errors"
	"fmt"
	"slices"

	rpc "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"kbnt.dev/virtualization/domain"
)

// A card of a machine can refer to one nwfilter, so the groups of a machine are put
// together in a filter of its own, of the machine's name. What a group lets through is
// the operator's filter.

// filters are the operator's filters for the groups of a machine. Invalid: a group
// is not on offer, or the host has no filters.
func (h *Hypervisor) filters(s *session, want domain.Desired) ([]string, error) {
	var names []string
	for _, group := range want.Spec.Machine.SecurityGroups {
		name, ok := h.options.SecurityGroups[group]
		if !ok {
			return nil, &domain.Error{Kind: domain.Invalid, Code: "unknown-security-group", Detail: fmt.Sprintf("there is no security group %q on these hosts", group)}
		}
		err := s.look("look up filter "+name, func() error { _, err := s.rpc.NwfilterLookupByName(name); return err })
		switch {
		case is(err, rpc.ErrNoNwfilter):
			return nil, absent("security group")
		case is(err, rpc.ErrNoSupport):
			return nil, &domain.Error{Kind: domain.Invalid, Code: "no-security-groups", Detail: "the host has no packet filter for security groups", Err: err}
		case err != nil:
			return nil, err
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// ensureFilter makes the filter of a machine; the same again changes nothing.
func (s *session) ensureFilter(machine domain.Key, filters []string) error {
	f := libvirtxml.NWFilter{Name: machine.Name(), UUID: domain.Key{Resource: machine.Resource, Kind: "filter", Item: machine.Item}.UUID()}
	for _, name := range filters {
		f.Entries = append(f.Entries, libvirtxml.NWFilterEntry{Ref: &libvirtxml.NWFilterRef{Filter: name}})
	}
	document, err := f.Marshal()
	if err != nil {
		return fmt.Errorf("write filter of %s: %w", machine.Name(), err)
	}
	return s.change("define filter", func() error { _, err := s.rpc.NwfilterDefineXML(document); return err })
}

// removeFilter takes the filter of a machine away, if it has one.
func (s *session) removeFilter(key domain.Key, m machine) error {
	if m.xml.Devices == nil || !slices.ContainsFunc(m.xml.Devices.Interfaces, func(i libvirtxml.DomainInterface) bool { return i.FilterRef != nil }) {
		return nil
	}
	var f rpc.Nwfilter
	err := s.look("look up filter", func() (err error) {
		f, err = s.rpc.NwfilterLookupByName(key.Name())
		return err
	})
	if err == nil {
		err = s.change("undefine filter", func() error { return s.rpc.NwfilterUndefine(f) })
	}
	if errors.Is(err, rpc.ErrUnsupported) || is(err, rpc.ErrNoNwfilter) {
		return nil
	}
	return err
}
