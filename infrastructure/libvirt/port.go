package libvirt

import (
	"context"
	"errors"
	"iter"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// Ensure makes a thing, or adopts it and gives it the power wanted. Errors are
// those of the port, with the codes of the package comment. Called twice it finds
// what it made. It waits for nothing but the host's answers; when ctx ends it
// returns Unavailable at once. A network is made on every host that is not down; a host that
// does not answer is passed over unless none does.
func (h *Hypervisor) Ensure(ctx context.Context, want domain.Desired) (domain.Observation, error) {
	seen, err := h.ensure(ctx, want)
	if err != nil {
		return domain.Observation{}, named("Ensure", err)
	}
	return seen, nil
}

func (h *Hypervisor) ensure(ctx context.Context, want domain.Desired) (seen domain.Observation, err error) {
	if err := h.checkSpec(want); err != nil {
		return seen, err
	}
	if want.Key.Kind == domain.ThingNetwork {
		var all []found
		down := downError(h.options.Hosts[0])
		for _, host := range h.options.Hosts {
			if host.State == domain.HostDown {
				continue // it gets the network when it is up and somebody asks again
			}
			err := h.with(ctx, host, func(s *session) (err error) {
				seen, err = h.ensureNetwork(s, want)
				return err
			})
			switch {
			case domain.CodeOf(err) == application.CodeHostDown:
				down = err // nothing was done there; a machine that is placed there brings the network
				continue
			case err != nil:
				return seen, err
			}
			all = append(all, found{host: host.Name, seen: seen})
		}
		if len(all) == 0 {
			return seen, down
		}
		return togetherNetwork(want.Key, all), nil
	}
	host, err := h.host(want.Host)
	if err != nil {
		return seen, err
	}
	attempt := func() error {
		return h.with(ctx, host, func(s *session) (err error) {
			if want.Key.Kind == domain.ThingVolume {
				seen, err = h.ensureVolume(s, want)
			} else {
				seen, err = h.ensureMachine(ctx, s, want)
			}
			return err
		})
	}
	if err = attempt(); domain.CodeOf(err) == "no-network" && domain.KindOf(err) == domain.NotFound {
		if err := h.spread(ctx, host, want); err != nil {
			return seen, err
		}
		err = attempt()
	}
	return seen, err
}

// Observe asks all hosts, at the same time, and the guest of a machine that runs. A
// thing that no host has is Absent only if all of them answered, else Unknown. A
// foreign one is Absent, with the reason "Foreign". A host that does not answer within 5 s is not
// waited for. Unavailable: no host answered.
func (h *Hypervisor) Observe(ctx context.Context, key domain.Key) (domain.Observation, error) {
	all := h.lookEverywhere(ctx, key.Kind, func(s *session) (domain.Observation, error) {
		switch key.Kind {
		case domain.ThingMachine:
			return h.observeMachine(ctx, s, key)
		case domain.ThingVolume:
			return h.observeVolume(s, key)
		case domain.ThingNetwork:
			return h.observeNetwork(s, key)
		}
		return domain.Observation{Key: key, Phase: domain.ThingAbsent}, nil
	})
	seen, err := together(key, all)
	if err != nil {
		return domain.Observation{}, named("Observe", err)
	}
	return seen, nil
}

// together makes one observation of what the hosts said.
func together(key domain.Key, all []found) (domain.Observation, error) {
	var answered []found
	var errs error
	for _, f := range all {
		if f.err != nil {
			errs = errors.Join(errs, f.err)
		} else {
			answered = append(answered, f)
		}
	}
	if len(answered) == 0 {
		return domain.Observation{}, errs
	}
	seen := domain.Observation{Key: key, Phase: domain.ThingAbsent}
	if key.Kind == domain.ThingNetwork {
		seen = togetherNetwork(key, answered)
	}
	for _, f := range answered {
		if key.Kind != domain.ThingNetwork && (f.seen.Phase != domain.ThingAbsent || seen.Reason == "") {
			seen = f.seen
		}
		if seen.Phase != domain.ThingAbsent && key.Kind != domain.ThingNetwork {
			return seen, nil
		}
	}
	if seen.Phase == domain.ThingAbsent && errs != nil {
		return domain.Observation{Key: key, Phase: domain.ThingUnknown, Reason: "HostDown", Message: "a host that may have it does not answer"}, nil
	}
	return seen, nil
}

// Delete takes a thing off every host, a half-made one too, in that a machine's
// power is cut. It works from the key alone. Called again it changes nothing.
// Conflict ("foreign"): it is not ours, and no host that may have ours is left unasked. Unavailable: a host that may have it does not
// answer, or ctx ended; call it again.
func (h *Hypervisor) Delete(ctx context.Context, key domain.Key) (domain.Observation, error) {
	gone := domain.Observation{Key: key, Phase: domain.ThingAbsent}
	var failed error
	all := h.everywhere(ctx, func(s *session) (domain.Observation, error) {
		switch key.Kind {
		case domain.ThingMachine:
			return gone, h.removeMachine(s, key)
		case domain.ThingVolume:
			return gone, h.removeVolume(s, key)
		case domain.ThingNetwork:
			return gone, h.removeNetwork(s, key)
		}
		return gone, nil
	})
	for _, f := range all {
		if f.err != nil && (failed == nil || weight(f.err) > weight(failed)) {
			failed = f.err
		}
	}
	if failed != nil {
		return domain.Observation{}, named("Delete", failed)
	}
	return gone, nil
}

// weight ranks what hosts said of one deletion: what may still land before a host that may have the
// thing, and that before what was refused. A Conflict is told only if all others answered, since
// it is taken to mean that nothing of ours is there.
func weight(err error) int {
	switch kind := domain.KindOf(err); {
	case domain.CodeOf(err) == noAnswer:
		return 4
	case kind == domain.Unavailable || kind == domain.Internal:
		return 3
	case kind == domain.Conflict:
		return 1
	}
	return 2 // refused, for what the operator can change
}

// List yields what is ours host by host, networks once. Machines are seen without their
// guests being asked, so one that runs is Starting. A host that does not answer ends
// it with an error, after what the others have.
func (h *Hypervisor) List(ctx context.Context) iter.Seq2[domain.Observation, error] {
	return func(yield func(domain.Observation, error) bool) {
		networks := map[domain.Key]bool{}
		var failed error
		for _, host := range h.options.Hosts {
			if host.State == domain.HostDown {
				failed = errors.Join(failed, downError(host))
				continue
			}
			var all []domain.Observation
			err := h.with(ctx, host, func(s *session) (err error) {
				all, err = h.listHost(s)
				return err
			})
			failed = errors.Join(failed, err)
			for _, o := range all {
				if networks[o.Key] {
					continue
				}
				networks[o.Key] = o.Key.Kind == domain.ThingNetwork
				if !yield(o, nil) {
					return
				}
			}
		}
		if failed != nil {
			yield(domain.Observation{}, named("List", failed))
		}
	}
}
