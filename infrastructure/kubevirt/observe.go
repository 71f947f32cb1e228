package kubevirt

import (
	"context"

	"kbnt.dev/virtualization/domain"
)

// Observe looks at one thing, in one round trip. A foreign one is Absent, with the
// reason "Foreign": there is none of ours. Unavailable: the cluster did not answer, or
// ctx ended; it changes nothing, so the code is "try-again".
func (h *Hypervisor) Observe(ctx context.Context, key domain.Key) (domain.Observation, error) {
	o, err := h.observe(ctx, key)
	if err != nil {
		return domain.Observation{}, annotate("kubevirt.Observe", looking(err))
	}
	return o, nil
}

func (h *Hypervisor) observe(ctx context.Context, key domain.Key) (domain.Observation, error) {
	if err := checkKey(key); err != nil {
		return domain.Observation{}, err
	}
	switch key.Kind {
	case domain.ThingMachine:
		vm, vmi, err := h.machine(ctx, key)
		if err != nil {
			return domain.Observation{}, err
		}
		return h.seeMachine(ctx, key, vm, vmi), nil
	case domain.ThingVolume:
		v, err := h.volume(ctx, key)
		if err != nil {
			return domain.Observation{}, err
		}
		return h.seeVolume(ctx, key, v)
	}
	var a attachment
	found, err := h.get(ctx, networks(), h.namespace, key.Name(), &a)
	switch {
	case err != nil:
		return domain.Observation{}, err
	case !found:
		return domain.Observation{Key: key, Phase: domain.ThingAbsent}, nil
	case !h.ours(a.Meta, key):
		return alien(key), nil
	}
	return h.seeNetwork(key, a), nil
}

// machine looks for a machine and for what runs of it, at a time. What runs under its
// name and belongs to another machine is not shown as its own.
func (h *Hypervisor) machine(ctx context.Context, key domain.Key) (vm *virtualMachine, vmi *instance, err error) {
	vm, vmi = new(virtualMachine), new(instance)
	var exists, runs bool
	err = both(
		func() (err error) { exists, err = h.get(ctx, machines(), h.namespace, key.Name(), vm); return err },
		func() (err error) { runs, err = h.get(ctx, instances(), h.namespace, key.Name(), vmi); return err })
	if uid, _ := vmi.Meta.ownedBy(machines()); !runs || exists && uid != vm.Meta.UID {
		vmi = nil
	}
	if !exists {
		vm = nil
	}
	return vm, vmi, err
}

// seeMachine is what a machine shows. One that runs is asked for its health.
func (h *Hypervisor) seeMachine(ctx context.Context, key domain.Key, vm *virtualMachine, vmi *instance) domain.Observation {
	switch {
	case vm == nil && vmi != nil && h.ours(vmi.Meta, key):
		o := observed(key, vmi.Meta)
		o.Phase = domain.ThingDeleting
		return o
	case vm == nil:
		return domain.Observation{Key: key, Phase: domain.ThingAbsent}
	case !h.ours(vm.Meta, key):
		return alien(key)
	}
	o := observed(key, vm.Meta)
	o.Phase, o.Reason, o.Message = machinePhase(vm, vmi)
	if vmi == nil || o.Phase == domain.ThingDeleting {
		return o
	}
	o.Host = vmi.Seen.Node
	for _, t := range vmi.Seen.Transitions {
		if t.Phase == "Running" {
			o.PoweredAt = t.At
		}
	}
	if o.Phase == domain.ThingStarting {
		h.health(ctx, &o, vm, vmi)
	}
	return o
}

// observed is what every object of ours shows.
func observed(key domain.Key, m meta) domain.Observation {
	return domain.Observation{Key: key, ProviderID: m.UID, SpecHash: m.Annotations[withHash], CreatedAt: m.Created}
}

// alien is what is seen of an object of somebody else.
func alien(key domain.Key) domain.Observation {
	return domain.Observation{Key: key, Phase: domain.ThingAbsent, Reason: "Foreign"}
}
