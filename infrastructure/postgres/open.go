package postgres

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"kbnt.dev/virtualization/domain"
)

// connectionsDefault is few: transactions share them, and where 64 callers had 64,
// p99 was about 5 times that of 4, as they waited in the database instead.
const connectionsDefault = 4

// configOf reads the options. An error does not show the address: it may have a
// password in it.
func configOf(o Options) (*pgxpool.Config, error) {
	invalid := func(detail string, err error) error {
		return &domain.Error{Op: "postgres.New", Kind: domain.Invalid, Detail: detail, Err: err}
	}
	if u, err := url.Parse(o.URL); err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, invalid("the address of the database must be a URL that begins with postgres://", nil)
	}
	config, err := pgxpool.ParseConfig(o.URL)
	switch {
	case err != nil:
		return nil, invalid("the address of the database cannot be used", errors.Unwrap(err))
	case o.Connections < 0 || o.Connections > 1000:
		return nil, invalid("there must be 1 to 1000 connections", nil)
	case o.Connections > 0:
		config.MaxConns = int32(o.Connections)
	default:
		config.MaxConns = connectionsDefault
	}
	if config.ConnConfig.ConnectTimeout == 0 || config.ConnConfig.ConnectTimeout > 5*time.Second {
		config.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	config.MaxConnLifetime = 30 * time.Minute // so that a failover or a new replica is noticed
	config.MaxConnLifetimeJitter = 5 * time.Minute
	for name, value := range settings {
		if _, ok := config.ConnConfig.RuntimeParams[name]; !ok {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	return config, nil
}

// settings are those of each session, if the address does not say otherwise.
var settings = map[string]string{
	"application_name": "kbnt",
	"TimeZone":         "UTC",
	// A statement takes milliseconds. What takes longer waits for something that may
	// not come back, and its caller has better things to do than to wait along.
	"statement_timeout": "10s",
	"lock_timeout":      "5s",
	// A process that stops in the middle of a transaction must not keep a tenant locked.
	"idle_in_transaction_session_timeout": "15s",
	"jit":                                 "off", // costs more than any of our statements
	// All statements have one good plan, by index and from few rows to more; planning
	// each time would cost more than running. Until the first ANALYZE the planner takes a
	// new table for a small one, and left alone would read all of it.
	"plan_cache_mode":  "force_generic_plan",
	"enable_seqscan":   "off",
	"enable_hashjoin":  "off",
	"enable_mergejoin": "off",
	"enable_material":  "off",
}

// opening is one try to connect and to look after the tables.
type opening struct {
	done chan struct{}
	pool *pgxpool.Pool // set when done, if err is nil
	err  error
}

// failed reports whether the try is over and was in vain.
func (o *opening) failed() bool {
	select {
	case <-o.done:
		return o.err != nil
	default:
		return false
	}
}

// connected returns the pool, once its tables are there. The first caller has it
// opened, others wait; a try that failed is made again by the next caller.
func (s *Store) connected(ctx context.Context) (*pgxpool.Pool, error) {
	s.mu.Lock()
	if s.opened == nil || s.opened.failed() {
		if s.isClosing() {
			s.mu.Unlock()
			return nil, closed("open")
		}
		s.opened = &opening{done: make(chan struct{})}
		go s.open(s.opened)
	}
	o := s.opened
	s.mu.Unlock()
	select {
	case <-o.done:
		return o.pool, o.err
	case <-ctx.Done():
		return nil, tooLate("open", ctx, "the store was not there in time")
	}
}

// open makes one try. It does not end with the ctx of the caller it began for,
// as others wait for it too.
func (s *Store) open(o *opening) {
	defer close(o.done)
	ctx, cancel := context.WithTimeout(context.Background(), migrationTimeout)
	defer cancel()
	go func() { // a store that is closed waits for nobody
		select {
		case <-s.closing:
			cancel()
		case <-o.done:
		}
	}()
	pool, err := pgxpool.NewWithConfig(ctx, s.config.Copy())
	if err == nil {
		if err = migrate(ctx, pool); err != nil {
			pool.Close()
		}
	}
	if err != nil {
		o.err = classed("open", err)
		return
	}
	o.pool = pool
}

func (s *Store) isClosing() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}
