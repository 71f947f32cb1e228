package simulated

import (
	"context"
	"errors"
	"iter"

	"kbnt.dev/virtualization/domain"
)

// List yields every thing of ours that is not gone, in 16 parts, so that only the
// names of one part are held at a time. On its way it forgets things whose
// deletion is over. A thing that comes or goes meanwhile may be left out. An error
// (Unavailable) ends it.
func (h *Hypervisor) List(ctx context.Context) iter.Seq2[domain.Observation, error] {
	return func(yield func(domain.Observation, error) bool) {
		for _, digit := range "0123456789abcdef" {
			names, err := h.documents.Names(ctx, "sim/thing/"+string(digit)+"/")
			if err != nil {
				yield(domain.Observation{}, annotate("simulated.List", unanswered(ctx, err)))
				return
			}
			for _, name := range names {
				o, err := h.listed(ctx, name)
				if err != nil {
					yield(domain.Observation{}, annotate("simulated.List", err))
					return
				}
				if o.Phase != domain.ThingAbsent && !yield(o, nil) {
					return
				}
			}
		}
	}
}

func (h *Hypervisor) listed(ctx context.Context, name string) (domain.Observation, error) {
	var t thing
	generation, err := h.read(ctx, name, &t)
	if err != nil {
		return domain.Observation{}, err
	}
	now := h.now()
	if t.gone(now) && !t.foreign() {
		if err := h.write(ctx, name, nil, generation); err != nil && !errors.Is(err, errRaced) {
			return domain.Observation{}, err
		}
	}
	return h.see(t.Key, t, now), nil
}
