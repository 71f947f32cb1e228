package application

import (
	"context"
	"time"

	"kbnt.dev/virtualization/domain"
)

// Resume gives a dead letter another chance: transaction D.
type Resume struct {
	Store     Store
	Records   Records
	Graveyard Graveyard
	Submit    *Submit
	Relay     *Relay
}

// Resume delivers the event of a dead letter again. An unfinished request goes
// on. For a FAILED one a new request is made, under an id derived from the
// letter: resuming twice is one request, and the old one stays as it is. The
// answer names the request that goes on; it is empty for an event of none.
//
// NotFound: no such letter, or another tenant's. Conflict: "moot", its request
// ended well, or was cancelled.
func (r *Resume) Resume(ctx context.Context, c domain.Caller, id string) (requestID string, err error) {
	letter, err := r.Graveyard.DeadLetter(ctx, id)
	if err != nil {
		return "", err
	}
	if letter.Tenant != "" && letter.Tenant != c.Tenant {
		return "", &domain.Error{Op: "resume", Kind: domain.NotFound, Detail: "there is no such dead letter"}
	}
	switch {
	case letter.MessageID == "":
		err = r.again(ctx, letter)
	default:
		requestID, err = r.request(ctx, c, letter)
	}
	if err != nil {
		return "", err
	}
	return requestID, r.Graveyard.Resumed(ctx, letter.ID, requestID)
}

// again sends an event of no request once more, as it is.
func (r *Resume) again(ctx context.Context, letter DeadLetter) error {
	if letter.Event.Topic == "" {
		return &domain.Error{Op: "resume", Kind: domain.Conflict, Code: "cannot-be-resumed", Detail: "nobody handles events of the type " + letter.Event.Type}
	}
	return r.Relay.Sender.Send(ctx, letter.Event)
}

func (r *Resume) request(ctx context.Context, c domain.Caller, letter DeadLetter) (string, error) {
	var wake *Outgoing
	var failed *domain.Request
	err := r.Store.Change(ctx, Scope{MessageID: letter.MessageID}, func(w *Work) error {
		wake, failed = nil, nil
		q := w.Request
		switch {
		case q.Status == domain.Fault:
			failed = q.Clone()
			return nil
		case !q.Unfinished():
			return &domain.Error{Op: "resume", Kind: domain.Conflict, Code: "moot", Detail: "the request has ended: " + string(q.Status)}
		}
		event := domain.RequestedID(q.MessageID)
		if q.Decided != domain.Undecided {
			event = domain.ResultID(q.MessageID)
		}
		w.Arm(event)
		if o, ok := w.Pending(event); ok {
			wake = &o
		}
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case wake != nil:
		_ = r.Relay.Send(ctx, *wake, time.Time{}) // it stays armed; the sweep sends it
		return letter.RequestID, nil
	case failed == nil:
		return letter.RequestID, nil
	}
	return r.anew(ctx, c, letter, failed)
}

// anew submits what a failed request asked for as a new request.
func (r *Resume) anew(ctx context.Context, c domain.Caller, letter DeadLetter, old *domain.Request) (string, error) {
	record, err := r.Records.Request(ctx, old.Tenant, old.ID)
	if err != nil {
		return "", err
	}
	d := domain.Draft{
		Type: old.Type, Spec: old.Spec, RequestID: domain.ResumedRequestID(letter.ID), User: old.User,
		CorrelationID: old.CorrelationID, CausationID: old.MessageID, Priority: old.Priority, Labels: old.Labels,
		Transport: old.Transport, TraceParent: old.TraceParent,
	}
	if old.Type.Creates() {
		d.ResourceID = record.Resource.ClientName
	} else {
		d.VirtualResourceID = record.Resource.VirtualID
	}
	a, err := r.Submit.Submit(ctx, c, d, r.Submit.Clock())
	if err != nil {
		return "", err
	}
	return a.Request.ID, nil
}
