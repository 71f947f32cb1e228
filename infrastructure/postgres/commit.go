package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// patience is how long a lane waits for one round trip before it gives the
// connection up. Callers wait as long as their ctx says; the database gives up
// before that (see statementTimeout).
const patience = 15 * time.Second

// beginning does not rely on what the database is set to: at a higher level what is
// loaded would be of before the locks.
const beginning = "begin isolation level read committed read write"

// loaded is what the jobs of a batch look at, locked, as the database has it and
// as the jobs before in the batch have decided to change it.
type loaded[S, V any] interface {
	// view returns what a job is shown, in memory of its own. later: it depends
	// on what one before it in the batch changed, in a way that only the
	// database can tell; it has to be in another batch.
	view(scope S) (v *V, later bool, err error)

	// note takes in what a job decided.
	note(effect any)
}

// loader locks and loads in one round trip, within the transaction that begun.
type loader[S, V any] func(ctx context.Context, conn *pgx.Conn, scopes []S) (loaded[S, V], error)

// commit runs the jobs of a batch in one transaction of two round trips: begin,
// lock and load; write and commit. Each job is told how it ended, but for those
// returned, which have to run in another one.
func commit[S, V any](s *Store, load loader[S, V], jobs []*job[S, V]) (again []*job[S, V]) {
	jobs, again, err := attempt(s, load, jobs)
	if len(jobs) > 1 && ofOne(err) {
		for _, j := range jobs {
			if _, _, err := attempt(s, load, []*job[S, V]{j}); err != nil {
				j.done <- err
			}
		}
		return again
	}
	for _, j := range jobs {
		if err != nil {
			j.done <- err
		}
	}
	return again
}

// attempt runs jobs in one transaction. With an error nothing happened (or nobody
// knows, when the connection broke at the commit), and the jobs that it returns
// have not been told; without one all but again have.
func attempt[S, V any](s *Store, load loader[S, V], jobs []*job[S, V]) (untold, again []*job[S, V], err error) {
	var here []*job[S, V]
	for _, j := range jobs {
		if !j.gone() {
			here = append(here, j)
		}
	}
	if len(here) == 0 {
		return nil, nil, nil
	}
	conn, found, err := begin(s, load, here)
	if conn != nil {
		defer conn.Release() // one that is inside a transaction is closed, which undoes it
	}
	if err != nil {
		return here, nil, err
	}
	var all writes
	answers := map[*job[S, V]]error{}
	for _, j := range here {
		v, later, err := found.view(j.scope)
		switch {
		case later:
			again = append(again, j)
			continue
		case err != nil:
			answers[j] = err
			continue
		}
		j.turn <- v
		c := <-j.choice
		if c.left {
			continue
		}
		answers[j] = nil
		if c.writes != nil {
			all.join(c.writes)
		}
		if c.effect != nil {
			found.note(c.effect)
		}
	}
	if err := end(conn.Conn(), &all); err != nil {
		for j := range answers {
			untold = append(untold, j)
		}
		return untold, again, err
	}
	for j, answer := range answers {
		j.done <- answer
	}
	return nil, again, nil
}

// begin begins a transaction, locks and loads. The connection is the caller's
// even with an error, if there is one.
func begin[S, V any](s *Store, load loader[S, V], jobs []*job[S, V]) (*pgxpool.Conn, loaded[S, V], error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	pool, err := s.connected(ctx)
	if err != nil {
		return nil, nil, err
	}
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, nil, err
	}
	scopes := make([]S, len(jobs))
	for i, j := range jobs {
		scopes[i] = j.scope
	}
	found, err := load(ctx, conn.Conn(), scopes)
	return conn, found, err
}

// end writes and commits in one round trip, or rolls back if there is nothing to
// write: that costs no fsync.
func end(conn *pgx.Conn, all *writes) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var b pgx.Batch
	if all.none() {
		b.Queue("rollback")
		return conn.SendBatch(ctx, &b).Close()
	}
	all.queue(&b)
	b.Queue("commit").Exec(func(answer pgconn.CommandTag) error {
		if answer.String() != "COMMIT" {
			return fmt.Errorf("the database answered %q to commit", answer)
		}
		return nil
	})
	return conn.SendBatch(ctx, &b).Close()
}

// ofOne reports whether an error that ended a transaction of many may be the fault
// of one of them, so that the others, tried alone, may succeed: a rule of the
// database is broken, and nobody knows by whom, or they met others in a deadlock.
// Nothing is written then. After anything else, as a lock that is not given, trying each
// alone would only be waiting that often.
func ofOne(err error) bool {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || len(answer.Code) < 2 {
		return false
	}
	switch answer.Code[:2] {
	case "21", "22", "23", "40": // cardinality, data, integrity, rollback
		return true
	}
	return false
}
