package application

import (
	"context"
	"fmt"

	"kbnt.dev/virtualization/domain"
)

// claim reserves what a new resource needs of finite pools: a host with room, an
// address, a VLAN. It is transaction P2s of the first tasks, under the fence; a
// resource that has its claims keeps them.
func (p *Provision) claim(ctx context.Context, h *hold) error {
	caps, err := p.Hypervisor.Capabilities(ctx)
	if err != nil {
		return fmt.Errorf("ask the hypervisor what it has: %w", err)
	}
	h.driver = caps.Driver
	r := h.resource
	hosts := caps.Hosts
	if r.Kind == domain.Network {
		hosts = nil // a network is everywhere
	}
	placed := r.Placement.Host != "" || len(hosts) == 0
	addressed := r.Kind != domain.Machine || r.Placement.Address.IsValid()
	tagged := r.Kind != domain.Network || h.has(domain.InPlan("vlan-claimed"))
	if placed && addressed && tagged {
		return nil
	}

	var pools []string
	for _, host := range hosts {
		pools = append(pools, domain.HostPool(host.Name))
	}
	addresses := domain.AddressPool(r.Placement.Segment+r.NetworkUID, r.Placement.Subnet)
	if !addressed {
		pools = append(pools, addresses)
	}
	if !tagged {
		pools = append(pools, domain.VLANPool)
	}
	started := p.Clock()
	var have *domain.Resource
	err = p.keep(ctx, h, Scope{Pools: pools}, func(w *Work) error {
		r := w.Resource
		if !placed {
			host, why, claims, err := domain.Place(hosts, w.Pools, needs(r))
			if err != nil {
				return err
			}
			w.Claim(claims...)
			r.Placement.Host, r.Placement.Why = host, why
			w.Note(
				domain.NewStep(domain.InPlan("placed"), w.Now, p.Clock().Sub(started), map[string]any{"host": host, "why": why}),
				domain.NewStep(domain.InPlan("reserved"), w.Now, 0, reservation(needs(r))))
		}
		if !addressed {
			c, err := domain.ClaimAddress(addresses, r.Placement.Subnet, r.Placement.Gateway, w.Pools[addresses], r.UID, w.Now)
			if err != nil {
				return err
			}
			w.Claim(c)
			r.Placement.Address = addressOf(c, r.Placement.Subnet)
			w.Note(domain.NewStep(domain.InPlan("addressed"), w.Now, 0, map[string]any{
				"address": r.Placement.Address.String(), "mac": machineKey(r).MAC(), "network": r.Placement.Segment}))
		}
		if !tagged {
			c, err := domain.ClaimVLAN(r.Placement.VLAN, w.Pools[domain.VLANPool], r.UID)
			if err != nil {
				return err
			}
			w.Claim(c)
			w.Note(domain.NewStep(domain.InPlan("vlan-claimed"), w.Now, p.Clock().Sub(started), map[string]any{"vlan": r.Placement.VLAN}))
		}
		have = r.Clone()
		return nil
	})
	if err == nil {
		h.resource = have
	}
	return err
}

func reservation(n domain.Need) map[string]any {
	m := map[string]any{}
	if n.Cores > 0 {
		m["cpu"] = n.Cores
	}
	if n.IOPS > 0 {
		m["iops"] = n.IOPS
	}
	if n.Memory > 0 {
		m["memory"] = n.Memory.String()
	}
	if n.Disk > 0 {
		m["disk"] = n.Disk.String() + " " + string(n.DiskType)
	}
	return m
}
