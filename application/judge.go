package application

import (
	"fmt"
	"net/netip"
	"slices"

	"kbnt.dev/virtualization/domain"
)

// judge evaluates every rule, in the order of the specification.
func (a *admission) judge(t *Tenancy) ([]domain.Ruling, domain.Money, error) {
	d := a.draft
	var target *domain.Resource
	if !d.Type.Creates() {
		target = t.Target
	}
	permitted := a.Permissions.Check(a.caller, d, target)
	if len(permitted) > 0 { // told alone, so that nobody learns more
		return nil, 0, domain.Refuse("submit", permitted)
	}
	broken := a.Offer.Check(d)
	if d.Type.Known() && !d.Type.Creates() && target == nil && len(broken) == 0 {
		return nil, 0, &domain.Error{Op: "submit", Kind: domain.NotFound, Code: "resource-not-found",
			Detail: "there is no such resource", Remedy: "list the resources at /api/v1/resources",
			Violations: []domain.Violation{{Pointer: "/virtualResourceId", Code: "resource-not-found", Detail: "names no live resource"}}}
	}
	var rulings []domain.Ruling
	var all []domain.Violation
	rule := func(name, values string, broken []domain.Violation) {
		rulings = append(rulings, domain.Ruling{Rule: name, Passed: len(broken) == 0, Values: values})
		all = append(all, broken...)
	}
	hourly := a.Offer.Prices.Hourly(d.Spec)
	more := domain.UsageOf(d.Spec, hourly)
	more.InFlight = 1
	quota := a.Offer.QuotaOf(a.caller.Tenant)
	have := t.Usage

	rule("specification", string(d.Type), append(broken, a.agree(t)...))
	rule("permission", fmt.Sprintf("%s as %v", a.caller.User, a.caller.Roles), permitted)
	rule("quota", fmt.Sprintf("machines %d of %d, vCPU %d of %d, memory %v of %v, storage %v of %v, networks %d of %d, in flight %d of %d",
		have.Machines, quota.Machines, have.Cores, quota.Cores, have.Memory, quota.Memory, have.Storage, quota.Storage,
		have.Networks, quota.Networks, have.InFlight, quota.InFlight), quota.Check(have, more))
	judged, err := a.Policies.Judge(a.caller, d, hourly)
	if err != nil {
		return nil, 0, fmt.Errorf("judge by policy: %w", err)
	}
	rule("policy", judged.Values, judged.Broken)
	rule("budget", fmt.Sprintf("%v and %v of %v per hour", have.Hourly, hourly, quota.Budget), quota.CheckBudget(have, more))
	return rulings, hourly, domain.Refuse("submit", all)
}

// agree evaluates the rules between a draft and what the tenant has.
func (a *admission) agree(t *Tenancy) []domain.Violation {
	d := a.draft
	conflict := func(pointer, code, format string, args ...any) []domain.Violation {
		return []domain.Violation{{Pointer: pointer, Code: code, Detail: fmt.Sprintf(format, args...), Kind: domain.Conflict}}
	}
	target, named := t.Target, "/virtualResourceId"
	if d.VirtualResourceID == "" {
		named = "/resourceId"
	}
	switch {
	case !d.Type.Known():
		return nil
	case d.Type.Creates():
		var broken []domain.Violation
		if target != nil {
			broken = conflict("/resourceId", "name-taken", "%q names the resource %s already; choose another name, or leave it out", d.ResourceID, target.VirtualID)
		}
		if m := d.Spec.Machine; m != nil && (m.Network.Mode != domain.ModeVLAN || m.Network.VLAN >= 1 && m.Network.VLAN <= 4094) {
			_, unattached := a.attach(t)
			broken = append(broken, unattached...)
		}
		if n := d.Spec.Network; n != nil {
			broken = append(broken, overlaps(*n, t.Networks)...)
		}
		return broken
	case target == nil:
		return nil
	case target.Kind != d.Type.Kind():
		return []domain.Violation{{Pointer: named, Code: "wrong-kind", Detail: fmt.Sprintf("%s is a %s", target.VirtualID, target.Kind)}}
	case target.Busy != "":
		return conflict(named, "busy", "request %s works on %s; wait until it has ended", t.Blocker, target.VirtualID)
	case !d.Type.StartsFrom(target.State):
		return conflict(named, "wrong-state", "%s is %s, which %s does not start from", target.VirtualID, target.State, d.Type)
	case d.Type == domain.DeleteNetwork && len(t.Users) > 0:
		return conflict(named, "in-use", "machines are on this network: %v; delete them first", t.Users)
	}
	return nil
}

func overlaps(n domain.NetworkSpec, have []*domain.Resource) []domain.Violation {
	var broken []domain.Violation
	for _, h := range have {
		if h.Spec.Network == nil {
			continue
		}
		if n.Subnet.IsValid() && h.Spec.Network.Subnet.Overlaps(n.Subnet) {
			broken = append(broken, domain.Violation{Pointer: "/specifications/subnet", Code: "overlap",
				Detail: fmt.Sprintf("%s overlaps %s of %s", n.Subnet, h.Spec.Network.Subnet, h.VirtualID)})
		}
		if h.Spec.Network.VLAN == n.VLAN {
			broken = append(broken, domain.Violation{Pointer: "/specifications/vlan", Code: "vlan-in-use",
				Detail: fmt.Sprintf("VLAN %d is that of %s", n.VLAN, h.VirtualID)})
		}
	}
	return broken
}

// attach finds the network of a machine: the tenant's own with that VLAN, which
// may still be in the making, else the operator's.
func (a *admission) attach(t *Tenancy) (domain.Placement, []domain.Violation) {
	want := a.draft.Spec.Machine.Network
	if want.Mode == domain.ModeVLAN {
		i := slices.IndexFunc(t.Networks, func(n *domain.Resource) bool { return n.Spec.Network != nil && n.Spec.Network.VLAN == want.VLAN })
		if i >= 0 {
			own := t.Networks[i]
			if own.State == domain.Deleting {
				return domain.Placement{}, []domain.Violation{{Pointer: "/specifications/network", Code: "busy", Kind: domain.Conflict,
					Detail: "the network " + own.VirtualID + " is being deleted"}}
			}
			return domain.Placement{Segment: want.Name, VLAN: want.VLAN, Subnet: own.Spec.Network.Subnet, Gateway: own.Spec.Network.Gateway}, nil
		}
		if !a.Offer.Segments.Offers(want.VLAN) {
			return domain.Placement{}, []domain.Violation{{Pointer: "/specifications/network", Code: "unknown-network",
				Detail: fmt.Sprintf("you have no network with VLAN %d, and the operator offers %d to %d; create one with %s first",
					want.VLAN, a.Offer.Segments.First, a.Offer.Segments.Last, domain.CreateNetwork)}}
		}
	}
	subnet := a.Offer.Segments.Subnet(want)
	name := want.Name
	if want.Mode == domain.ModeBridged {
		name = domain.ModeBridged
	}
	return domain.Placement{Segment: name, VLAN: want.VLAN, Subnet: subnet, Gateway: first(subnet)}, nil
}

func first(p netip.Prefix) netip.Addr {
	if !p.IsValid() {
		return netip.Addr{}
	}
	return p.Masked().Addr().Next()
}
