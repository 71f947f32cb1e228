package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"kbnt.dev/virtualization/domain"
)

// appID marks our files ("KBNT"), so that nobody else's is taken for one.
const appID = 0x4b424e54

//go:embed schema/*.sql
var schema embed.FS

// Open opens the file, making or updating what is in it. Invalid: the path
// cannot be used, the file is no database, another program's, or of a newer version.
// Unavailable: another process has it, or the disk does not answer.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := prepare(o.Path); err != nil {
		return nil, cannot(o.Path, domain.Invalid, err)
	}
	l, err := acquire(o.Path + ".lock")
	if err != nil {
		return nil, cannot(o.Path, domain.Unavailable, err)
	}
	s, err := open(ctx, o)
	if err != nil {
		return nil, errors.Join(err, l.release())
	}
	s.lock = l
	return s, nil
}

// cannot is one line for the operator: what was to be opened, and why not.
func cannot(path string, k domain.Kind, err error) error {
	return &domain.Error{Op: "open the store " + path, Kind: k, Err: err}
}

// prepare makes the file, which sqlite would make readable for everybody, and
// tells what is wrong with the path more plainly than sqlite does.
func prepare(path string) error {
	if path == "" || strings.HasPrefix(path, ":") {
		return errors.New("want the path of a file")
	}
	if i, err := os.Stat(filepath.Dir(path)); err != nil {
		return fmt.Errorf("its directory: %w", reason(err))
	} else if !i.IsDir() {
		return errors.New("its directory is a file")
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return reason(err)
	}
	return f.Close()
}

// reason is an error without the path, which the line names already.
func reason(err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return p.Err
	}
	return err
}

func open(ctx context.Context, o Options) (_ *Store, err error) {
	pool, err := sql.Open("sqlite", dsn(o.Path, "mode=rw", "journal_mode(wal)", "synchronous(full)", "foreign_keys(1)",
		"busy_timeout(5000)", "cache_size(-65536)", "temp_store(memory)", "wal_autocheckpoint(4000)"))
	if err != nil {
		return nil, cannot(o.Path, domain.Invalid, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, pool.Close())
		}
	}()
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, opening(o.Path, err)
	}
	if err := migrate(ctx, conn); err != nil {
		return nil, opening(o.Path, err)
	}
	readers, err := sql.Open("sqlite", dsn(o.Path, "mode=ro", "query_only(1)", "busy_timeout(5000)", "cache_size(-16384)", "temp_store(memory)"))
	if err != nil {
		return nil, cannot(o.Path, domain.Invalid, err)
	}
	n := max(4, runtime.GOMAXPROCS(0))
	readers.SetMaxOpenConns(n)
	readers.SetMaxIdleConns(n)
	reader, writer := &prepared{on: readers}, newWriter(conn)
	return &Store{clock: o.Now, reader: reader, writer: writer, ends: []io.Closer{reader, readers, writer.conn, conn, pool}}, nil
}

func dsn(path, mode string, pragmas ...string) string {
	q := url.Values{"_pragma": pragmas}
	// A path of its own, so that "?" or "%" in it are not taken for more.
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath(), RawQuery: mode + "&" + q.Encode()}
	return u.String()
}

// opening says what an error of the first look into a file means.
func opening(path string, err error) error {
	if e, ok := errors.AsType[*driver.Error](err); ok {
		switch e.Code() & 0xff {
		case codes.SQLITE_NOTADB:
			return cannot(path, domain.Invalid, errors.New("the file is not a SQLite database"))
		case codes.SQLITE_CORRUPT:
			return cannot(path, domain.Internal, fmt.Errorf("the file is damaged; restore a backup: %w", err))
		}
	}
	if e, ok := errors.AsType[*domain.Error](err); ok {
		return cannot(path, e.Kind, e)
	}
	return cannot(path, domain.KindOf(classed("Open", err)), err)
}

// migrate brings the schema up to date, each version in a transaction.
func migrate(ctx context.Context, conn *sql.Conn) error {
	var mode string
	var id, version, tables int
	for pragma, to := range map[string]any{"PRAGMA journal_mode": &mode, "PRAGMA application_id": &id, "PRAGMA user_version": &version,
		"SELECT count(*) FROM sqlite_schema": &tables} {
		if err := conn.QueryRowContext(ctx, pragma).Scan(to); err != nil {
			return err
		}
	}
	files, err := schema.ReadDir("schema")
	if err != nil {
		return err
	}
	switch {
	case id != appID && (tables > 0 || id != 0):
		return &domain.Error{Kind: domain.Invalid, Detail: "the file is a database of another program"}
	case version > len(files):
		return &domain.Error{Kind: domain.Invalid, Detail: fmt.Sprintf("the file has schema %d and this version knows up to %d; use the newer version", version, len(files))}
	case mode != "wal":
		return &domain.Error{Kind: domain.Invalid, Detail: "the file system does not support a write-ahead log (journal mode " + mode + "); use a local disk"}
	}
	for v := version + 1; v <= len(files); v++ {
		text, err := schema.ReadFile(fmt.Sprintf("schema/%d.sql", v))
		if err != nil {
			return err
		}
		script := fmt.Sprintf("BEGIN IMMEDIATE; %s; PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT", text, appID, v)
		if _, err := conn.ExecContext(ctx, script); err != nil {
			_, undone := conn.ExecContext(ctx, "ROLLBACK")
			return fmt.Errorf("schema %d: %w", v, errors.Join(err, undone))
		}
	}
	return nil
}
