package postgres

import (
	"context"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// pageMost is the longest page, and the length of one that is asked for without.
const pageMost = 100

func pageOf(limit int) int {
	if limit < 1 || limit > pageMost {
		return pageMost
	}
	return limit
}

// query is a text with its parameters, put together piece by piece.
type query struct {
	text string
	args []any
}

// add adds a piece, and a parameter for each "?" in it.
func (q *query) add(piece string, args ...any) {
	for _, arg := range args {
		q.args = append(q.args, arg)
		piece = strings.Replace(piece, "?", "$"+strconv.Itoa(len(q.args)), 1)
	}
	q.text += piece
}

var recordQuery = storedQuery + "r.tenant = $1 AND r.id = $2"

// Request implements [application.Records].
func (s *Store) Request(ctx context.Context, tenant, id string) (application.Record, error) {
	var record application.Record
	found := false
	err := s.snapshot(ctx, "Request", func(b *pgx.Batch) {
		b.Queue(recordQuery, tenant, id).Query(func(rows pgx.Rows) error {
			return each(rows, scanStored, func(r *stored) {
				found, record.Request, record.Resource = true, r.request, r.resource
			})
		})
		b.Queue(workByName.steps, tenant, id).Query(func(rows pgx.Rows) error {
			return each(rows, scanLine, func(l *line) { record.Steps = append(record.Steps, l.step) })
		})
	})
	if err == nil && !found {
		err = refuse("Request", domain.NotFound, "no such request")
	}
	if err != nil {
		return application.Record{}, err
	}
	return record, nil
}

// requestsQuery selects a page.
func requestsQuery(tenant string, f application.RequestFilter) *query {
	q := new(query)
	q.add("SELECT "+requestColumns+" FROM requests r WHERE r.tenant = ?", tenant)
	if f.Type != "" {
		q.add(" AND r.type = ?", string(f.Type))
	}
	if f.Status != "" {
		q.add(" AND r.status = ?", string(f.Status))
	}
	if f.Before != "" {
		q.add(" AND (r.accepted_at, r.message_id) < (SELECT accepted_at, message_id FROM requests WHERE message_id = ? AND tenant = ?)", f.Before, tenant)
	}
	q.add(" ORDER BY r.accepted_at DESC, r.message_id DESC LIMIT ?", pageOf(f.Limit))
	return q
}

// Requests implements [application.Records].
func (s *Store) Requests(ctx context.Context, tenant string, f application.RequestFilter) (page []domain.Request, err error) {
	q := requestsQuery(tenant, f)
	err = s.read(ctx, "Requests", func(ctx context.Context, p *pgxpool.Pool) error {
		page, err = all(ctx, p, scanRequest, q.text, q.args...)
		return err
	})
	return page, err
}

// Resource implements [application.Records].
func (s *Store) Resource(ctx context.Context, tenant, virtualID string) (r domain.Resource, err error) {
	err = s.read(ctx, "Resource", func(ctx context.Context, p *pgxpool.Pool) error {
		var ok bool
		r, ok, err = one(ctx, p, scanResource, "SELECT "+resourceColumns+" FROM resources v WHERE virtual_id = $1 AND tenant = $2", virtualID, tenant)
		if err == nil && !ok {
			err = refuse("Resource", domain.NotFound, "no such resource")
		}
		return err
	})
	return r, err
}

// resourcesQuery selects a page.
func resourcesQuery(tenant string, f application.ResourceFilter) *query {
	q := new(query)
	q.add("SELECT "+resourceColumns+" FROM resources v WHERE v.tenant = ?", tenant)
	if !f.Gone {
		q.add(" AND v.live")
	}
	if f.Kind != "" {
		q.add(" AND v.kind = ?", string(f.Kind))
	}
	if f.Before != "" {
		q.add(" AND (v.created_at, v.uid) < (SELECT created_at, uid FROM resources WHERE uid = ? AND tenant = ?)", f.Before, tenant)
	}
	q.add(" ORDER BY v.created_at DESC, v.uid DESC LIMIT ?", pageOf(f.Limit))
	return q
}

// Resources implements [application.Records].
func (s *Store) Resources(ctx context.Context, tenant string, f application.ResourceFilter) (page []domain.Resource, err error) {
	q := resourcesQuery(tenant, f)
	err = s.read(ctx, "Resources", func(ctx context.Context, p *pgxpool.Pool) error {
		page, err = all(ctx, p, scanResource, q.text, q.args...)
		return err
	})
	return page, err
}

// Usage implements [application.Records].
func (s *Store) Usage(ctx context.Context, tenant string) (domain.Usage, error) {
	t := tenancies{usage: map[string]domain.Usage{}, today: map[string]int{}}
	err := s.read(ctx, "Usage", func(ctx context.Context, p *pgxpool.Pool) error {
		_, err := all(ctx, p, t.scanSums, sumsQuery, []string{tenant}, s.instant())
		return err
	})
	if err != nil {
		return domain.Usage{}, err
	}
	return t.usage[tenant], nil
}
