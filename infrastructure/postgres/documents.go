package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kbnt.dev/virtualization/domain"
)

// Read implements [application.Documents].
func (s *Store) Read(ctx context.Context, name string) (data []byte, generation int64, err error) {
	err = s.read(ctx, "Read", func(ctx context.Context, p *pgxpool.Pool) error {
		err := p.QueryRow(ctx, "SELECT data, generation FROM documents WHERE name = $1", name).Scan(&data, &generation)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	return data, generation, err
}

// Write implements [application.Documents]. Each is one statement.
func (s *Store) Write(ctx context.Context, name string, data []byte, generation int64) (next int64, err error) {
	query, args := "UPDATE documents SET data = $3, generation = nextval('generations') WHERE name = $1 AND generation = $2 RETURNING generation", []any{name, generation, data}
	switch {
	case data == nil && generation == 0: // it must not be there, and stays so
		query, args = "SELECT 0::bigint WHERE NOT EXISTS (SELECT FROM documents WHERE name = $1)", []any{name}
	case data == nil:
		query, args = "DELETE FROM documents WHERE name = $1 AND generation = $2 RETURNING 0::bigint", []any{name, generation}
	case generation == 0:
		query, args = "INSERT INTO documents (name, data, generation) VALUES ($1, $2, nextval('generations')) ON CONFLICT DO NOTHING RETURNING generation", []any{name, data}
	}
	err = s.read(ctx, "Write", func(ctx context.Context, p *pgxpool.Pool) error {
		err := p.QueryRow(ctx, query, args...).Scan(&next)
		if errors.Is(err, pgx.ErrNoRows) {
			return refuse("Write", domain.Conflict, "the document "+name+" was written by somebody else")
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return next, nil
}

// Names implements [application.Documents].
func (s *Store) Names(ctx context.Context, prefix string) ([]string, error) {
	return s.find(ctx, "Names", "SELECT name FROM documents WHERE name >= $1 AND starts_with(name, $1) ORDER BY name", prefix)
}
