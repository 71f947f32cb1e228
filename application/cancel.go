package application

import (
	"context"
	"time"

	"kbnt.dev/virtualization/domain"
)

// Cancel turns the goal of a request because the client asked: transaction C.
type Cancel struct {
	Store Store
	Relay *Relay
	Roles Roles
}

// Cancel returns the request as it is now: it will end CANCELLED. Asking again is the same
// answer. Conflict: "outcome-decided" or "cannot-be-undone". NotFound: no such
// request of the tenant. Forbidden: another user's.
func (c *Cancel) Cancel(ctx context.Context, caller domain.Caller, requestID string) (Record, error) {
	var now Record
	var wake *Outgoing
	err := c.Store.Change(ctx, Scope{Tenant: caller.Tenant, RequestID: requestID}, func(w *Work) error {
		wake = nil
		if !c.Roles.MayCancel(caller, w.Request.User) {
			return &domain.Error{Op: "cancel", Kind: domain.Forbidden, Code: "not-the-owner", Detail: "the request belongs to another user; this needs the role operator"}
		}
		before := w.Request.Goal
		if err := w.Request.Cancel(w.Now); err != nil {
			return err
		}
		if before == domain.ToTarget {
			w.Arm(domain.RequestedID(w.Request.MessageID))
			if o, ok := w.Pending(domain.RequestedID(w.Request.MessageID)); ok {
				wake = &o
			}
		}
		now = w.Record()
		return nil
	})
	if err != nil {
		return Record{}, err
	}
	if wake != nil {
		_ = c.Relay.Send(ctx, *wake, time.Time{}) // it stays armed; the sweep sends it
	}
	return now, nil
}
