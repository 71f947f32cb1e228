package application

import (
	"context"
	"iter"
	"time"

	"kbnt.dev/virtualization/domain"
)

// All ports on one page. Every adapter passes the contract of its port in
// applicationtest. Errors carry a [domain.Kind]; one without is taken for
// Internal. All methods are safe for concurrent use, and end soon after ctx does.

// Store runs the transactions. Both methods lock, load, call the function once
// with what they loaded, and save what it changed, all or nothing: an error of
// the function saves nothing and is returned as it is.
//
// The function decides and must do nothing else: no I/O, no call of the Store.
// It may be called again if the transaction has to be repeated, together with
// functions of other calls inside one commit, and its effect counts only when the
// method returns nil. Unavailable: the store did not answer, or its answer was
// lost; the transaction may or may not have happened. Callers try again: every
// transaction of this product is made so that twice is once.
//
// Locks are taken in one order everywhere: tenant, request, resource, claims,
// outbox.
type Store interface {
	// Admit locks a tenant and loads what admission looks at. A function that
	// returns nil without setting [Tenancy.Admitted] saves nothing.
	Admit(ctx context.Context, scope AdmitScope, decide func(*Tenancy) error) error

	// Change locks one request and its resource. NotFound: no such request.
	Change(ctx context.Context, scope Scope, change func(*Work) error) error
}

// Records answers what the store knows, without locks. A request, resource or
// page of another tenant is NotFound or empty.
type Records interface {
	// Request returns one request with its resource and history.
	Request(ctx context.Context, tenant, id string) (Record, error)

	// Requests returns a page, newest first.
	Requests(ctx context.Context, tenant string, filter RequestFilter) ([]domain.Request, error)

	// Resource returns one resource by its virtualResourceId, gone ones too.
	Resource(ctx context.Context, tenant, virtualID string) (domain.Resource, error)

	// Resources returns a page, newest first.
	Resources(ctx context.Context, tenant string, filter ResourceFilter) ([]domain.Resource, error)

	// Usage is computed from the live resources and unfinished requests.
	Usage(ctx context.Context, tenant string) (domain.Usage, error)
}

// Agenda finds what no event woke, for the sweep. It only finds: each finding
// is settled by a transaction of its own, which looks again. Limits bound a batch;
// what is locked by others may be left out.
type Agenda interface {
	// Armed returns stored events that wait to be sent, armed for longer than
	// the given time, oldest first, with their bytes.
	Armed(ctx context.Context, longer time.Duration, limit int) ([]Outgoing, error)

	// Overdue returns the message ids of undecided requests past their
	// deadline that still drive to their target, the earliest deadline first. A
	// deletion that has begun is left out: nothing can turn it.
	Overdue(ctx context.Context, limit int) ([]string, error)

	// Stalled returns the message ids of unfinished requests untouched for so
	// long whose resource nobody holds a lease on, the longest untouched first.
	Stalled(ctx context.Context, untouched time.Duration, limit int) ([]string, error)

	// Standing tells of each uid whether a live resource has it. Unknown uids
	// are not live.
	Standing(ctx context.Context, uids []string) (map[string]bool, error)

	// Acknowledge notes that an event of no request (a dead letter's) was sent.
	// For all others, see [Work.Acknowledge]. NotFound: no such event.
	Acknowledge(ctx context.Context, eventID string, armedAt time.Time) error
}

// Graveyard keeps dead letters.
type Graveyard interface {
	// Bury stores a dead letter that belongs to no known request, with the event
	// to send about it. Burying the same again changes nothing, unless it
	// was resumed: it did not help, and the letter is open again. A letter without
	// a state is open; one without a time is of now.
	Bury(ctx context.Context, letter DeadLetter, event *Event) error

	// DeadLetters returns a page, newest first, after the letter whose id is the
	// cursor. An empty tenant sees all.
	DeadLetters(ctx context.Context, tenant string, limit int, cursor string) ([]DeadLetter, error)

	// DeadLetter returns one. NotFound: no such letter.
	DeadLetter(ctx context.Context, id string) (DeadLetter, error)

	// Resumed notes that a letter was resumed, as which request, if any.
	// NotFound: no such letter.
	Resumed(ctx context.Context, id, requestID string) error

	// Moot closes open letters of requests that were completed or cancelled
	// meanwhile, and says how many. One of a failed request stays open: it may
	// still be resumed, as a new request.
	Moot(ctx context.Context) (int, error)
}

// Statistics are about the whole world, for metrics and estimates.
type Statistics interface {
	// Census counts everything, at the moment of the call.
	Census(ctx context.Context) (Census, error)

	// Durations returns how long the last n completed requests of a type took,
	// from acceptance to decision, newest first.
	Durations(ctx context.Context, t domain.RequestType, n int) ([]time.Duration, error)
}

// Documents keeps small documents that are written by compare and swap: the
// world of the simulated hypervisor.
type Documents interface {
	// Read returns a document and its generation; a missing one is nil and 0.
	Read(ctx context.Context, name string) (data []byte, generation int64, err error)

	// Write replaces the document if its generation is still the given one (0:
	// if it does not exist), and returns the new generation. Nil data deletes
	// it. Conflict: somebody else wrote meanwhile.
	Write(ctx context.Context, name string, data []byte, generation int64) (int64, error)

	// Names lists documents by prefix, in order.
	Names(ctx context.Context, prefix string) ([]string, error)
}

// Hypervisor makes and unmakes things on one kind of host.
//
// Every method is idempotent, because events are delivered at least once: the
// same call may come again, from another instance. None waits for readiness:
// each returns what it sees.
type Hypervisor interface {
	// Capabilities says what the driver is and can do. It may change when hosts
	// come and go.
	Capabilities(ctx context.Context) (Capabilities, error)

	// Ensure sees to it that the thing exists, or is being made, and has the
	// power state wanted. One that exists with the same spec is success.
	// Conflict: the key exists with another spec or owner; nothing was touched.
	// Unavailable: it may or may not have happened, or there is no room just now.
	// NotFound: something it needs (network, volume, image) does not exist.
	// Invalid: the hypervisor will never make such a thing. Exhausted: a quota of
	// the hypervisor. Forbidden: our own permissions do not suffice.
	Ensure(ctx context.Context, want domain.Desired) (domain.Observation, error)

	// Observe looks and changes nothing. A missing thing is seen as Absent.
	Observe(ctx context.Context, key domain.Key) (domain.Observation, error)

	// Delete sees to it that the thing goes, a half-made one too. One that does
	// not exist is success, seen as Absent; a foreign one is not touched
	// (Conflict).
	Delete(ctx context.Context, key domain.Key) (domain.Observation, error)

	// List yields everything that is ours, until an error ends it.
	List(ctx context.Context) iter.Seq2[domain.Observation, error]
}

// Capabilities of a hypervisor.
type Capabilities struct {
	Driver    string        // "simulated", "kubevirt", "libvirt"
	Simulated bool          // nothing real is made
	Hosts     []domain.Host // to place things on; empty when the hypervisor places by itself
	Guards    Guards
}

// Guards says what the hypervisor refuses by itself.
type Guards struct {
	Addresses bool // the same address twice on one network
	Capacity  bool // more than a host has
}

// Codec turns what the store holds into events, and events into notices.
//
// Requested, Result and Terminal are called inside transactions: they wait for
// nothing. Unavailable, with the code "registry-away", says that what they need
// from elsewhere is not there yet: nothing was done, and time helps.
type Codec interface {
	// Requested wakes provision: the request with its history so far.
	Requested(r Record, at time.Time) (Event, error)

	// Result wakes notify: what was decided.
	Result(r Record, at time.Time) (Event, error)

	// Terminal is the public event about the outcome.
	Terminal(r Record, at time.Time) (Event, error)

	// Buried is what goes to the dead letter topic about an event that cannot be
	// handled: the event unchanged, and the reason.
	Buried(e Event, reason string) Event

	// Open verifies an event of ours and tells which request it names. Invalid,
	// with the code "checksum-mismatch", "undecodable" or "unknown-type": it will
	// never be good. Unavailable, with the code "registry-away": its schema could
	// not be had before ctx ended, or in the time the codec gives it.
	Open(ctx context.Context, e Event) (Notice, error)
}

// Sender posts one event to where its topic is fed.
type Sender interface {
	// Send returns nil when the sink has acknowledged the event. Unavailable:
	// it may or may not have been taken; sending it again is the same event.
	Send(ctx context.Context, e Event) error
}

// Permissions decides what a caller may do.
type Permissions interface {
	// Check returns a violation (Forbidden) for each thing the caller may not
	// do. target is the resource named by the draft, nil if there is none.
	Check(c domain.Caller, d domain.Draft, target *domain.Resource) []domain.Violation
}

// Policies judges a draft by the operator's security policies. The draft may
// break other rules, too: what it asks for may be missing or out of range.
type Policies interface {
	// Judge is called inside transactions: it waits for nothing. Unavailable, with
	// the code [PoliciesBroken]: the policies cannot be applied, and nothing is
	// admitted until the operator has mended them; the detail says where.
	Judge(c domain.Caller, d domain.Draft, hourly domain.Money) (Judgement, error)
}

// PoliciesBroken is the code of an error that says that policies cannot be
// applied. Its detail names a policy and its place, and may be shown to anybody.
const PoliciesBroken = "policies-broken"

// Judgement is what policies say of a draft.
type Judgement struct {
	Broken []domain.Violation
	Values string // which policies were looked at, how they went and what they looked at; kept with the request
}

// Meter counts and times. Names and labels are those of metrics.go.
type Meter interface {
	// Add adds to a counter.
	Add(m Metric, value float64, labels ...string)

	// Observe notes one value of a histogram, in the metric's unit.
	Observe(m Metric, value float64, labels ...string)
}

// Clock tells the time of this process. Time that decides anything comes from
// the store instead ([Work.Now]); this one measures durations.
type Clock func() time.Time
