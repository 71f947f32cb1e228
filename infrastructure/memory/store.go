// Package memory keeps everything in maps of one process. It is for tests, and
// for trying the product without a disk. It is not a cache in front of a database,
// and nothing outlives the process.
//
// # Configuration
//
// [StoreOptions] has the clock and nothing else.
//
// # Guarantees
//
// Store is every port about requests at once, and serializable: one transaction
// or query at a time, each sees all those before it. What goes in and what comes
// out is copied, so nobody can change what is stored but through a transaction.
// Times are kept in UTC and to the microsecond, as databases keep them.
//
// # Errors
//
// Unavailable: ctx ended before it was the caller's turn; nothing happened.
// NotFound: no such request, resource or letter. Conflict: an id, a name or a
// claim is taken. Internal: a decision without a request or a resource.
//
// # Limits
//
// Lists, counts and sums look at every row. That is fast for thousands of
// requests and slow for millions.
package memory

import (
	"context"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

var _ interface {
	application.Store
	application.Records
	application.Agenda
	application.Graveyard
	application.Statistics
} = (*Store)(nil)

// StoreOptions configures a [Store]. The zero value is ready.
type StoreOptions struct {
	Now func() time.Time // the store's clock; time.Now when nil
}

// Store holds requests, resources, claims, events and dead letters. Make it with
// [NewStore]; copy no Store.
type Store struct {
	clock func() time.Time
	turn  chan struct{} // holds one token while somebody is inside; a mutex that can be waited for with a ctx

	requests   map[string]*domain.Request // by message id
	messages   map[requestKey]string      // message ids
	steps      map[string][]domain.Step   // by message id, as recorded
	resources  map[string]*domain.Resource
	virtualIDs map[string]string                  // uids
	pools      map[string]map[string]domain.Claim // by pool and value
	outbox     map[string]*application.Outgoing
	events     map[string][]string // event ids by message id
	deliveries map[deliveryKey]int
	letters    map[string]*application.DeadLetter
}

type (
	requestKey  struct{ tenant, id string }
	deliveryKey struct{ function, event string }
)

// NewStore returns an empty store.
func NewStore(o StoreOptions) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Store{
		clock:      o.Now,
		turn:       make(chan struct{}, 1),
		requests:   map[string]*domain.Request{},
		messages:   map[requestKey]string{},
		steps:      map[string][]domain.Step{},
		resources:  map[string]*domain.Resource{},
		virtualIDs: map[string]string{},
		pools:      map[string]map[string]domain.Claim{},
		outbox:     map[string]*application.Outgoing{},
		events:     map[string][]string{},
		deliveries: map[deliveryKey]int{},
		letters:    map[string]*application.DeadLetter{},
	}
}

// enter waits for the caller's turn, which ends with leave.
func (s *Store) enter(ctx context.Context, op string) (leave func(), err error) {
	if ctx.Err() == nil { // select would pick at random
		select {
		case s.turn <- struct{}{}:
			return func() { <-s.turn }, nil
		case <-ctx.Done():
		}
	}
	return nil, &domain.Error{Op: "memory." + op, Kind: domain.Unavailable, Detail: "the store was not free in time", Err: ctx.Err()}
}

// now is the store's time. Only whoever is inside asks.
func (s *Store) now() time.Time { return kept(s.clock()) }

func refuse(op string, k domain.Kind, detail string) error {
	return &domain.Error{Op: "memory." + op, Kind: k, Detail: detail}
}
