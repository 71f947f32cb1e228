// Package postgres keeps everything in a PostgreSQL database, for any number of
// processes on any number of machines. It is what production uses. It is not for
// a pooler that hands out a connection per transaction (PgBouncer in transaction
// mode): statements are prepared once per connection.
//
// # Configuration
//
// [Options] has the address of the database, version 15 or later. The role in it
// owns the schema that search_path names (URL?search_path=kbnt; public without),
// and makes and updates the tables there at first use, one process at a time. Each
// migration leaves the release before it working, so that a rollout may go back.
// synchronous_commit must be on, as it is by default.
//
// # Guarantees
//
// A transaction that returned nil survives kill -9 and loss of power of the
// database. What it looked at was locked: the tenant in Admit, the request and its
// resource in Change, and pools, so for what the ports promise transactions are
// serializable. Transactions of this process that come together share one, up to
// 128, so that one fsync serves them all; each is still all or nothing by itself.
// Alone or together they take two round trips. Reads see whole transactions. Time
// is that of the database, so instances need not agree on it. A database that goes
// away and comes back is used again without a restart; a call may still meet a
// connection that ended meanwhile, once for each in the pool.
//
// # Errors
//
// Unavailable, with the code "store-away": ctx ended, the store is closed, or the
// database is away, starting, full, read-only, or was too slow with a lock (5 s) or
// a statement (10 s), or undid the transaction in favour of another. When the
// connection broke at a commit nobody knows whether it happened. NotFound: no such
// request, resource, letter or event. Conflict: an id, a name or a claim is taken, or
// a document was written by somebody else. Invalid: a text that PostgreSQL cannot
// keep (NUL, no UTF-8), or, from [New], an address that is none. Internal: anything
// else that the database refused.
//
// # Limits
//
// Sums over all resources ([Store.Census]) look at every live one and every
// unfinished request. The search for stalled requests looks at every unfinished one.
package postgres

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kbnt.dev/virtualization/application"
)

var _ interface {
	application.Store
	application.Records
	application.Agenda
	application.Graveyard
	application.Statistics
	application.Documents
} = (*Store)(nil)

// Options configures a [Store].
type Options struct {
	// URL is the address of the database: "postgres://kbnt@db/kbnt?sslmode=verify-full".
	// Settings of a session may be added, and are set in preference to ours:
	// "&search_path=kbnt&statement_timeout=20s".
	URL string

	// Connections is how many there are at most; 4 when 0. A waiting request
	// needs none, so more than the database has cores only makes them wait
	// in the database instead.
	Connections int

	// Clock is the store's clock. Nil, which is right but for tests, is the
	// database's.
	Clock func() time.Time
}

// Store is a database. Make it with [New], end it with [Store.Close].
type Store struct {
	clock  func() time.Time
	config *pgxpool.Config

	admissions *combiner[application.AdmitScope, tenancy]
	changes    *combiner[application.Scope, work]

	closing chan struct{}
	once    sync.Once

	mu     sync.Mutex
	opened *opening // nil before the first use
}

// New returns a store that connects, and makes or updates its tables, when it is
// first used. Invalid: the options cannot be used.
func New(o Options) (*Store, error) {
	config, err := configOf(o)
	if err != nil {
		return nil, err
	}
	s := &Store{clock: o.Clock, config: config, closing: make(chan struct{})}
	// Half of the connections write, so that reads find one; and no more than the
	// processors can keep busy.
	lanes := max(1, min(int(config.MaxConns)/2, runtime.GOMAXPROCS(0)))
	s.admissions = newCombiner(lanes, func(jobs []*job[application.AdmitScope, tenancy]) []*job[application.AdmitScope, tenancy] {
		return commit(s, s.loadTenancies, jobs)
	})
	s.changes = newCombiner(lanes, s.commitChanges)
	return s, nil
}

// Close waits for the transactions that have begun, refuses those that wait, and
// closes all connections. Closing again does nothing.
func (s *Store) Close() error {
	s.once.Do(func() {
		close(s.closing)
		s.admissions.close()
		s.changes.close()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.opened != nil {
			<-s.opened.done
			if s.opened.pool != nil {
				s.opened.pool.Close()
			}
		}
	})
	return nil
}

// Ping reports whether the database can be used: it answers, and has our tables.
func (s *Store) Ping(ctx context.Context) error {
	return s.read(ctx, "Ping", func(ctx context.Context, p *pgxpool.Pool) error { return p.Ping(ctx) })
}

// instant is the store's time as a parameter: nil for the database's own, which
// a statement reads then.
func (s *Store) instant() any {
	if s.clock == nil {
		return nil
	}
	return stamp(s.clock())
}

// read runs queries, or single statements, on connections of the pool.
func (s *Store) read(ctx context.Context, op string, query func(context.Context, *pgxpool.Pool) error) error {
	if ctx.Err() != nil {
		return tooLate(op, ctx, "the store was not asked")
	}
	if s.isClosing() {
		return closed(op)
	}
	pool, err := s.connected(ctx)
	if err == nil {
		err = query(ctx, pool)
	}
	if err != nil && ctx.Err() != nil {
		return tooLate(op, ctx, "the store did not answer in time")
	}
	return classed(op, err)
}

// snapshot runs queries that must see the same transactions, in one round trip.
func (s *Store) snapshot(ctx context.Context, op string, queries func(*pgx.Batch)) error {
	return s.read(ctx, op, func(ctx context.Context, p *pgxpool.Pool) error {
		var b pgx.Batch
		b.Queue("begin isolation level repeatable read read only")
		queries(&b)
		b.Queue("commit")
		return p.SendBatch(ctx, &b).Close()
	})
}

// all returns every row of a query.
func all[T any](ctx context.Context, p *pgxpool.Pool, scan func(scanner, *T) error, query string, args ...any) (found []T, err error) {
	rows, err := p.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	err = each(rows, scan, func(v *T) { found = append(found, *v) })
	return found, err
}

// one returns the first row of a query, if there is one.
func one[T any](ctx context.Context, p *pgxpool.Pool, scan func(scanner, *T) error, query string, args ...any) (v T, ok bool, err error) {
	found, err := all(ctx, p, scan, query, args...)
	if err != nil || len(found) == 0 {
		return v, false, err
	}
	return found[0], true, nil
}
