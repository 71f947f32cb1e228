package application

import (
	"errors"

	"kbnt.dev/virtualization/domain"
)

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
	return codeIs(err, CodeNotReady, CodeNoCapacity, CodeNoAddress, CodeDeleting, CodeAddressBusy, CodeVLANBusy)
}

// answered reports whether err is known to have had no effect that is still to
// come. If it is not known, the lease must outlast the landing time.
func answered(err error) bool {
	return !domain.KindOf(err).Retriable() || waits(err) || codeIs(err, CodeBusy, CodeHostDown, CodeTryAgain)
}

func notReady(detail string) error {
	return &domain.Error{Op: "provision", Kind: domain.Unavailable, Code: CodeNotReady, Detail: detail}
}
