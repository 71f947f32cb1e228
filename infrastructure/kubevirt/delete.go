package kubevirt

import (
	"context"

	"kbnt.dev/virtualization/domain"
)

// Delete asks the cluster to take a thing away, exactly the one that it saw. A foreign
// one is a Conflict and stays. Called again it says Deleting until the thing has gone.
// When ctx ends it returns Unavailable.
//
// A volume that a machine uses stays until the machine has gone; the cluster sees to that.
func (h *Hypervisor) Delete(ctx context.Context, key domain.Key) (domain.Observation, error) {
	o, err := h.delete(ctx, key)
	if err != nil {
		return domain.Observation{}, annotate("kubevirt.Delete", looking(err))
	}
	return o, nil
}

func (h *Hypervisor) delete(ctx context.Context, key domain.Key) (domain.Observation, error) {
	if err := checkKey(key); err != nil {
		return domain.Observation{}, err
	}
	k, m, left, err := h.find(ctx, key)
	switch {
	case err != nil:
		return domain.Observation{}, err
	case m == nil && !left:
		return domain.Observation{Key: key, Phase: domain.ThingAbsent}, nil
	case m != nil && !h.ours(*m, key):
		return domain.Observation{}, foreign()
	case m != nil && m.Deleting == nil:
		if err := h.remove(ctx, k, *m); err != nil {
			return domain.Observation{}, err
		}
	}
	o := domain.Observation{Key: key}
	if m != nil {
		o = observed(key, *m)
	}
	o.Phase = domain.ThingDeleting
	return o, nil
}

// find looks for the object to delete. left: it has gone, and the cluster is about to
// take what belonged to it.
func (h *Hypervisor) find(ctx context.Context, key domain.Key) (k kind, m *meta, left bool, err error) {
	switch key.Kind {
	case domain.ThingMachine:
		vm, vmi, err := h.machine(ctx, key)
		if vm != nil {
			m = &vm.Meta
		}
		return machines(), m, vmi != nil && h.ours(vmi.Meta, key), err
	case domain.ThingVolume:
		v, err := h.volume(ctx, key)
		if v.left() {
			return claims(), nil, true, err
		}
		if v.imported != nil {
			return imports(), v.main(), false, err
		}
		return claims(), v.main(), false, err
	}
	var a attachment
	found, err := h.get(ctx, networks(), h.namespace, key.Name(), &a)
	if found {
		m = &a.Meta
	}
	return networks(), m, false, err
}
