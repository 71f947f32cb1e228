// Package sqlite keeps everything in one file of this machine. It is for laptops
// and for single servers. It is not for a directory that several machines share,
// nor for several processes: one has the file, others are told so.
//
// # Configuration
//
// [Options] names the file. It is made when it is missing, readable for its owner
// alone; its directory must exist. Beside it lie FILE-wal and FILE-shm, which belong
// to the data, and FILE.lock, which names the process that has it.
//
// # Guarantees
//
// A transaction that returned nil survives kill -9 and loss of power (WAL,
// synchronous=FULL, as far as the disk keeps its promises), and transactions are
// serializable: they run one after another. Those that come together share a
// commit, up to 128, so that one fsync serves them all; each is still all or
// nothing by itself. Reads run beside, and see whole transactions. A function given
// to Admit or Change runs once, on the goroutine of its caller.
//
// # Errors
//
// Unavailable: ctx ended, the store is closed, or the disk is full or does not
// answer. NotFound: no such request, resource, letter or event. Conflict: an id, a
// name or a claim is taken, or a document was written by somebody else. Invalid,
// from Open: the file is none of ours. Internal: the file is damaged.
//
// # Limits
//
// Every transaction runs on one goroutine. [Store.Census] looks at every live
// resource. Reading a request or a page takes the same time with 1 000 000 requests
// stored as with 1000; accepting one, with one caller, took 2.3 times as long
// (2026-11), because its four random ids fall on pages that nobody else has touched.
package sqlite

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

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
	Path string           // of the file: "/var/lib/kbnt/kbnt.db"
	Now  func() time.Time // the store's clock; time.Now when nil
}

// Store is an open file. Make it with [Open], end it with [Store.Close].
type Store struct {
	clock  func() time.Time
	lock   *lock
	reader *prepared // on a pool of connections that cannot write
	writer *writer
	ends   []io.Closer // what to close at the end, in order

	once   sync.Once
	closed error
}

// Close waits for the transactions that have begun, refuses those that wait, and
// gives the file free. Closing again is the same answer.
func (s *Store) Close() error {
	s.once.Do(func() {
		s.writer.close()
		var errs []error
		for _, e := range s.ends {
			errs = append(errs, classed("Close", e.Close()))
		}
		s.closed = errors.Join(append(errs, s.lock.release())...)
	})
	return s.closed
}

// now is the store's time, as it is kept.
func (s *Store) now() time.Time { return s.clock().UTC().Truncate(time.Microsecond) }

// read runs a query beside the writer. One statement sees one state, so whatever
// belongs together is read by one.
func (s *Store) read(ctx context.Context, op string, query func(context.Context, querier) error) error {
	if ctx.Err() != nil {
		return tooLate(op, ctx, "the store was not asked")
	}
	select {
	case <-s.writer.closing:
		return closed(op)
	default:
	}
	err := query(ctx, s.reader)
	if err != nil && ctx.Err() != nil {
		return tooLate(op, ctx, "the store did not answer in time")
	}
	return classed(op, err)
}
