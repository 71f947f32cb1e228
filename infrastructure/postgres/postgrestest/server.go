//go:build unix

// Package postgrestest gives tests a PostgreSQL: one that is there already, or a
// server of its own that it starts from the programs of the distribution and stops
// again. It is for tests of this adapter and of what is built on it; it is no way to
// run a database.
//
// A server of its own keeps its data in a new directory, syncs to disk as a real one
// does, and can be reached only through a socket in that directory. PostgreSQL
// refuses to run as root; started by root, it runs as postgres or nobody.
package postgrestest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrMissing is why there is no server: PostgreSQL is not installed.
var ErrMissing = errors.New("PostgreSQL is not installed; on Debian: apt-get install postgresql; or set DATABASE_URL to a database that tests may use")

// Server is a PostgreSQL server.
type Server struct {
	url  string // of a database in which the caller may make schemas
	bin  string // where its programs are; empty: it is somebody else's
	dir  string
	as   *syscall.Credential // nil: as we are
	main *exec.Cmd           // nil while it is stopped
	said *os.File
}

// Use returns the server at an address, or a new one if that is empty.
// ErrMissing: it is empty, and PostgreSQL is not installed.
func Use(address string) (*Server, error) {
	if address != "" {
		return &Server{url: address}, nil
	}
	return New()
}

// New makes a server and starts it. End it with [Server.Close]. ErrMissing:
// PostgreSQL is not installed.
func New() (_ *Server, err error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin}
	if s.dir, err = os.MkdirTemp("/tmp", "kbnt-postgres-"); err != nil { // a short path: that of a socket is limited to some 100 bytes
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.as, err = credential(); err != nil {
		return nil, err
	}
	if s.as != nil {
		if err := os.Chown(s.dir, int(s.as.Uid), int(s.as.Gid)); err != nil {
			return nil, err
		}
	}
	s.url = (&url.URL{Scheme: "postgres", Path: "/postgres", RawQuery: url.Values{"host": {s.dir}, "user": {"kbnt"}}.Encode()}).String()
	// What initdb writes need not survive a loss of power; what the server writes is synced.
	made := s.command("initdb", "--pgdata", s.data(), "--username", "kbnt", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	if out, err := made.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return s, s.Start()
}

// programs finds the newest installed server.
func programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		path, err := exec.LookPath("postgres")
		if err != nil {
			return "", ErrMissing
		}
		return filepath.Dir(path), nil
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), nil
}

func version(path string) int {
	n, err := strconv.Atoi(strings.Split(path, "/")[4])
	if err != nil {
		return 0
	}
	return n
}

// credential is whom to run as.
func credential() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err, err2); err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("root cannot run PostgreSQL, and there is no user postgres or nobody")
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) command(program string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(s.bin, program), args...)
	c.Dir = s.dir
	c.SysProcAttr = &syscall.SysProcAttr{Credential: s.as, Setpgid: true} // ^C in a terminal is ours, not its
	return c
}

// Start starts a server of ours that was stopped, and returns when it answers.
func (s *Server) Start() (err error) {
	if s.said, err = os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
		return err
	}
	c := s.command("postgres", "-D", s.data(), "-k", s.dir, "-c", "listen_addresses=", "-c", "max_connections=200")
	c.Stdout, c.Stderr = s.said, s.said
	if err := c.Start(); err != nil {
		return errors.Join(err, s.said.Close())
	}
	s.main = c
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return s.await(ctx)
}

// await asks the server until it answers. Nothing tells when a socket begins to
// listen but trying.
func (s *Server) await(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.url)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			said, _ := os.ReadFile(s.said.Name())
			return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, said)
		}
	}
}

// Kill ends a server of ours as a loss of power would, but for what the operating
// system has: no checkpoint, no farewell to clients. Start begins with recovery.
func (s *Server) Kill() error { return s.stop(syscall.SIGQUIT) }

// Stop ends a server of ours in order: transactions are rolled back.
func (s *Server) Stop() error { return s.stop(syscall.SIGINT) }

func (s *Server) stop(how syscall.Signal) error {
	if s.main == nil {
		return nil
	}
	err := s.main.Process.Signal(how)
	s.main.Wait() // says how it ended, which is what was asked for
	s.main = nil
	return errors.Join(err, s.said.Close())
}

// Close ends a server of ours and removes its data. Another's is left alone.
func (s *Server) Close() error {
	if s.dir == "" {
		return nil
	}
	return errors.Join(s.Kill(), os.RemoveAll(s.dir))
}

// Ours reports whether the server may be stopped and started.
func (s *Server) Ours() bool { return s.dir != "" }

// URL is the address of the server's database.
func (s *Server) URL() string { return s.url }

// Schema makes an empty schema, which goes when the test ends, and returns the
// address of a database in which it is the only one.
func (s *Server) Schema(t testing.TB) string {
	t.Helper()
	name := "test_" + strings.ToLower(rand.Text())
	s.Exec(t, "CREATE SCHEMA "+name)
	t.Cleanup(func() { s.Exec(t, "DROP SCHEMA IF EXISTS "+name+" CASCADE") })
	u, err := url.Parse(s.url)
	if err != nil {
		t.Fatalf("address of the database: %v", err)
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String()
}

// Exec runs one statement on a connection of its own.
func (s *Server) Exec(t testing.TB, statement string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // also when the test has ended
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		t.Fatalf("connect to PostgreSQL: %v", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "SET client_min_messages = warning; "+statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}
