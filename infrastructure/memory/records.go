package memory

import (
	"cmp"
	"context"
	"slices"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// pageMost is the longest page, and the length of one that is asked for without.
const pageMost = 100

// Request implements [application.Records].
func (s *Store) Request(ctx context.Context, tenant, id string) (application.Record, error) {
	leave, err := s.enter(ctx, "Request")
	if err != nil {
		return application.Record{}, err
	}
	defer leave()
	message, ok := s.messages[requestKey{tenant, id}]
	if !ok {
		return application.Record{}, refuse("Request", domain.NotFound, "no such request")
	}
	return s.snapshot(message), nil
}

// Requests implements [application.Records].
func (s *Store) Requests(ctx context.Context, tenant string, f application.RequestFilter) ([]domain.Request, error) {
	leave, err := s.enter(ctx, "Requests")
	if err != nil {
		return nil, err
	}
	defer leave()
	var found []*domain.Request
	for _, r := range s.requests {
		if r.Tenant == tenant && (f.Status == "" || r.Status == f.Status) && (f.Type == "" || r.Type == f.Type) {
			found = append(found, r)
		}
	}
	after := func(a, b *domain.Request) int { return newest(a.AcceptedAt, b.AcceptedAt, a.MessageID, b.MessageID) }
	last := s.requests[f.Before]
	if last != nil && last.Tenant != tenant {
		last = nil
	}
	var page []domain.Request
	for _, r := range cut(found, last, f.Before, f.Limit, after) {
		page = append(page, *r.Clone())
	}
	return page, nil
}

// Resource implements [application.Records].
func (s *Store) Resource(ctx context.Context, tenant, virtualID string) (domain.Resource, error) {
	leave, err := s.enter(ctx, "Resource")
	if err != nil {
		return domain.Resource{}, err
	}
	defer leave()
	r, ok := s.resources[s.virtualIDs[virtualID]]
	if !ok || r.Tenant != tenant {
		return domain.Resource{}, refuse("Resource", domain.NotFound, "no such resource")
	}
	return *r.Clone(), nil
}

// Resources implements [application.Records].
func (s *Store) Resources(ctx context.Context, tenant string, f application.ResourceFilter) ([]domain.Resource, error) {
	leave, err := s.enter(ctx, "Resources")
	if err != nil {
		return nil, err
	}
	defer leave()
	var found []*domain.Resource
	for _, r := range s.resources {
		if r.Tenant == tenant && (r.Live || f.Gone) && (f.Kind == "" || r.Kind == f.Kind) {
			found = append(found, r)
		}
	}
	after := func(a, b *domain.Resource) int { return newest(a.CreatedAt, b.CreatedAt, a.UID, b.UID) }
	last := s.resources[f.Before]
	if last != nil && last.Tenant != tenant {
		last = nil
	}
	var page []domain.Resource
	for _, r := range cut(found, last, f.Before, f.Limit, after) {
		page = append(page, *r.Clone())
	}
	return page, nil
}

// Usage implements [application.Records].
func (s *Store) Usage(ctx context.Context, tenant string) (domain.Usage, error) {
	leave, err := s.enter(ctx, "Usage")
	if err != nil {
		return domain.Usage{}, err
	}
	defer leave()
	return s.usage(tenant), nil
}

func (s *Store) usage(tenant string) domain.Usage {
	var u domain.Usage
	for _, r := range s.resources {
		if r.Tenant == tenant && r.Live {
			u = u.Add(domain.UsageOf(r.Spec, r.Cost))
		}
	}
	for _, r := range s.requests {
		if r.Tenant == tenant && r.Unfinished() {
			u.InFlight++
		}
	}
	return u
}

// snapshot copies one request that exists, with everything about it.
func (s *Store) snapshot(messageID string) application.Record {
	r := s.requests[messageID]
	return application.Record{Request: *r.Clone(), Resource: *s.resources[r.ResourceUID].Clone(), Steps: copySteps(s.steps[messageID])}
}

// newest orders by time, the newest first, and by id where times are the same.
func newest(a, b time.Time, idA, idB string) int {
	return cmp.Or(b.Compare(a), cmp.Compare(idB, idA))
}

// cut sorts rows and returns the page after the last one of the page before. A
// cursor that names nothing (last is nil) has nothing after it.
func cut[T any](rows []*T, last *T, cursor string, limit int, order func(a, b *T) int) []*T {
	if cursor != "" {
		rows = slices.DeleteFunc(rows, func(r *T) bool { return last == nil || order(r, last) <= 0 })
	}
	slices.SortFunc(rows, order)
	if limit < 1 || limit > pageMost {
		limit = pageMost
	}
	return rows[:min(limit, len(rows))]
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
