package application

import (
	"maps"
	"slices"
	"time"

	"kbnt.dev/virtualization/domain"
)

// Event is one CloudEvent, encoded. Its bytes are stored before it is sent and
// are the same at every sending.
type Event struct {
	ID          string // of what is stored; and of the event on the wire, unless WireID says otherwise
	WireID      string // a dead letter is stored under an id of its own, and goes out under that of the event that failed
	Type        string
	Source      string
	Subject     string
	Time        time.Time
	DataSchema  string
	ContentType string
	Extensions  map[string]string
	Data        []byte
	Topic       string // where it goes, or came from; configuration knows the address
}

// Notice is what an event of ours tells: which request to look at. Everything
// else is read from the store.
type Notice struct {
	MessageID string
	Schema    string // name and version, for the history
	Type      domain.RequestType
	Took      time.Duration // verifying and decoding
}

// Arrival is one delivery of an event to a function.
type Arrival struct {
	Function  string // intake, provision, notify
	EventID   string
	Partition int // -1 when unknown
	Offset    int64
	SentAt    time.Time // the event's time
	GaveUp    string    // what was answered last, when a source gave up and sent the event to the dead letters; else empty
}

// Outgoing is a stored event and whether it waits to be sent.
type Outgoing struct {
	Event
	MessageID string    // of the request it belongs to; empty for a dead letter of none
	ArmedAt   time.Time // zero: nothing to send
	AckedAt   time.Time // last acknowledged by the sink; zero: never
	Sends     int       // acknowledged so often
}

// Record is one request with everything about it.
type Record struct {
	Request  domain.Request
	Resource domain.Resource
	Steps    []domain.Step // in the order they were recorded
}

// DeadLetter is an event that was given up on, or an operation that needs an operator.
type DeadLetter struct {
	ID        string // derived from event and function
	Tenant    string // empty when no request is known
	MessageID string // empty when no request is known
	RequestID string
	Function  string
	Reason    string // one of the contract's
	Detail    string // for the operator
	Event     Event
	State     LetterState
	ResumedAs string // id of the request made by resuming
	At        time.Time
}

// LetterState is what became of a dead letter.
type LetterState string

const (
	LetterOpen    LetterState = "OPEN"
	LetterResumed LetterState = "RESUMED"
	LetterMoot    LetterState = "MOOT" // its request finished all the same
)

// RequestFilter selects requests. Zero fields select everything.
type RequestFilter struct {
	Status domain.Outcome
	Type   domain.RequestType
	Limit  int    // 1..100
	Before string // message id of the last one of the page before
}

// ResourceFilter selects resources. Zero fields select the live ones.
type ResourceFilter struct {
	Kind   domain.ResourceKind
	Gone   bool   // those that are no more, too
	Limit  int    // 1..100
	Before string // uid of the last one of the page before
}

// Census is what the store knows about the world, all tenants together.
type Census struct {
	Live        map[domain.ResourceKind]int // ready ones: RUNNING or STOPPED, ALLOCATED, ACTIVE
	Queue       map[domain.Priority]int     // unfinished requests
	Waiting     int                         // requests that provision has not seen yet
	OldestSince time.Time                   // since when the oldest of those waits; zero: none
	DeadLetters map[string]int              // open ones by reason
	Stuck       int                         // undecided for longer than 10 minutes past their deadline
	Cost        domain.Money                // accrued by all resources there ever were
	Now         time.Time                   // the store's clock
}

// AdmitScope names what admission looks at.
type AdmitScope struct {
	Tenant    string
	RequestID string
	Kind      domain.ResourceKind
	VirtualID string          // of the new resource, with 8 digits; empty when none is made
	TargetID  string          // virtualResourceId to work on; may be empty
	Name      string          // the client's resourceId: of the target, or of the new resource; may be empty
	Priority  domain.Priority // whose lane to count
}

// Tenancy is what admission sees of a tenant, locked.
type Tenancy struct {
	Now       time.Time
	Existing  *Record            // the request with that id, if there is one
	Usage     domain.Usage       //
	Target    *domain.Resource   // live resource by TargetID or, without one, by Name
	Blocker   string             // request id of the unfinished request on Target
	Users     []string           // virtual ids of live machines on Target, when it is a network
	Networks  []*domain.Resource // the tenant's live networks
	Taken     []string           // virtual ids that begin with VirtualID
	Ahead     int                // unfinished requests in the lane
	DisplayNo int                // next number of a machine of today (UTC)

	Admitted *Admission // what the decision adds; nil adds nothing
}

// Admission is what an admitted request adds to the store. Target, when it is
// set and not new, is saved with the marks the decision put on it.
type Admission struct {
	Request  *domain.Request
	Resource *domain.Resource // new or changed
	New      bool             // Resource is new
	Steps    []domain.Step
	Event    Event // armed
}

// Scope names what a change looks at. Either MessageID, or Tenant and
// RequestID.
type Scope struct {
	MessageID string
	Tenant    string
	RequestID string
	Arrival   *Arrival // noted in the inbox, and counted in Work.Deliveries
	Pools     []string // claims to load and lock
}

// Work is what a change sees and writes: one request with its resource, locked.
// The change writes into Request and Resource and uses the methods for the rest.
type Work struct {
	Now        time.Time // the store's clock
	Request    *domain.Request
	Resource   *domain.Resource
	Steps      []domain.Step
	Outbox     map[string]Outgoing       // this request's, by event id
	Deliveries int                       // of this arrival's event to this function, this one included
	Pools      map[string][]domain.Claim // as asked for

	Additions Additions // for adapters
}

// Additions is what a change adds, for an adapter to save.
type Additions struct {
	Steps    []domain.Step // to insert, or to replace where one of that name exists
	Events   []Event       // to insert, armed; those that exist are left alone
	Armed    []string      // event ids to arm now
	Acked    []Ack
	Claims   []domain.Claim // to insert or replace by (Pool, Value)
	Free     bool           // release all claims of the resource
	CoolDown time.Duration  // how long released addresses stay unused
	Letters  []DeadLetter   // to insert; those that exist are left alone, or opened again if they were resumed
}

// Ack says that the sending of an event that was armed at a time is over.
type Ack struct {
	EventID string
	ArmedAt time.Time // an event armed again since then stays armed
}

// Record returns what a codec needs, as the change has made it so far.
func (w *Work) Record() Record {
	return Record{Request: *w.Request.Clone(), Resource: *w.Resource.Clone(), Steps: slices.Clone(w.Steps)}
}

// Step returns the line of that name.
func (w *Work) Step(name domain.StepName) (domain.Step, bool) {
	i := slices.IndexFunc(w.Steps, func(s domain.Step) bool { return s.Name == name })
	if i < 0 {
		return domain.Step{}, false
	}
	return w.Steps[i], true
}

// Note adds lines to the history. A line that exists stays as it is.
func (w *Work) Note(steps ...domain.Step) {
	for _, s := range steps {
		if _, ok := w.Step(s.Name); !ok {
			w.Steps = append(w.Steps, s)
			w.Additions.Steps = append(w.Additions.Steps, s)
		}
	}
}

// Compensate marks a line as undone, if it says that it succeeded.
func (w *Work) Compensate(name domain.StepName) {
	for i, s := range w.Steps {
		if s.Name == name && s.Status == domain.StepSuccess {
			s.Status = domain.StepCompensated
			w.Steps[i] = s
			w.Additions.Steps = append(w.Additions.Steps, s)
		}
	}
}

// Send stores an event to be sent after the commit. One with that id that is
// stored already keeps its bytes, armed or not.
func (w *Work) Send(e Event) {
	if _, ok := w.Outbox[e.ID]; ok {
		return
	}
	if w.Outbox == nil {
		w.Outbox = map[string]Outgoing{}
	}
	w.Outbox[e.ID] = Outgoing{Event: e, MessageID: w.Request.MessageID, ArmedAt: w.Now}
	w.Additions.Events = append(w.Additions.Events, e)
}

// Arm has a stored event sent again. It does nothing if there is none of that id.
func (w *Work) Arm(eventID string) {
	if o, ok := w.Outbox[eventID]; ok {
		o.ArmedAt = w.Now
		w.Outbox[eventID] = o
		w.Additions.Armed = append(w.Additions.Armed, eventID)
	}
}

// Acknowledge notes that the sink took the event that was armed at that time.
// One armed again since then stays armed.
func (w *Work) Acknowledge(eventID string, armedAt time.Time) {
	o, ok := w.Outbox[eventID]
	if !ok {
		return
	}
	if o.ArmedAt.Equal(armedAt) {
		o.ArmedAt = time.Time{}
	}
	o.AckedAt, o.Sends = w.Now, o.Sends+1
	w.Outbox[eventID] = o
	w.Additions.Acked = append(w.Additions.Acked, Ack{EventID: eventID, ArmedAt: armedAt})
}

// Claim makes the resource hold parts of pools. The change has looked into
// Pools and found them free; the store refuses (Conflict) what another holds.
func (w *Work) Claim(claims ...domain.Claim) {
	for _, c := range claims {
		if w.Pools == nil {
			w.Pools = map[string][]domain.Claim{}
		}
		w.Pools[c.Pool] = append(w.Pools[c.Pool], c)
		w.Additions.Claims = append(w.Additions.Claims, c)
	}
}

// Free releases everything the resource holds. Addresses stay unused for a
// while, because caches of neighbours may still point at them. They are the
// claims of pools that begin with "ip/".
func (w *Work) Free(coolDown time.Duration) {
	w.Additions.Free, w.Additions.CoolDown = true, coolDown
}

// Bury stores a dead letter about this request. The same one twice is one.
func (w *Work) Bury(d DeadLetter) {
	if slices.ContainsFunc(w.Additions.Letters, func(l DeadLetter) bool { return l.ID == d.ID }) {
		return
	}
	d.Tenant, d.MessageID, d.RequestID, d.State, d.At = w.Request.Tenant, w.Request.MessageID, w.Request.ID, LetterOpen, w.Now
	w.Additions.Letters = append(w.Additions.Letters, d)
}

// Pending returns this request's stored event of that id if it waits to be sent.
func (w *Work) Pending(eventID string) (Outgoing, bool) {
	o, ok := w.Outbox[eventID]
	return o, ok && !o.ArmedAt.IsZero()
}

// Clone returns a copy that shares no map.
func (e Event) Clone() Event {
	e.Extensions, e.Data = maps.Clone(e.Extensions), slices.Clone(e.Data)
	return e
}
