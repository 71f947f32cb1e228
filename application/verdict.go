package application

import (
	"errors"

	"kbnt.dev/virtualization/domain"
)

// Verdict is what a function answers to the delivery of an event. It decides
// whether the source delivers again, and whether that counts as an attempt.
type Verdict uint8

const (
	Trouble     Verdict = iota // something went wrong or is unknown: again, and it counts
	Busy                       // another delivery works on the same resource: again, not counted
	NotReady                   // under way, waiting is not an attempt: again, not counted
	Acknowledge                // done, decided before, or stored as a dead letter: never again
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
	switch {
	case err == nil:
		return Acknowledge
	case codeIs(err, CodeBusy):
		return Busy
	case waits(err):
		return NotReady
	}
	return Trouble
}

// Codes of the Unavailable errors that are verdicts or answers. Any other
// Unavailable, and any Internal, may still take effect after it was returned.
const (
	CodeBusy        = "busy"         // another delivery is at work on it
	CodeNotReady    = "not-ready"    // under way
	CodeNoCapacity  = "no-capacity"  // no room just now
	CodeNoAddress   = "no-address"   // no free address just now
	CodeDeleting    = "deleting"     // the name is not free yet
	CodeAddressBusy = "address-busy" // its last user is just being deleted
	CodeVLANBusy    = "vlan-busy"    // the same of a VLAN
	CodeHostDown    = "host-down"    // nothing was done
	CodeTryAgain    = "try-again"    // answered: nothing was done, the next attempt may succeed

	// CodeRegistryAway: the schema registry is needed to encode or to read an
	// event, and did not answer as it should. It is no attempt; only the
	// deadline undoes a machine whose result cannot be written down.
	CodeRegistryAway = "registry-away"
)

func codeIs(err error, codes ...string) bool {
	e, ok := errors.AsType[*domain.Error](err)
	if !ok {
		return false
	}
	for _, c := range codes {
		if e.Code == c {
			return true
		}
	}
	return false
}

// waits reports whether err means that time alone may help: not an attempt.
func waits(err error) bool {
	return codeIs(err, CodeNotReady, CodeNoCapacity, CodeNoAddress, CodeDeleting, CodeAddressBusy, CodeVLANBusy, CodeRegistryAway)
}

// answered reports whether err is known to have had no effect that is still to
// come. If it is not known, the lease must outlast the landing time.
func answered(err error) bool {
	return !domain.KindOf(err).Retriable() || waits(err) || codeIs(err, CodeBusy, CodeHostDown, CodeTryAgain)
}

func notReady(detail string) error {
	return &domain.Error{Op: "provision", Kind: domain.Unavailable, Code: CodeNotReady, Detail: detail}
}
