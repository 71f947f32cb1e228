package postgres

import (
	"context"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// tenancy is what admission is shown, and the number that its request gets.
type tenancy struct {
	application.Tenancy
	seq int64
}

// Admit implements [application.Store].
func (s *Store) Admit(ctx context.Context, scope application.AdmitScope, decide func(*application.Tenancy) error) error {
	return s.admissions.transact(ctx, "Admit", hash(scope.Tenant), scope, admitting(decide))
}

// admitting is a decision with what it means for the store.
func admitting(decide func(*application.Tenancy) error) func(*tenancy) (choice, error) {
	return func(t *tenancy) (choice, error) {
		now, target := t.Now, ""
		if t.Target != nil {
			target = t.Target.UID
		}
		if err := decide(&t.Tenancy); err != nil || t.Admitted == nil {
			return choice{}, err
		}
		a := t.Admitted
		switch {
		case a.Request == nil || a.Resource == nil:
			return choice{}, refuse("Admit", domain.Internal, "an admission needs a request and a resource")
		case !a.New && a.Resource.UID != target:
			return choice{}, refuse("Admit", domain.Conflict, "the resource "+a.Resource.UID+" is not the one that was looked at")
		}
		return choice{writes: admission(a, t.seq, now), effect: effectOf(a)}, nil
	}
}

// admission is what an admission adds to the store, as rows.
func admission(a *application.Admission, seq int64, now time.Time) *writes {
	all := new(writes)
	if is := resourceRow(a.Resource); a.New {
		all.add(addResources, is.all()...)
	} else {
		all.add(rewriteResources, is.all(a.Resource.UID)[1:]...)
	}
	all.add(addRequests, append([]any{seq}, requestRow(a.Request).all()...)...)
	places := map[domain.StepName]int{}
	for n, step := range a.Steps {
		places[step.Name] = n
	}
	all[addSteps] = stepRows(seq, a.Steps, func(name domain.StepName) int { return places[name] })
	all.add(addEvents, append([]any{seq, stamp(now)}, eventRow(a.Event)...)...)
	return all
}

// admitted is what an admission did to what others of its batch may look at.
type admitted struct {
	tenant, requestID string
	uid, virtualID    string
	name, network     string // the client's name, and the network's uid; may be empty
	usage             domain.Usage
	machineOf         int64 // day it was made on, since 1970; -1 when none was
	lane              domain.Priority
	unfinished        bool
	networkItself     *domain.Resource // when it is one
}

func effectOf(a *application.Admission) admitted {
	r, v := a.Request, a.Resource
	e := admitted{tenant: v.Tenant, requestID: r.ID, uid: v.UID, virtualID: v.VirtualID, name: v.ClientName, network: v.NetworkUID,
		machineOf: -1, lane: r.Priority, unfinished: r.Unfinished()}
	if a.New && v.Live {
		e.usage = domain.UsageOf(v.Spec, v.Cost)
	}
	if a.New && v.Kind == domain.Machine {
		e.machineOf = dayOf(v.CreatedAt)
	}
	if e.unfinished {
		e.usage.InFlight++
	}
	if v.Kind == domain.Network && v.Live {
		e.networkItself = v.Clone()
		for _, t := range []*time.Time{&e.networkItself.CreatedAt, &e.networkItself.UpdatedAt, &e.networkItself.Lease.Until} {
			*t = cut(*t)
		}
	}
	return e
}

// dayOf is the number of a day in UTC, from 0 on 1 January 1970.
func dayOf(t time.Time) int64 { return t.Unix() / int64((24 * time.Hour).Seconds()) }
