package application

import (
	"fmt"
	"slices"
	"time"

	"kbnt.dev/virtualization/domain"
)

// admission is one decision: what is known before the transaction, and what it
// decides inside. It may decide more than once; the last time counts.
type admission struct {
	*Submit
	caller   domain.Caller
	draft    domain.Draft
	received time.Time
	estimate time.Duration
	dry      bool

	answer Answer
	sent   Outgoing
}

func (a *admission) scope() AdmitScope {
	d := a.draft
	scope := AdmitScope{Tenant: a.caller.Tenant, RequestID: d.RequestID, Kind: d.Type.Kind(), TargetID: d.VirtualResourceID, Name: d.ResourceID, Priority: d.Priority}
	if d.Type.Creates() {
		scope.VirtualID = domain.VirtualID(d.Type.Kind(), a.caller.Tenant, d.RequestID, 8)
		scope.TargetID = ""
	}
	return scope
}

func (a *admission) decide(t *Tenancy) error {
	if t.Existing != nil && !a.dry {
		if len(a.draft.Faults) > 0 { // what was not understood cannot be a repetition
			return domain.Refuse("submit", a.Offer.Check(a.draft))
		}
		return a.repeat(*t.Existing)
	}
	judged := a.Clock()
	rulings, hourly, err := a.judge(t)
	if err != nil {
		return err
	}
	now := a.Clock()
	request := a.request(t, rulings, hourly)
	resource := t.Target
	if a.draft.Type.Creates() {
		resource = a.resource(t, request)
	} else {
		request.From, request.ResourceUID = resource.State, resource.UID
		resource.Busy = request.MessageID
		if a.draft.Type.Deletes() { // nothing new may settle on it; a cancel gives From back
			resource.State = domain.Deleting
		}
	}
	a.answer = Answer{Request: *request, Resource: *resource}
	if a.dry {
		return nil
	}

	steps := []domain.Step{
		domain.NewStep(domain.RequestReceived, t.Now.Add(-now.Sub(a.received)), judged.Sub(a.received), map[string]any{
			"transport": request.Transport, "requestId": request.ID}),
		domain.NewStep(domain.DomainValidated, t.Now, now.Sub(judged), map[string]any{
			"rules": rulings, "virtualResourceId": resource.VirtualID, "status": "VALIDATED"}),
		domain.NewStep(domain.UseCaseProcessed, t.Now, a.Clock().Sub(now), map[string]any{
			"messageId": request.MessageID, "estimate": request.Estimate.String(), "hourlyUsd": request.Cost.USD(), "reserved": a.draft.Type.Creates()}),
	}
	record := Record{Request: *request, Resource: *resource, Steps: steps}
	event, err := a.Codec.Requested(record, t.Now)
	if err != nil {
		return fmt.Errorf("encode the event of request %s: %w", request.ID, err)
	}
	a.sent = Outgoing{Event: event, MessageID: request.MessageID, ArmedAt: t.Now}
	t.Admitted = &Admission{Request: request, Resource: resource, New: a.draft.Type.Creates(), Steps: steps, Event: event}
	return nil
}

// repeat answers a request that was admitted before.
func (a *admission) repeat(r Record) error {
	if r.Request.BodyHash != a.draft.Hash() {
		return &domain.Error{Op: "submit", Kind: domain.Invalid, Code: "request-id-reused",
			Detail: "the request id " + r.Request.ID + " was used for another request",
			Remedy: "repeat the first request as it was, or choose another request id",
			Violations: []domain.Violation{{Pointer: "/metadata/requestId", Code: "request-id-reused",
				Detail: "was used for a request with another content"}}}
	}
	a.answer = Answer{Request: r.Request, Resource: r.Resource, Repeated: true}
	return nil
}

func (a *admission) request(t *Tenancy, rulings []domain.Ruling, hourly domain.Money) *domain.Request {
	d := a.draft
	id := domain.MessageID(a.caller.Tenant, d.RequestID)
	return &domain.Request{
		Tenant: a.caller.Tenant, ID: d.RequestID, MessageID: id, BodyHash: d.Hash(),
		Type: d.Type, User: d.User, CorrelationID: d.CorrelationID, CausationID: d.CausationID, Priority: d.Priority,
		Transport: d.Transport, TraceParent: d.TraceParent, Labels: d.Labels.Clone(), Spec: d.Spec.Clone(), Decision: rulings,
		ResourceUID: domain.ResourceUID(id), From: domain.Absent, To: d.Type.Target(),
		Estimate: a.estimate, QueuePosition: t.Ahead, Cost: hourly,
		Goal: domain.ToTarget, Status: domain.Processing, Phase: domain.PhaseValidated,
		AcceptedAt: t.Now, DeadlineAt: t.Now.Add(a.Offer.Deadline), TouchedAt: t.Now,
	}
}

func (a *admission) resource(t *Tenancy, r *domain.Request) *domain.Resource {
	virtual := ""
	for digits := 8; digits <= 64 && (virtual == "" || slices.Contains(t.Taken, virtual)); digits++ {
		virtual = domain.VirtualID(r.Type.Kind(), r.Tenant, r.ID, digits)
	}
	made := &domain.Resource{
		UID: r.ResourceUID, VirtualID: virtual, Tenant: r.Tenant, Owner: r.User, ClientName: a.draft.ResourceID,
		Kind: r.Type.Kind(), CreatedBy: r.MessageID, Spec: r.Spec.Clone(), Labels: r.Labels.Clone(),
		State: domain.Provisioning, Live: true, Cost: r.Cost, Busy: r.MessageID, CreatedAt: t.Now, UpdatedAt: t.Now,
	}
	switch made.Kind {
	case domain.Machine:
		made.DisplayID = domain.DisplayID(made.Kind, t.Now.UTC().Format("20060102"), t.DisplayNo)
		made.Placement, _ = a.attach(t)
		for _, n := range t.Networks {
			if n.Spec.Network != nil && r.Spec.Machine.Network.Mode == domain.ModeVLAN && n.Spec.Network.VLAN == r.Spec.Machine.Network.VLAN {
				made.NetworkUID = n.UID
			}
		}
	case domain.Network:
		made.Placement = domain.Placement{Segment: fmt.Sprintf("vlan-%d", r.Spec.Network.VLAN), VLAN: r.Spec.Network.VLAN, Subnet: r.Spec.Network.Subnet, Gateway: r.Spec.Network.Gateway}
	}
	return made
}
