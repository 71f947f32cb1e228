package application

import (
	"maps"
	"slices"

	"kbnt.dev/virtualization/domain"
)

// A plan drives one resource to one state, in tasks taken in order. It is made
// anew by every delivery, from what the store says: every task is idempotent,
// so what is done already is found done.
type task struct {
	name string              // in the history: "volume-created"
	want *domain.Desired     // to be ensured; or
	gone *domain.Key         // to be deleted; or
	wait *domain.Key         // somebody else's, to be waited for
	till []domain.ThingPhase // phases that end the task
	once bool                // not repeated when the history has it: a restart stops once
}

// machineCreated is the task at whose end a new machine answers.
const machineCreated = "machine-created"

// Keys of the things that make up a resource.
func machineKey(r *domain.Resource) domain.Key {
	return domain.Key{Resource: r.UID, Kind: domain.ThingMachine}
}
func volumeKey(r *domain.Resource) domain.Key {
	return domain.Key{Resource: r.UID, Kind: domain.ThingVolume}
}
func networkKey(uid string) domain.Key { return domain.Key{Resource: uid, Kind: domain.ThingNetwork} }

// planFor makes the plan from what the resource is to its destination.
func planFor(q *domain.Request, r *domain.Resource) []task {
	if q.Destination() == domain.Absent {
		return unmake(r)
	}
	switch {
	case r.Kind == domain.Volume:
		return []task{{name: "volume-created", want: volume(r), till: ready}}
	case r.Kind == domain.Network:
		return []task{{name: "network-created", want: network(r), till: ready}}
	case q.Type == domain.RestartMachine && q.Goal == domain.ToTarget:
		return []task{
			{name: "machine-stopped", want: machine(r, false), till: stopped, once: true},
			{name: "machine-started", want: machine(r, true), till: ready},
		}
	case q.Destination() == domain.Stopped:
		return []task{{name: "machine-stopped", want: machine(r, false), till: stopped}}
	case q.Type != domain.CreateMachine:
		return []task{{name: "machine-started", want: machine(r, true), till: ready}}
	}
	var plan []task
	if r.NetworkUID != "" {
		key := networkKey(r.NetworkUID)
		plan = append(plan, task{name: "network-attached", wait: &key, till: ready})
	}
	return append(plan,
		task{name: "volume-created", want: volume(r), till: ready},
		task{name: machineCreated, want: machine(r, true), till: ready})
}

// unmake deletes what a resource consists of, last first. A key of a thing that
// was never made costs one look.
func unmake(r *domain.Resource) []task {
	gone := func(name string, k domain.Key) task {
		return task{name: name, gone: &k, till: []domain.ThingPhase{domain.ThingAbsent}}
	}
	switch r.Kind {
	case domain.Machine:
		return []task{gone("machine-deleted", machineKey(r)), gone("volume-deleted", volumeKey(r))}
	case domain.Volume:
		return []task{gone("volume-deleted", volumeKey(r))}
	}
	return []task{gone("network-deleted", networkKey(r.UID))}
}

var (
	ready   = []domain.ThingPhase{domain.ThingReady}
	stopped = []domain.ThingPhase{domain.ThingStopped}
)

func desired(r *domain.Resource, k domain.Key) *domain.Desired {
	return &domain.Desired{Key: k, Tenant: r.Tenant, VirtualID: r.VirtualID, Labels: maps.Clone(r.Labels), Host: r.Placement.Host, Spec: r.Spec.Clone()}
}

func machine(r *domain.Resource, on bool) *domain.Desired {
	d := desired(r, machineKey(r))
	d.On, d.Root = on, volumeKey(r)
	d.Network, d.VLAN, d.Address, d.Gateway = r.Placement.Segment, r.Placement.VLAN, r.Placement.Address, r.Placement.Gateway
	if r.NetworkUID != "" {
		d.Network = networkKey(r.NetworkUID).Name()
	}
	return d
}

func volume(r *domain.Resource) *domain.Desired {
	d := desired(r, volumeKey(r))
	if m := d.Spec.Machine; m != nil { // the root volume of a machine
		d.Image = m.Image
		d.Spec = domain.Specification{Volume: &domain.VolumeSpec{Size: m.Disk, Type: m.DiskType}}
	}
	return d
}

func network(r *domain.Resource) *domain.Desired {
	d := desired(r, networkKey(r.UID))
	d.VLAN, d.Gateway = r.Placement.VLAN, r.Placement.Gateway
	return d
}

func (t task) done(o domain.Observation) bool { return slices.Contains(t.till, o.Phase) }

// key names the thing the task is about.
func (t task) key() domain.Key {
	switch {
	case t.want != nil:
		return t.want.Key
	case t.gone != nil:
		return *t.gone
	}
	return *t.wait
}

// needs says what has to be claimed before the plan of a new resource begins.
func needs(r *domain.Resource) domain.Need {
	n := domain.Need{Resource: r.UID, Group: r.Labels["kbnt.dev/keep-apart"]}
	if n.Group != "" {
		n.Group = r.Tenant + "/" + n.Group
	}
	switch {
	case r.Spec.Machine != nil:
		n.Cores, n.Memory, n.Disk, n.DiskType = r.Spec.Machine.Cores, r.Spec.Machine.Memory, r.Spec.Machine.Disk, r.Spec.Machine.DiskType
	case r.Spec.Volume != nil:
		n.Disk, n.DiskType, n.IOPS = r.Spec.Volume.Size, r.Spec.Volume.Type, r.Spec.Volume.IOPS
	}
	return n
}
