package application

import (
	"log/slog"
	"time"

	"kbnt.dev/virtualization/domain"
)

// Database is all ports about what is kept; one store is usually all of them.
type Database interface {
	Store
	Records
	Agenda
	Graveyard
	Statistics
}

// Ports are what the use cases of one function need of the world. Those marked
// with a function's name may be left out elsewhere.
type Ports struct {
	Database    Database
	Codec       Codec
	Sender      Sender
	Meter       Meter
	Clock       Clock
	Log         *slog.Logger
	Permissions Permissions   // intake
	Policies    Policies      // intake
	Hypervisor  Hypervisor    // provision
	Orphans     func(n int)   // provision: told by each sweep how many there are
	Holder      func() string // provision: a new name at each call
}

// Tunables are what an operator may set. Zero values of those below the empty
// line choose the default.
type Tunables struct {
	Offer       domain.Offer  // intake: what it offers to its tenants
	Region      string        // provision: label of metrics
	SendFor     time.Duration // longest wait for a sink
	Budget      time.Duration // provision: of the calls of one delivery
	Patience    time.Duration // provision: how long one delivery waits for readiness; below Budget
	Poll        time.Duration // between two looks at what is waited for
	MaxAttempts int           // provision: deliveries that are trouble before the request fails
	Reap        bool          // provision: delete orphans

	Unsent    time.Duration // how long an event may wait before another function than its own sends it; default 5 s, at least 2 SendFor
	Untouched time.Duration // how long an unfinished request may be quiet; default 30 s
	Landing   time.Duration // how long a call may take effect after its caller gave up; default 10 s
	CoolDown  time.Duration // how long a released address stays unused; default 1 min
	Stranger  time.Duration // how old an event of an unknown request must be to be given up on; default 1 min
	Orphan    time.Duration // how old a thing of no live resource must be to be an orphan; default 5 min
}

// UseCases are those of one function, on the same ports and with one relay.
type UseCases struct {
	Submit    *Submit
	Track     *Track
	Cancel    *Cancel
	Resume    *Resume
	Provision *Provision
	Sweep     *Sweep
	Notify    *Notify
	Poison    *Poison
	Relay     *Relay
	Unsent    time.Duration // for Relay.Tidy
}

// New makes the use cases of a function: "intake", "provision" or "notify".
// Making them calls no port. Those that lack a port must not be used.
func New(function string, p Ports, t Tunables) UseCases {
	t = t.filled()
	store := Journal{Store: p.Database, Log: p.Log}
	relay := &Relay{Store: store, Agenda: p.Database, Sender: p.Sender, Meter: p.Meter, Clock: p.Clock}
	poison := &Poison{
		Store: store, Graveyard: p.Database, Codec: p.Codec, Relay: relay, Meter: p.Meter, Log: p.Log, Clock: p.Clock,
		Function: function, Grace: t.Stranger,
	}
	submit := &Submit{
		Store: store, Permissions: p.Permissions, Policies: p.Policies, Codec: p.Codec, Relay: relay,
		Estimates: &Estimates{Statistics: p.Database, Offer: t.Offer, Clock: p.Clock},
		Offer:     t.Offer, Meter: p.Meter, Clock: p.Clock, SendFor: t.SendFor, Unsent: t.Unsent,
	}
	return UseCases{
		Submit: submit,
		Track:  &Track{Records: p.Database, Poll: t.Poll},
		Cancel: &Cancel{Store: store, Relay: relay},
		Resume: &Resume{Store: store, Records: p.Database, Graveyard: p.Database, Submit: submit, Relay: relay},
		Provision: &Provision{
			Store: store, Records: p.Database, Agenda: p.Database, Hypervisor: p.Hypervisor, Codec: p.Codec, Relay: relay,
			Meter: p.Meter, Clock: p.Clock, Log: p.Log, Holder: p.Holder, Poison: poison,
			Function: function, Region: t.Region, Budget: t.Budget, Landing: t.Landing, Patience: t.Patience,
			Poll: t.Poll, CoolDown: t.CoolDown, MaxAttempts: t.MaxAttempts,
		},
		Sweep: &Sweep{
			Store: store, Agenda: p.Database, Graveyard: p.Database, Hypervisor: p.Hypervisor, Relay: relay,
			Clock: p.Clock, Log: p.Log, Unsent: t.Unsent, Untouched: t.Untouched, Grace: t.Orphan, Reap: t.Reap, Orphans: p.Orphans,
		},
		Notify: &Notify{Store: store, Codec: p.Codec, Relay: relay, Meter: p.Meter, Clock: p.Clock, Poison: poison},
		Poison: poison, Relay: relay, Unsent: t.Unsent,
	}
}

func (t Tunables) filled() Tunables {
	for _, d := range []struct {
		of       *time.Duration
		fallback time.Duration
	}{
		{&t.Unsent, max(5*time.Second, 2*t.SendFor)},
		{&t.Untouched, 30 * time.Second},
		{&t.Landing, 10 * time.Second},
		{&t.CoolDown, time.Minute},
		{&t.Stranger, time.Minute},
		{&t.Orphan, 5 * time.Minute},
	} {
		if *d.of == 0 {
			*d.of = d.fallback
		}
	}
	return t
}
