package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"kbnt.dev/virtualization/domain"
)

// batchMost is how many transactions share one commit, at most. It bounds how
// long the first of them waits for the last.
const batchMost = 128

// writer has the only connection that writes, and one goroutine that uses it.
// Whoever wants to write hands it a job. Jobs that come while others are being
// done share their commit, hence their fsync; a job alone does not wait for more.
type writer struct {
	conn    *prepared // on one connection
	jobs    chan *job
	closing chan struct{}
	once    sync.Once
	stopped chan struct{}
}

// job is one transaction. The writer loads, the caller decides on its own
// goroutine what to write (so a panic of a decision is the caller's, and a
// caller that left is not decided for), and the writer writes. All channels hold
// one value, so neither side waits for one that has left.
type job struct {
	load   func(context.Context, querier) error
	turn   chan struct{} // loaded: the caller decides
	choice chan []write  // what it decided
	done   chan error    // committed, or not
}

// write is one statement of a transaction.
type write struct {
	query  string
	args   []any
	missed error       // what it means that no row was written; nil when that is fine
	count  func(int64) // told how many rows were written; may be nil
}

func newWriter(conn *sql.Conn) *writer {
	w := &writer{conn: &prepared{on: conn}, jobs: make(chan *job), closing: make(chan struct{}), stopped: make(chan struct{})}
	go w.run()
	return w
}

// close ends the goroutine after the batch it is at.
func (w *writer) close() {
	w.once.Do(func() { close(w.closing) })
	<-w.stopped
}

// transact loads, decides and writes, all or nothing. decide runs on this
// goroutine. Nothing is decided and nothing saved when ctx ends before the turn
// has come; when it ends afterwards the transaction may or may not happen.
func (w *writer) transact(ctx context.Context, op string, load func(context.Context, querier) error, decide func() ([]write, error)) error {
	if ctx.Err() != nil {
		return tooLate(op, ctx, "the store was not asked")
	}
	j := &job{load: load, turn: make(chan struct{}, 1), choice: make(chan []write, 1), done: make(chan error, 1)}
	select {
	case w.jobs <- j:
	case <-w.closing:
		return closed(op)
	case <-ctx.Done():
		return tooLate(op, ctx, "the store was not free in time")
	}
	select {
	case <-j.turn:
	case err := <-j.done:
		return classed(op, err)
	case <-ctx.Done():
		j.choice <- nil
		return tooLate(op, ctx, "the store was not free in time")
	}
	var refused error
	func() {
		var chosen []write // nothing, unless decide returns well
		defer func() { j.choice <- chosen }()
		writes, err := decide()
		if refused = err; err == nil {
			chosen = writes
		}
	}()
	// A refusal waits as well: it may rest on what others of the batch wrote.
	select {
	case err := <-j.done:
		if err != nil {
			return classed(op, err)
		}
		return refused
	case <-ctx.Done():
		return tooLate(op, ctx, "the store did not answer in time; it may or may not have happened")
	}
}

// write runs statements, all or nothing.
func (w *writer) write(ctx context.Context, op string, writes ...write) error {
	return w.transact(ctx, op, func(context.Context, querier) error { return nil }, func() ([]write, error) { return writes, nil })
}

func (w *writer) run() {
	defer close(w.stopped)
	for {
		select {
		case j := <-w.jobs:
			w.batch(j)
		case <-w.closing:
			return
		}
	}
}

// batch does a job and those that wait behind it in one transaction.
//
// A job whose statements fail is undone by rolling all of them back and repeating
// those before it. That is slow and rare: decisions look before they write, so
// only a defect ends there. A savepoint for each job would make it fast and
// everything else slow, because SQLite copies each page that is touched within one:
// a third of the CPU of an admission (profiled 2026-11).
func (w *writer) batch(first *job) {
	// The writer's statements are short and must not stop half-way, so no caller's
	// ctx reaches them.
	ctx := context.Background()
	_, broken := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE")
	var done []outcome
	var written []write
	for next := first; next != nil; next = w.more(len(done)) {
		o := outcome{job: next}
		if broken == nil {
			var writes []write
			if writes, o.err = w.choose(ctx, next); o.err == nil {
				o.err = w.apply(ctx, writes)
			}
			if o.err == nil {
				written = append(written, writes...)
			} else if len(writes) > 0 {
				broken = w.repeat(ctx, written)
			}
		}
		done = append(done, o)
	}
	if broken == nil {
		_, broken = w.conn.ExecContext(ctx, "COMMIT")
	}
	if broken != nil {
		_, err := w.conn.ExecContext(ctx, "ROLLBACK") // fails when there is nothing to roll back any more
		broken = &domain.Error{Op: "sqlite", Kind: domain.Unavailable, Detail: "the store could not commit", Err: errors.Join(broken, err)}
	}
	for _, o := range done {
		if broken != nil {
			o.err = broken
		}
		o.job.done <- o.err
	}
}

// outcome is what became of a job, if the batch is committed.
type outcome struct {
	job *job
	err error
}

// more returns a job that waits, if there is one and room for it after n.
func (w *writer) more(n int) *job {
	if n >= batchMost {
		return nil
	}
	select {
	case j := <-w.jobs:
		return j
	default:
		return nil
	}
}

// choose loads for a job and returns what its caller decides to write. Nothing
// is written yet.
func (w *writer) choose(ctx context.Context, j *job) ([]write, error) {
	select {
	case <-j.choice: // its caller has left
		return nil, nil
	default:
	}
	if err := j.load(ctx, w.conn); err != nil {
		return nil, err
	}
	j.turn <- struct{}{}
	return <-j.choice, nil
}

func (w *writer) apply(ctx context.Context, writes []write) error {
	for _, x := range writes {
		if err := w.exec(ctx, x); err != nil {
			return err
		}
	}
	return nil
}

// repeat rolls back and writes again what was written before the failure.
func (w *writer) repeat(ctx context.Context, written []write) error {
	// The database may have rolled back by itself, on a full disk for example; then
	// this fails, and beginning again does not.
	_, _ = w.conn.ExecContext(ctx, "ROLLBACK")
	if _, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	return w.apply(ctx, written)
}

func (w *writer) exec(ctx context.Context, x write) error {
	result, err := w.conn.ExecContext(ctx, x.query, x.args...)
	if err != nil || (x.missed == nil && x.count == nil) {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n == 0 {
		err = x.missed
	}
	if err == nil && x.count != nil {
		x.count(n)
	}
	return err
}
