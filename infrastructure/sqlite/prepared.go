package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// prepared remembers the statements it has run: parsing takes as long as running.
// The queries of this package are few, so none is ever forgotten.
type prepared struct {
	on interface {
		PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
	}
	all sync.Map // *sql.Stmt by query
}

// statement returns the statement of a query. It outlives the ctx it is made with.
func (p *prepared) statement(ctx context.Context, query string) (*sql.Stmt, error) {
	if s, ok := p.all.Load(query); ok {
		return s.(*sql.Stmt), nil
	}
	s, err := p.on.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if first, ok := p.all.LoadOrStore(query, s); ok {
		return first.(*sql.Stmt), s.Close()
	}
	return s, nil
}

// QueryContext implements querier.
func (p *prepared) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s, err := p.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

// ExecContext runs a statement.
func (p *prepared) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	s, err := p.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

// Close ends the statements.
func (p *prepared) Close() error {
	var errs []error
	for _, s := range p.all.Range {
		errs = append(errs, s.(*sql.Stmt).Close())
	}
	return errors.Join(errs...)
}
