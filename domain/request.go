package domain

import (
	"slices"
	"time"
)

// Priority is the lane a request is reported in. A Kafka topic keeps its order,
// so a lane does not overtake another.
type Priority string

const (
	Low    Priority = "LOW"
	Normal Priority = "NORMAL"
	High   Priority = "HIGH"
)

// Priorities lists every lane.
func Priorities() []Priority { return []Priority{Low, Normal, High} }

// Outcome is how a request ended. It is written once.
type Outcome string

const (
	Undecided Outcome = ""
	Completed Outcome = "COMPLETED"
	Fault     Outcome = "FAILED"
	Cancelled Outcome = "CANCELLED"
)

// Processing is the status of a request whose outcome is not announced yet.
const Processing Outcome = "PROCESSING"

// Phase says how far an unfinished request is, for people. No rule reads it.
type Phase string

const (
	PhaseValidated    Phase = "VALIDATED"    // committed, its event not yet acknowledged
	PhasePublished    Phase = "PUBLISHED"    // its event is in the topic
	PhaseReceived     Phase = "RECEIVED"     // provision saw it
	PhaseProvisioning Phase = "PROVISIONING" // the hypervisor is at work
	PhaseVerifying    Phase = "VERIFYING"    // it exists and is not ready yet
	PhaseCompensating Phase = "COMPENSATING" // it is being undone
	PhaseNotifying    Phase = "NOTIFYING"    // decided, not announced yet
	PhaseDone         Phase = "DONE"         // announced
)

// Goal is the end of the move that provision drives to. It starts as ToTarget
// and may turn once to ToOrigin: by a cancel, a passed deadline, a final error,
// or attempts used up.
type Goal string

const (
	ToTarget Goal = "to"
	ToOrigin Goal = "from"
)

// Reasons why a goal was turned round, or an outcome is not COMPLETED.
const (
	ReasonCancelled         = "cancelled"          // the client asked
	ReasonDeadline          = "deadline-exceeded"  // not ready in time
	ReasonAttemptsExhausted = "attempts-exhausted" // trouble as often as is allowed
	ReasonRefused           = "refused"            // a final answer of the hypervisor; its code follows after a colon
	ReasonUndelivered       = "undelivered"        // of a dead letter: a source gave up; no request ends by it
)

// Request is a move of one resource from a state to a state, what a client
// asked for and how far it is. The store keeps it for ever: an id is never used
// again.
type Request struct {
	Tenant    string
	ID        string // the client's, unique in the tenant
	MessageID string // derived from both, unique everywhere
	BodyHash  string // what was asked, as understood; tells a repetition from a reuse of the id

	Type          RequestType
	User          string // whom it is for
	CorrelationID string
	CausationID   string // what caused it: the CloudEvent posted, the request resumed; may be empty
	Priority      Priority
	Transport     string // "JSON" or "CloudEvent"
	TraceParent   string // W3C; may be empty
	Labels        Labels
	Spec          Specification // empty for an operation on what exists
	Decision      []Ruling      // why it was admitted

	ResourceUID string
	From, To    State

	Estimate      time.Duration
	QueuePosition int // unfinished requests ahead in its lane when admitted
	ResponseTime  time.Duration
	Cost          Money // per hour, of the resource it makes; zero for other types

	Goal     Goal
	Verdict  Outcome // Fault or Cancelled once the goal turned
	Reason   string  // why it turned
	Decided  Outcome // written once, when the hypervisor was observed at the goal
	Status   Outcome // Processing until the terminal event is in the topic, then Decided
	Phase    Phase
	Begun    bool // a hypervisor call towards the target may have been made
	Attempts int  // deliveries that were trouble, or may have been; waiting is not
	NotReady int  // deliveries that found it under way

	AcceptedAt time.Time
	DeadlineAt time.Time
	TouchedAt  time.Time // last change
	BegunAt    time.Time // first attempt; zero before
	DecidedAt  time.Time
	FinishedAt time.Time // terminal event acknowledged
}

// Ruling is one rule of admission and what it found.
type Ruling struct {
	Rule   string `json:"rule"`   // "specification", "permission", "quota", "policy", "budget"
	Passed bool   `json:"passed"` //
	Values string `json:"values"` // what it looked at: "machines 3 of 10"
}

// Clone returns a copy that shares nothing.
func (r *Request) Clone() *Request {
	if r == nil {
		return nil
	}
	c := *r
	c.Labels, c.Spec, c.Decision = r.Labels.Clone(), r.Spec.Clone(), slices.Clone(r.Decision)
	return &c
}

// Unfinished reports whether the terminal event is still to come.
func (r *Request) Unfinished() bool { return r.Status == Processing }

// Destination is the state the hypervisor is to be driven to now.
func (r *Request) Destination() State {
	if r.Goal == ToOrigin {
		return r.From
	}
	return r.To
}

// Overdue reports whether a still hopeful request has passed its deadline.
func (r *Request) Overdue(now time.Time) bool {
	return r.Decided == Undecided && r.Goal == ToTarget && now.After(r.DeadlineAt)
}

// Turn makes ToOrigin the goal, for ever. It reports false, and changes
// nothing, when that is not possible: the outcome is decided, the goal has
// turned before, or a deletion has begun (what is half deleted cannot come back).
func (r *Request) Turn(verdict Outcome, reason string, now time.Time) bool {
	if r.Decided != Undecided || r.Verdict != Undecided || (r.Type.Deletes() && r.Begun) {
		return false
	}
	r.Goal, r.Verdict, r.Reason = ToOrigin, verdict, reason
	r.Phase, r.TouchedAt = PhaseCompensating, now
	return true
}

// Cancel turns the goal because the client asked. An accepted cancel always
// ends CANCELLED. Asking again is the same answer. Conflict: "outcome-decided"
// when the request is decided or failing already, "cannot-be-undone" when its
// deletion has begun.
func (r *Request) Cancel(now time.Time) error {
	switch {
	case r.Decided != Undecided:
		return &Error{Op: "cancel", Kind: Conflict, Code: "outcome-decided", Detail: "the request is already decided: " + string(r.Decided)}
	case r.Verdict == Cancelled:
		return nil
	case r.Verdict != Undecided:
		return &Error{Op: "cancel", Kind: Conflict, Code: "outcome-decided", Detail: "the request is already failing (" + r.Reason + ") and is being undone"}
	case !r.Turn(Cancelled, ReasonCancelled, now):
		return &Error{Op: "cancel", Kind: Conflict, Code: "cannot-be-undone", Detail: "the deletion has begun and cannot be undone"}
	}
	return nil
}

// Decide writes the outcome. The caller has observed the hypervisor at the
// destination and holds the lease. It reports false if it was decided before.
func (r *Request) Decide(now time.Time) bool {
	if r.Decided != Undecided {
		return false
	}
	r.Decided = Completed
	if r.Verdict != Undecided {
		r.Decided = r.Verdict
	}
	r.DecidedAt, r.TouchedAt, r.Phase = now, now, PhaseNotifying
	return true
}

// Finish makes the decided outcome the status: its event is in the topic.
func (r *Request) Finish(now time.Time) bool {
	if r.Decided == Undecided || r.Status != Processing {
		return false
	}
	r.Status, r.Phase, r.FinishedAt, r.TouchedAt = r.Decided, PhaseDone, now, now
	return true
}
