package avro

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
)

// memo keeps what was found for each key, for ever. One caller at a time looks
// for a key, with its own ctx and no goroutine besides; others wait for what it
// finds. What was not found is not kept: the next caller looks again.
type memo[K comparable, V any] struct {
	found   atomic.Pointer[map[K]V] // replaced, never changed: a look takes no lock
	mu      sync.Mutex
	flights map[K]*flight[V]
}

// flight is one caller's search.
type flight[V any] struct {
	done      chan struct{}
	value     V
	err       error
	abandoned bool // the caller went away, which says nothing about the key
}

// peek returns what is known of key, and waits for nothing.
func (m *memo[K, V]) peek(key K) (V, bool) {
	if found := m.found.Load(); found != nil {
		v, ok := (*found)[key]
		return v, ok
	}
	var none V
	return none, false
}

// keep makes v known.
func (m *memo[K, V]) keep(key K, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(key, v)
}

func (m *memo[K, V]) add(key K, v V) {
	next := make(map[K]V)
	if found := m.found.Load(); found != nil {
		maps.Copy(next, *found)
	}
	next[key] = v
	m.found.Store(&next)
}

// find returns what is known of key, or else what search finds. It returns when
// ctx ends, with its cause.
func (m *memo[K, V]) find(ctx context.Context, key K, search func(context.Context) (V, error)) (V, error) {
	for {
		if v, ok := m.peek(key); ok {
			return v, nil
		}
		f, mine := m.board(key)
		if f == nil {
			continue // found meanwhile
		}
		if mine {
			m.fly(ctx, key, f, search)
			return f.value, f.err
		}
		select {
		case <-f.done:
			if !f.abandoned {
				return f.value, f.err
			}
		case <-ctx.Done():
			var none V
			return none, context.Cause(ctx)
		}
	}
}

// board returns the flight of key, a new one if nobody is looking: then it is
// the caller's own to fly. It returns nil when the key is known.
func (m *memo[K, V]) board(key K) (f *flight[V], mine bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.peek(key); ok {
		return nil, false
	}
	if f, ok := m.flights[key]; ok {
		return f, false
	}
	if m.flights == nil {
		m.flights = make(map[K]*flight[V])
	}
	f = &flight[V]{done: make(chan struct{}), abandoned: true}
	m.flights[key] = f
	return f, true
}

// fly searches and tells those who wait, even if search panics.
func (m *memo[K, V]) fly(ctx context.Context, key K, f *flight[V], search func(context.Context) (V, error)) {
	defer func() {
		m.mu.Lock()
		delete(m.flights, key)
		if !f.abandoned && f.err == nil {
			m.add(key, f.value)
		}
		m.mu.Unlock()
		close(f.done)
	}()
	f.value, f.err = search(ctx)
	f.abandoned = f.err != nil && ctx.Err() != nil
}
