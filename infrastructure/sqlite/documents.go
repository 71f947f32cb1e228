package sqlite

import (
	"context"

	"kbnt.dev/virtualization/domain"
)

// paper is one stored document.
type paper struct {
	data       []byte
	generation int64
}

func scanPaper(scan scanner, p *paper) error { return scan(&p.data, &p.generation) }

const paperQuery = "SELECT data, generation FROM documents WHERE name = ?"

// Read implements [application.Documents].
func (s *Store) Read(ctx context.Context, name string) (data []byte, generation int64, err error) {
	var p paper
	err = s.read(ctx, "Read", func(ctx context.Context, q querier) (err error) {
		var ok bool
		if p, ok, err = one(ctx, q, scanPaper, paperQuery, name); ok && p.data == nil {
			p.data = []byte{} // empty, which is not the same as missing
		}
		return err
	})
	return p.data, p.generation, err
}

// Write implements [application.Documents]. Generations grow over all documents,
// so one that was deleted and written again is not taken for what it was.
func (s *Store) Write(ctx context.Context, name string, data []byte, generation int64) (int64, error) {
	var now, next int64
	err := s.writer.transact(ctx, "Write", func(ctx context.Context, q querier) error {
		p, _, err := one(ctx, q, scanPaper, paperQuery, name)
		if err != nil {
			return err
		}
		now = p.generation
		last, _, err := one(ctx, q, whole, "SELECT value FROM totals WHERE name = 'generation'")
		next = last + 1
		return err
	}, func() ([]write, error) {
		switch {
		case now != generation:
			return nil, refuse("Write", domain.Conflict, "the document "+name+" was written by somebody else")
		case data == nil:
			next = 0
			return []write{{query: "DELETE FROM documents WHERE name = ?", args: []any{name}}}, nil
		}
		return []write{
			{query: "UPDATE totals SET value = ? WHERE name = 'generation'", args: []any{next}},
			{query: "INSERT INTO documents (name, generation, data) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET generation = excluded.generation, data = excluded.data",
				args: []any{name, next, data}},
		}, nil
	})
	if err != nil {
		return 0, err
	}
	return next, nil
}

// Names implements [application.Documents].
func (s *Store) Names(ctx context.Context, prefix string) ([]string, error) {
	return s.find(ctx, "Names", "SELECT name FROM documents WHERE name >= ?1 AND substr(name, 1, length(?1)) = ?1 ORDER BY name", prefix)
}
