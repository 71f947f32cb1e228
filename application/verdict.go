package application

import "kbnt.dev/virtualization/domain"

// Verdict is what a function answers to the delivery of an event. It decides
// whether the source delivers again, and whether that counts as an attempt.
type Verdict uint8

const (
	Trouble     Verdict = iota // something went wrong or is unknown: again, and it counts
	Busy                       // another delivery works on the same resource: again, not counted
	NotReady                   // under way, waiting is not an attempt: again, not counted
	Acknowledge                // done, decided before, or stored as a dead letter: never again
)

// Codes of errors that are no trouble.
const (
	CodeBusy     = "busy"      // Conflict: the lease is held
	CodeNotReady = "not-ready" // Unavailable: the hypervisor is still at work
)

var verdictNames = [...]string{"trouble", "busy", "not-ready", "acknowledge"}

// String returns the name used in logs, such as "not-ready".
func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return "unknown"
}

// VerdictOf is the one mapping from the errors of provision and notify to a
// verdict. Nothing but success is acknowledged: a use case that gives up on an
// event stores a dead letter and returns nil.
func VerdictOf(err error) Verdict {
	if err == nil {
		return Acknowledge
	}
	switch domain.CodeOf(err) {
	case CodeBusy:
		return Busy
	case CodeNotReady:
		return NotReady
	}
	return Trouble
}
