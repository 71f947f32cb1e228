package kubevirt

import (
	"context"
	"errors"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// Ensure makes a thing, or adopts it and gives it the power wanted. Errors are those of
// the port, with the codes of the package comment. Called twice it finds what it
// made, in one round trip. When ctx ends it returns Unavailable, with the code
// "try-again" if nothing that was sent can still take effect.
func (h *Hypervisor) Ensure(ctx context.Context, want domain.Desired) (domain.Observation, error) {
	err := h.check(want)
	for n := 0; err == nil; n++ {
		var seen domain.Observation
		seen, err = h.ensure(ctx, want)
		switch {
		case err == nil:
			return seen, nil
		case errors.Is(err, errExists) && n < attempts:
			err = nil // somebody was faster: look at what is there
		case errors.Is(err, errExists):
			err = &domain.Error{Kind: domain.Unavailable, Code: application.CodeTryAgain, Detail: "it comes and goes", Err: err}
		}
	}
	return domain.Observation{}, annotate("kubevirt.Ensure", err)
}

func (h *Hypervisor) ensure(ctx context.Context, want domain.Desired) (domain.Observation, error) {
	switch want.Key.Kind {
	case domain.ThingMachine:
		return h.ensureMachine(ctx, want)
	case domain.ThingVolume:
		return h.ensureVolume(ctx, want)
	}
	return h.ensureNetwork(ctx, want)
}

// adopt returns nil when an object is the thing that is wanted.
func (h *Hypervisor) adopt(m meta, want domain.Desired) error {
	switch {
	case !h.ours(m, want.Key):
		return foreign()
	case m.Deleting != nil:
		return deleting()
	case m.Annotations[withHash] != want.Hash():
		return &domain.Error{Kind: domain.Conflict, Code: "spec-differs", Detail: "it exists with another specification"}
	}
	return nil
}

func foreign() error {
	return &domain.Error{Kind: domain.Conflict, Code: "foreign", Detail: "the name belongs to somebody else"}
}

func deleting() error {
	return &domain.Error{Kind: domain.Unavailable, Code: application.CodeDeleting, Detail: "the thing before it is being deleted"}
}

func missing(what string) error {
	return &domain.Error{Kind: domain.NotFound, Code: "no-" + what, Detail: "the " + what + " does not exist"}
}
