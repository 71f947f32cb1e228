package application

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"kbnt.dev/virtualization/domain"
)

// drive is P2: it takes the tasks of the plan in order until the hypervisor was
// observed at the destination. It is not a transaction; every finished task is
// recorded under the fence. All calls end with the budget of the lease.
//
// nil: the destination was observed. "not-ready": under way. Other Unavailable
// and Internal errors: trouble. Anything else is final.
func (p *Provision) drive(ctx context.Context, h *hold) error {
	ctx, cancel := context.WithTimeout(ctx, h.until.Sub(p.Clock()))
	defer cancel()
	forward := h.request.Goal == domain.ToTarget
	if h.request.Type.Creates() && forward {
		if err := p.claim(ctx, h); err != nil {
			return err
		}
	}
	patience := p.Clock().Add(p.Patience)
	for _, t := range planFor(h.request, h.resource) {
		if t.once && h.has(domain.InPlan(t.name)) {
			continue
		}
		started := p.Clock()
		seen, err := p.attempt(ctx, h, t, patience)
		if err != nil {
			return err
		}
		h.see(t, seen)
		if !forward {
			continue // an undo is told once, when it is complete
		}
		if err := p.record(ctx, h, t, seen, p.Clock().Sub(started)); err != nil {
			return err
		}
	}
	return nil
}

// attempt acts once and then looks until the task is done or patience ends.
func (p *Provision) attempt(ctx context.Context, h *hold, t task, patience time.Time) (domain.Observation, error) {
	if t.wait != nil {
		if err := p.network(ctx, h); err != nil {
			return domain.Observation{}, err
		}
	}
	seen, err := p.act(ctx, t)
	looked := p.Clock()
	for {
		switch {
		case t.gone != nil && err != nil && domain.KindOf(err) == domain.Conflict:
			return domain.Observation{Key: *t.gone, Phase: domain.ThingAbsent}, nil // somebody else's: ours is not there
		case err != nil && domain.KindOf(err) == domain.NotFound:
			return seen, p.missing(ctx, h, err)
		case err != nil:
			return seen, fmt.Errorf("%s: %w", t.name, err)
		case t.done(seen):
			return seen, nil
		case seen.Phase == domain.ThingFailed && t.gone == nil:
			return seen, &domain.Error{Op: t.name, Kind: domain.Invalid, Code: "hypervisor-failed", Detail: strings.TrimSpace("the hypervisor gave up: " + seen.Reason), Err: fmt.Errorf("%s", seen.Message)}
		case seen.Phase == domain.ThingAbsent && t.wait != nil:
			return seen, p.missing(ctx, h, notReady("waits for its network"))
		}
		pause := p.Poll
		if seen.RetryAfter > 0 {
			pause = min(max(seen.RetryAfter, p.Poll/10), time.Second)
		}
		if p.Clock().Add(pause).After(patience) || !sleep(ctx, pause) {
			return seen, notReady(fmt.Sprintf("%s: %s", t.name, seen.Phase))
		}
		if now := p.Clock(); now.Sub(looked) >= time.Second {
			looked = now
			if !p.wanted(ctx, h) {
				return seen, errLost
			}
		}
		seen, err = p.Hypervisor.Observe(ctx, t.key())
		if err != nil && errors.Is(ctx.Err(), context.Canceled) { // this process ends; a look has no effect
			return seen, notReady("the delivery was cut off")
		}
	}
}

// wanted reports whether the goal is still the one driven to: a delivery that
// waits must not let a cancel wait as long. Trouble with the store is no answer.
func (p *Provision) wanted(ctx context.Context, h *hold) bool {
	r, err := p.Records.Request(ctx, h.request.Tenant, h.request.ID)
	return err != nil || r.Request.Goal == h.request.Goal
}

// act is the one call of a task that may have an effect.
func (p *Provision) act(ctx context.Context, t task) (domain.Observation, error) {
	switch {
	case t.want != nil:
		return p.Hypervisor.Ensure(ctx, *t.want)
	case t.gone != nil:
		return p.Hypervisor.Delete(ctx, *t.gone)
	}
	return p.Hypervisor.Observe(ctx, *t.wait)
}

// network returns nil when the tenant's own network of a machine is settled.
// Being ready on the hypervisor is not enough: until its request is decided it
// can still be cancelled, and would be undone under the machine. From then on
// only a deletion can take it, and that is refused while a machine is on it.
func (p *Provision) network(ctx context.Context, h *hold) error {
	networks, err := p.Records.Resources(ctx, h.request.Tenant, ResourceFilter{Kind: domain.Network, Limit: 100})
	if err != nil {
		return err
	}
	for _, n := range networks {
		if n.UID == h.resource.NetworkUID && n.State == domain.Active {
			return nil
		}
	}
	return p.missing(ctx, h, notReady("waits for its network"))
}

// missing decides what it means that something needed is not there: the
// tenant's own network may still be in the making, else it will never be.
func (p *Provision) missing(ctx context.Context, h *hold, cause error) error {
	if uid := h.resource.NetworkUID; uid != "" {
		standing, err := p.Agenda.Standing(ctx, []string{uid})
		if err != nil {
			return err
		}
		if standing[uid] {
			return notReady("waits for its network")
		}
		return &domain.Error{Op: "provision", Kind: domain.Invalid, Code: "network-gone", Detail: "the network of the machine was not made or is deleted", Err: cause}
	}
	return &domain.Error{Op: "provision", Kind: domain.Invalid, Code: "dependency-missing", Detail: "something the resource needs does not exist", Err: cause}
}

// sleep waits, and reports false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// has reports whether the history has that line.
func (h *hold) has(name domain.StepName) bool {
	for _, s := range h.steps {
		if s.Name == name {
			return true
		}
	}
	return false
}

// see keeps what was observed of the resource's own things for the decision.
func (h *hold) see(t task, seen domain.Observation) {
	if t.want != nil && seen.Key.Kind == mainThing(h.resource.Kind) {
		h.seen = seen
	}
}

func mainThing(k domain.ResourceKind) domain.ThingKind {
	return map[domain.ResourceKind]domain.ThingKind{
		domain.Machine: domain.ThingMachine, domain.Volume: domain.ThingVolume, domain.Network: domain.ThingNetwork}[k]
}

// record is transaction P2s: a finished task becomes a line of the history.
func (p *Provision) record(ctx context.Context, h *hold, t task, seen domain.Observation, took time.Duration) error {
	if h.has(domain.InPlan(t.name)) {
		return nil // known since an earlier delivery
	}
	return p.keep(ctx, h, Scope{}, func(w *Work) error {
		w.Note(domain.NewStep(domain.InPlan(t.name), w.Now, took, map[string]any{
			"host": seen.Host, "providerId": seen.ProviderID, "phase": string(seen.Phase)}))
		if t.name == machineCreated {
			noteGuest(w, seen)
		}
		return nil
	})
}

// noteGuest writes the steps of the plan that a machine brings along: it was made
// with its security groups, and cloud-init has installed the monitoring agent
// when the guest answers.
func noteGuest(w *Work, seen domain.Observation) {
	if groups := w.Request.Spec.Machine.SecurityGroups; len(groups) > 0 {
		w.Note(domain.NewStep(domain.InPlan("security-groups-applied"), w.Now, 0, map[string]any{"groups": groups}))
	}
	for _, c := range seen.Checks {
		if c.Name == domain.CheckGuest && c.Passed {
			w.Note(domain.NewStep(domain.InPlan("agent-installed"), w.Now, 0, map[string]any{"by": "cloud-init", "simulated": c.Simulated}))
		}
	}
}
