package kubevirt

import (
	"context"
	"errors"
	"iter"

	"kbnt.dev/virtualization/domain"
)

// List reads the machines, volumes and networks of ours, a page at a time. Machines are
// seen without asking what runs of them, so that a list costs one call per page: one
// that runs is Starting. An error ends it; a list that took so long that the cluster
// forgot its place is Unavailable, and has to begin anew.
func (h *Hypervisor) List(ctx context.Context) iter.Seq2[domain.Observation, error] {
	return func(yield func(domain.Observation, error) bool) {
		fail := func(err error) { yield(domain.Observation{}, annotate("kubevirt.List", looking(err))) }
		for vm, err := range list[virtualMachine](ctx, h, machines()) {
			if err != nil {
				fail(err)
				return
			}
			if key, ok := h.keyOf(vm.Meta); ok && h.ours(vm.Meta, key) && !yield(h.listed(key, vm), nil) {
				return
			}
		}
		for d, err := range list[dataVolume](ctx, h, imports()) {
			if errors.Is(err, errNoAPI) {
				break // there is no CDI
			}
			if err != nil {
				fail(err)
				return
			}
			if more, err := h.yieldVolume(ctx, volume{imported: &d}, yield); err != nil {
				fail(err)
				return
			} else if !more {
				return
			}
		}
		for c, err := range list[claim](ctx, h, claims()) {
			if err != nil {
				fail(err)
				return
			}
			if _, made := c.Meta.ownedBy(imports()); made {
				continue // its DataVolume was listed
			}
			if more, err := h.yieldVolume(ctx, volume{claim: &c}, yield); err != nil {
				fail(err)
				return
			} else if !more {
				return
			}
		}
		for a, err := range list[attachment](ctx, h, networks()) {
			if err != nil {
				fail(err)
				return
			}
			if key, ok := h.keyOf(a.Meta); ok && h.ours(a.Meta, key) && !yield(h.seeNetwork(key, a), nil) {
				return
			}
		}
	}
}

func (h *Hypervisor) yieldVolume(ctx context.Context, v volume, yield func(domain.Observation, error) bool) (more bool, err error) {
	m := v.main()
	key, ok := h.keyOf(*m)
	if !ok || !h.ours(*m, key) {
		return true, nil
	}
	o, err := h.seeVolume(ctx, key, v)
	if err != nil {
		return false, err
	}
	return yield(o, nil), nil
}

// listed is what a machine shows of itself.
func (h *Hypervisor) listed(key domain.Key, vm virtualMachine) domain.Observation {
	o := observed(key, vm.Meta)
	o.Phase, o.Reason, o.Message = machinePhase(&vm, nil)
	if p, known := vm.printed(); known && o.Phase != domain.ThingDeleting && vm.Spec.Run != halted && o.Phase != domain.ThingFailed {
		o.Phase = p
	}
	return o
}
