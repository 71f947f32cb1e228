package application

import (
	"context"

	"kbnt.dev/virtualization/domain"
)

// Hint looks again at the request that is at work on a resource, because
// somebody saw the resource change. It only shortens a wait: it begins no
// request, and trouble that it meets is no attempt, since there may be many
// hints where a source would have delivered once. So one that is lost, doubled
// or late does no harm.
//
// A resource that is unknown, or that no request is at work on, is nil: most
// changes are the consequence of something that is over. An error says how the
// look ended, as for a delivery; nobody has to hint again, for the event of the
// request is still with its source.
func (p *Provision) Hint(ctx context.Context, tenant, virtualID string) error {
	r, err := p.Records.Resource(ctx, tenant, virtualID)
	switch {
	case err != nil && domain.KindOf(err) == domain.NotFound:
		return nil
	case err != nil:
		return err
	case r.Busy == "":
		return nil
	}
	return p.Wake(ctx, Notice{MessageID: r.Busy}, nil)
}
