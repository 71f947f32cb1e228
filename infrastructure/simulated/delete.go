package simulated

import (
	"context"
	"time"

	"kbnt.dev/virtualization/domain"
)

// Delete gives back what a thing holds and lets it go, which takes a moment. It
// works from the key alone, so it also ends what was never quite made. Called
// again it changes nothing. Conflict ("foreign"): it is not ours. Unavailable: its
// host is down, the store did not answer or ctx ended; call it again.
func (h *Hypervisor) Delete(ctx context.Context, key domain.Key) (domain.Observation, error) {
	var seen domain.Observation
	err := retry(ctx, func() (err error) {
		seen, err = h.delete(ctx, key)
		return err
	})
	if err != nil {
		return domain.Observation{}, annotate("simulated.Delete", err)
	}
	return seen, nil
}

func (h *Hypervisor) delete(ctx context.Context, key domain.Key) (domain.Observation, error) {
	t, generation, err := h.thing(ctx, key)
	if err != nil {
		return domain.Observation{}, err
	}
	now := h.now()
	switch {
	case t.foreign():
		return domain.Observation{}, taken("foreign", "the name belongs to somebody else")
	case t.gone(now):
		return domain.Observation{Key: key, Phase: domain.ThingAbsent}, h.write(ctx, thingDocument(key), nil, generation)
	case h.down(t.Host):
		return domain.Observation{}, busy("host-down", "the host is down")
	case !t.Gone.IsZero():
		return h.see(key, t, now), nil
	}
	if fault, _ := parseFaults(t.Fault, key.Kind); t.Tried.Delete < fault.deleteTransient {
		t.Tried.Delete++
		if err := h.write(ctx, thingDocument(key), t, generation); err != nil {
			return domain.Observation{}, err
		}
		return domain.Observation{}, h.inject(ctx, key, "delete-transient", answeredFault(t.Tried.Delete, fault.deleteTransient))
	}

	until := now
	if t.made() {
		until = now.Add(h.took(h.latency.Delete, key.Name(), "deleted"))
	}
	if err := h.giveBack(ctx, t.Host, key, until); err != nil {
		return domain.Observation{}, err
	}
	if t.Gone = until; t.missing() {
		return domain.Observation{Key: key, Phase: domain.ThingAbsent}, nil
	} else if t.gone(now) {
		err = h.write(ctx, thingDocument(key), nil, generation)
	} else {
		err = h.write(ctx, thingDocument(key), t, generation)
	}
	if err != nil {
		return domain.Observation{}, err
	}
	return h.see(key, t, now), nil
}

// giveBack releases what the key holds anywhere, as of a time. All hosts are looked
// at, because calls that were cut short may have left a line on another one.
func (h *Hypervisor) giveBack(ctx context.Context, host string, key domain.Key, until time.Time) error {
	name := key.Name()
	if key.Kind == domain.ThingNetwork {
		if err := h.release(ctx, networksLedger, name, until, nil); err != nil {
			return err
		}
		return h.forgetAddresses(ctx, name)
	}
	address := func(x line) error { return h.releaseAddress(ctx, x.Address, name, until) }
	for _, at := range h.hosts {
		if err := h.release(ctx, hostLedger(at.Name), name, until, address); err != nil {
			return err
		}
	}
	if _, known := h.host(host); host == "" || known {
		return nil
	}
	return h.release(ctx, hostLedger(host), name, until, address) // the operator took the host away
}
