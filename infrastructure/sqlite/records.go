package sqlite

import (
	"context"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// pageMost is the longest page, and the length of one that is asked for without.
const pageMost = 100

func pageOf(limit int) int64 {
	if limit < 1 || limit > pageMost {
		return pageMost
	}
	return int64(limit)
}

// Request implements [application.Records].
func (s *Store) Request(ctx context.Context, tenant, id string) (application.Record, error) {
	var r stored
	err := s.read(ctx, "Request", func(ctx context.Context, q querier) (err error) {
		var ok bool
		r, ok, err = one(ctx, q, scanStored, storedQuery+"r.tenant = ? AND r.id = ?", tenant, id)
		if err == nil && !ok {
			err = refuse("Request", domain.NotFound, "no such request")
		}
		return err
	})
	return r.Record, err
}

// Requests implements [application.Records].
func (s *Store) Requests(ctx context.Context, tenant string, f application.RequestFilter) (page []domain.Request, err error) {
	query, args := "SELECT "+requestColumns+" FROM requests r WHERE r.tenant = ?", []any{tenant}
	if f.Type != "" {
		query, args = query+" AND r.type = ?", append(args, string(f.Type))
	}
	if f.Status != "" {
		query, args = query+" AND r.status = ?", append(args, string(f.Status))
	}
	if f.Before != "" {
		query += " AND (r.accepted_at, r.message_id) < (SELECT accepted_at, message_id FROM requests WHERE message_id = ? AND tenant = ?)"
		args = append(args, f.Before, tenant)
	}
	err = s.read(ctx, "Requests", func(ctx context.Context, q querier) error {
		page, err = all(ctx, q, scanRequest, query+" ORDER BY r.accepted_at DESC, r.message_id DESC LIMIT ?", append(args, pageOf(f.Limit))...)
		return err
	})
	return page, err
}

// Resource implements [application.Records].
func (s *Store) Resource(ctx context.Context, tenant, virtualID string) (r domain.Resource, err error) {
	err = s.read(ctx, "Resource", func(ctx context.Context, q querier) error {
		var ok bool
		r, ok, err = one(ctx, q, scanResource, "SELECT "+resourceColumns+" FROM resources v WHERE virtual_id = ? AND tenant = ?", virtualID, tenant)
		if err == nil && !ok {
			err = refuse("Resource", domain.NotFound, "no such resource")
		}
		return err
	})
	return r, err
}

// Resources implements [application.Records].
func (s *Store) Resources(ctx context.Context, tenant string, f application.ResourceFilter) (page []domain.Resource, err error) {
	query, args := "SELECT "+resourceColumns+" FROM resources v WHERE v.tenant = ?", []any{tenant}
	if !f.Gone {
		query += " AND v.live"
	}
	if f.Kind != "" {
		query, args = query+" AND v.kind = ?", append(args, string(f.Kind))
	}
	if f.Before != "" {
		query += " AND (v.created_at, v.uid) < (SELECT created_at, uid FROM resources WHERE uid = ? AND tenant = ?)"
		args = append(args, f.Before, tenant)
	}
	err = s.read(ctx, "Resources", func(ctx context.Context, q querier) error {
		page, err = all(ctx, q, scanResource, query+" ORDER BY v.created_at DESC, v.uid DESC LIMIT ?", append(args, pageOf(f.Limit))...)
		return err
	})
	return page, err
}

// Usage implements [application.Records].
func (s *Store) Usage(ctx context.Context, tenant string) (domain.Usage, error) {
	var sum sums
	err := s.read(ctx, "Usage", func(ctx context.Context, q querier) (err error) {
		sum, _, err = one(ctx, q, scanSums, sumsQuery, tenant, "", int64(0))
		return err
	})
	return sum.usage, err
}
