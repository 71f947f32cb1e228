package simulated

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"kbnt.dev/virtualization/domain"
)

// Ensure makes a thing, or adopts it and gives it the power wanted. Errors are
// those of the port, with the codes of the package comment. Called twice it finds
// what it made. When ctx ends it returns Unavailable; what was claimed until then
// is found by the next call.
func (h *Hypervisor) Ensure(ctx context.Context, want domain.Desired) (domain.Observation, error) {
	var seen domain.Observation
	err := h.check(want)
	if err == nil {
		err = retry(ctx, func() (err error) {
			seen, err = h.ensure(ctx, want)
			return err
		})
	}
	if err != nil {
		return domain.Observation{}, annotate("simulated.Ensure", err)
	}
	return seen, nil
}

func (h *Hypervisor) ensure(ctx context.Context, want domain.Desired) (domain.Observation, error) {
	t, generation, err := h.thing(ctx, want.Key)
	if err != nil {
		return domain.Observation{}, err
	}
	now := h.now()
	switch {
	case t.foreign():
		return domain.Observation{}, taken("foreign", "the name belongs to somebody else")
	case t.gone(now):
		t = thing{}
	case !t.Gone.IsZero():
		return domain.Observation{}, busy("deleting", "the thing before it is being deleted")
	case t.made() && t.Hash != want.Hash():
		return domain.Observation{}, taken("spec-differs", "it exists with another specification")
	case t.made() && h.down(t.Host):
		return domain.Observation{}, busy("host-down", "the host is down")
	}

	fault, unknown := parseFaults(h.faultWords(want.Key, want.Labels), want.Key.Kind)
	if t.missing() && len(unknown) > 0 {
		h.log.WarnContext(ctx, "unknown faults are ignored", "driver", driver, "thing", want.Key.Name(), "faults", unknown)
	}
	if t.Tried.Transient < fault.transient {
		t.Owner, t.Key, t.Tried.Transient = ours, want.Key, t.Tried.Transient+1
		if err := h.write(ctx, thingDocument(want.Key), t, generation); err != nil {
			return domain.Observation{}, err
		}
		return domain.Observation{}, h.inject(ctx, want.Key, "transient", answeredFault(t.Tried.Transient, fault.transient))
	}

	changed := true
	if t.made() {
		changed = h.power(&t, want.On, now, fault)
	} else if fault.refusal != "" {
		return domain.Observation{}, h.inject(ctx, want.Key, fault.refusal, refusals[fault.refusal])
	} else if err := h.create(ctx, &t, want, now, fault); err != nil {
		return domain.Observation{}, err
	}

	lost := t.Tried.Lost < fault.lost
	if lost {
		t.Tried.Lost++
	}
	if changed || lost {
		if err := h.write(ctx, thingDocument(want.Key), t, generation); err != nil {
			return domain.Observation{}, h.lostRace(ctx, err, t)
		}
	}
	if lost {
		return domain.Observation{}, h.inject(ctx, want.Key, "lost", unansweredFault(t.Tried.Lost, fault.lost))
	}
	return h.see(want.Key, t, now), nil
}

// create claims what a new thing needs and fills in its document. What was claimed
// is given back when it turns out that the thing cannot be made.
func (h *Hypervisor) create(ctx context.Context, t *thing, want domain.Desired, now time.Time, fault faults) error {
	due, prefer := now, ""
	mine := line{Name: want.Key.Name()}
	var err error
	switch spec := want.Spec; want.Key.Kind {
	case domain.ThingNetwork:
		if err := h.claimNetwork(ctx, want); err != nil {
			return err
		}
	case domain.ThingVolume:
		mine.Disk, mine.Type, mine.IOPS = spec.Volume.Size, spec.Volume.Type, spec.Volume.IOPS
	case domain.ThingMachine:
		mine.Cores, mine.Memory = spec.Machine.Cores, spec.Machine.Memory
		mine.Address = addressDocument(want.Network, want.Address.Addr())
		if due, prefer, err = h.needs(ctx, want, now); err != nil {
			return err
		}
		t.Network, t.Address, t.Memory = want.Network, want.Address.Addr().String(), spec.Machine.Memory
	}
	if want.Key.Kind != domain.ThingNetwork {
		if t.Host, err = h.place(ctx, want, mine, prefer); err != nil {
			return err
		}
	}
	if mine.Address != "" {
		if err := h.claimAddress(ctx, mine.Address, mine.Name); err != nil {
			if domain.KindOf(err) == domain.Conflict {
				err = errors.Join(err, h.release(ctx, hostLedger(t.Host), mine.Name, now, nil))
			}
			return err
		}
	}
	t.Owner, t.Key, t.Hash, t.ID = ours, want.Key, want.Hash(), providerID(want.Key, now)
	t.Fault = h.faultWords(want.Key, want.Labels)
	h.make(t, now, due, want.On, fault)
	return nil
}

// needs looks at what a machine depends on: when it is there, and where its root
// volume is. NotFound: it does not exist.
func (h *Hypervisor) needs(ctx context.Context, want domain.Desired, now time.Time) (due time.Time, host string, err error) {
	absent := func(what string) error {
		return &domain.Error{Kind: domain.NotFound, Code: "no-" + what, Detail: "the machine's " + what + " does not exist"}
	}
	root, _, err := h.thing(ctx, want.Root)
	if err != nil {
		return due, "", err
	}
	if root.foreign() || !root.made() || !root.Gone.IsZero() {
		return due, "", absent("volume")
	}
	due = root.Ready
	if strings.HasPrefix(want.Network, tenantNetwork) {
		network, err := h.network(ctx, want.Network)
		if err != nil {
			return due, "", err
		}
		if network.foreign() || !network.made() || !network.Gone.IsZero() {
			return due, "", absent("network")
		}
		due = later(due, network.Ready)
	}
	return later(now, due), root.Host, nil
}

// lostRace gives back what a thing claimed on a host when another call wrote the
// thing first, on another host.
func (h *Hypervisor) lostRace(ctx context.Context, err error, mine thing) error {
	if !errors.Is(err, errRaced) {
		return err
	}
	winner, _, readErr := h.thing(ctx, mine.Key)
	if readErr != nil {
		return readErr
	}
	if mine.Host != "" && winner.made() && winner.Host != mine.Host {
		if err := h.release(ctx, hostLedger(mine.Host), mine.Key.Name(), h.now(), nil); err != nil {
			return err
		}
	}
	return errRaced
}

// providerID tells two makings of the same key apart.
func providerID(key domain.Key, now time.Time) string {
	sum := sha256.Sum256([]byte(key.Name() + now.Format(time.RFC3339Nano)))
	return "sim-" + hex.EncodeToString(sum[:8])
}
