// Package probe answers the readiness probes of one process: may requests come,
// and how long did it take from the start of the process until they might.
//
// It does not answer liveness probes: a process that cannot reach its store is
// not to be killed for it.
//
// # Configuration
//
// What is looked at, how long an answer lasts, how long a probe waits for one.
//
// # Guarantees
//
// A probe is answered in bounded time. However many come at once, one look is
// under way; it goes on when the probe that began it is gone, because the first
// one opens connections and may take longer than a probe waits.
//
// # Errors
//
// What a probe answers is read by anybody who reaches the function, so it names
// what is away and no address. Why it is away is logged, when that begins and
// when it ends.
//
// # Limits
//
// A readiness is as old as MaxAge. Each look is one goroutine, for Timeout at most.
package probe

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Defaults of [Options]. Kubernetes waits 1 s for the answer of a probe unless
// told otherwise.
const (
	DefaultMaxAge   = time.Second
	DefaultPatience = 900 * time.Millisecond
	DefaultTimeout  = 15 * time.Second
)

// Options of a [Probe].
type Options struct {
	Name  string                      // of what is looked at: "the store"
	Look  func(context.Context) error // nil: it is there. Required
	First func(took time.Duration)    // told once: from the start of the process to the first success; may be nil

	MaxAge   time.Duration // how long a success lasts; a failure lasts a quarter of it, because somebody waits. 0: DefaultMaxAge
	Patience time.Duration // how long one probe waits for a look. 0: DefaultPatience
	Timeout  time.Duration // of one look. 0: DefaultTimeout
	Log      *slog.Logger  // nil: slog.Default
}

// All is a look at several things, one after the other, until one is away.
func All(looks ...func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, look := range looks {
			if err := look(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}

// Probe remembers what it saw last. It is safe for concurrent use.
type Probe struct {
	Options
	started time.Time // of the process

	mu    sync.Mutex
	look  *look // under way; nil: none is
	last  error
	at    time.Time // of last; zero: never looked
	begun bool      // it was there once
}

// look is one look at what the probe is about.
type look struct {
	since time.Time
	ended chan struct{}
}

// New looks at nothing yet.
func New(o Options) *Probe {
	o.MaxAge = cmp.Or(o.MaxAge, DefaultMaxAge)
	o.Patience = cmp.Or(o.Patience, DefaultPatience)
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.Log = cmp.Or(o.Log, slog.Default())
	return &Probe{Options: o, started: started("/proc", time.Now())}
}

// Ready returns nil when what is looked at was there a moment ago.
func (p *Probe) Ready(ctx context.Context) error {
	under, known, err := p.begin(ctx)
	if known {
		return err
	}
	patience := time.NewTimer(p.Patience)
	defer patience.Stop()
	select {
	case <-under.ended:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.answer()
	case <-patience.C:
	case <-ctx.Done():
	}
	return fmt.Errorf("%s has not answered for %s", p.Name, time.Since(under.since).Round(time.Millisecond))
}

// begin returns what is known, or else the look that is under way.
func (p *Probe) begin(ctx context.Context) (under *look, known bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	lasts := p.MaxAge
	if p.last != nil {
		lasts /= 4
	}
	if !p.at.IsZero() && time.Since(p.at) < lasts {
		return nil, true, p.answer()
	}
	if p.look == nil {
		p.look = &look{since: time.Now(), ended: make(chan struct{})}
		go p.see(context.WithoutCancel(ctx), p.look)
	}
	return p.look, false, nil
}

// see looks, and remembers what it saw.
func (p *Probe) see(ctx context.Context, l *look) {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	err := p.Look(ctx)

	p.mu.Lock()
	defer p.mu.Unlock()
	defer close(l.ended)
	before := p.last
	p.look, p.last, p.at = nil, err, time.Now()
	switch {
	case err != nil && before == nil:
		p.Log.WarnContext(ctx, "not ready", "away", p.Name, "error", err)
	case err == nil && !p.begun:
		took := time.Since(p.started)
		p.begun = true
		p.Log.InfoContext(ctx, "ready", "coldStartSeconds", took.Seconds())
		if p.First != nil {
			p.First(took)
		}
	case err == nil && before != nil:
		p.Log.InfoContext(ctx, "ready again", "back", p.Name)
	}
}

// answer is the last look, as anybody may read it.
func (p *Probe) answer() error {
	if p.last == nil {
		return nil
	}
	return fmt.Errorf("%s cannot be reached; the log says why", p.Name)
}
