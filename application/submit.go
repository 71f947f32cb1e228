package application

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"kbnt.dev/virtualization/domain"
)

// Submit admits requests: transaction I1, and at once the sending of its event.
type Submit struct {
	Store       Store
	Permissions Permissions
	Policies    Policies
	Codec       Codec
	Relay       *Relay
	Estimates   *Estimates
	Offer       domain.Offer
	Meter       Meter
	Clock       Clock
	SendFor     time.Duration // how long the client waits for the sink, at most
}

// Answer is what the client hears of an admitted request.
type Answer struct {
	Request      domain.Request
	Resource     domain.Resource
	Repeated     bool // the id was admitted before; nothing new happened
	ResponseTime time.Duration
}

// Submit admits a draft and answers when it is committed: from then on the
// request will end, whatever crashes. The same draft again is the same answer.
//
// Errors: Invalid, Exhausted, Conflict or NotFound with every broken rule;
// Forbidden alone; Invalid with the code "request-id-reused" when the id was
// used for something else; Unavailable when the store did not answer, and then
// the client posts again with its id.
func (s *Submit) Submit(ctx context.Context, c domain.Caller, d domain.Draft, received time.Time) (Answer, error) {
	a := admission{Submit: s, caller: c, draft: d, received: received, estimate: s.Estimates.Of(ctx, d.Type)}
	if err := s.Store.Admit(ctx, a.scope(), a.decide); err != nil {
		return Answer{}, s.refused(err)
	}
	if a.answer.Repeated {
		a.answer.ResponseTime = a.answer.Request.ResponseTime
		return a.answer, nil
	}
	noted := s.publish(ctx, a, received)
	took := s.Clock().Sub(received)
	s.Meter.Observe(RequestDuration, took.Seconds())
	s.Meter.Observe(RequestDurationMs, float64(took)/float64(time.Millisecond))
	a.answer.ResponseTime = cmp.Or(noted, took) // what a repetition will say as well
	return a.answer, nil
}

// Try judges a draft as Submit does, and stores and sends nothing.
func (s *Submit) Try(ctx context.Context, c domain.Caller, d domain.Draft) (Answer, error) {
	a := admission{Submit: s, caller: c, draft: d, received: s.Clock(), estimate: s.Estimates.Of(ctx, d.Type), dry: true}
	if err := s.Store.Admit(ctx, a.scope(), a.decide); err != nil {
		return Answer{}, s.refused(err)
	}
	return a.answer, nil
}

// publish sends the event at once, and returns the response time that was noted,
// 0 if none was. Failing is no error: the event is stored, and the sweep sends it.
func (s *Submit) publish(ctx context.Context, a admission, received time.Time) time.Duration {
	within, cancel := context.WithTimeout(ctx, s.SendFor)
	defer cancel()
	noted, err := s.Relay.send(within, a.sent, received)
	if err != nil {
		noted, _ = s.Relay.Later(ctx, a.answer.Request.MessageID, received) // step 7 only; the sweep writes it otherwise
	}
	return noted
}

func (s *Submit) refused(err error) error {
	reason := "exception"
	if !domain.KindOf(err).Retriable() {
		reason = "domain-validation-failed"
	}
	s.Meter.Add(MessagesFailed, 1, reason)
	return err
}

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
	if request.To == domain.Absent {
		request.Cost = 0
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

// judge evaluates every rule, in the order of the specification.
func (a *admission) judge(t *Tenancy) ([]domain.Ruling, domain.Money, error) {
	d := a.draft
	var target *domain.Resource
	if !d.Type.Creates() {
		target = t.Target
	}
	broken := a.Offer.Check(d)
	if d.Type.Known() && !d.Type.Creates() && target == nil && len(broken) == 0 {
		return nil, 0, &domain.Error{Op: "submit", Kind: domain.NotFound, Code: "resource-not-found",
			Detail: "there is no such resource", Remedy: "list the resources at /api/v1/resources",
			Violations: []domain.Violation{{Pointer: "/virtualResourceId", Code: "resource-not-found", Detail: "names no live resource"}}}
	}
	var rulings []domain.Ruling
	var all []domain.Violation
	rule := func(name, values string, broken []domain.Violation) {
		rulings = append(rulings, domain.Ruling{Rule: name, Passed: len(broken) == 0, Values: values})
		all = append(all, broken...)
	}
	hourly := a.Offer.Prices.Hourly(d.Spec)
	more := domain.UsageOf(d.Spec, hourly)
	more.InFlight = 1
	quota := a.Offer.QuotaOf(a.caller.Tenant)
	have := t.Usage

	rule("specification", string(d.Type), append(broken, a.agree(t)...))
	rule("permission", fmt.Sprintf("%s as %v", a.caller.User, a.caller.Roles), a.Permissions.Check(a.caller, d, target))
	rule("quota", fmt.Sprintf("machines %d of %d, vCPU %d of %d, memory %v of %v, storage %v of %v, networks %d of %d, in flight %d of %d",
		have.Machines, quota.Machines, have.Cores, quota.Cores, have.Memory, quota.Memory, have.Storage, quota.Storage,
		have.Networks, quota.Networks, have.InFlight, quota.InFlight), quota.Check(have, more))
	judged, err := a.Policies.Judge(a.caller, d, hourly)
	if err != nil {
		return nil, 0, fmt.Errorf("judge by policy: %w", err)
	}
	rule("policy", "", judged)
	rule("budget", fmt.Sprintf("%v and %v of %v per hour", have.Hourly, hourly, quota.Budget), quota.CheckBudget(have, more))
	return rulings, hourly, domain.Refuse("submit", all)
}

// agree evaluates the rules between a draft and what the tenant has.
func (a *admission) agree(t *Tenancy) []domain.Violation {
	d := a.draft
	conflict := func(pointer, code, format string, args ...any) []domain.Violation {
		return []domain.Violation{{Pointer: pointer, Code: code, Detail: fmt.Sprintf(format, args...), Kind: domain.Conflict}}
	}
	target := t.Target
	switch {
	case !d.Type.Known():
		return nil
	case d.Type.Creates() && target != nil:
		return conflict("/resourceId", "name-taken", "%q names the resource %s already; choose another name, or leave it out", d.ResourceID, target.VirtualID)
	case d.Type == domain.CreateMachine && d.Spec.Machine != nil:
		_, broken := a.attach(t)
		return broken
	case d.Type == domain.CreateNetwork && d.Spec.Network != nil:
		return overlaps(*d.Spec.Network, t.Networks)
	case d.Type.Creates() || target == nil:
		return nil
	case target.Kind != d.Type.Kind():
		return []domain.Violation{{Pointer: "/virtualResourceId", Code: "wrong-kind", Detail: fmt.Sprintf("%s is a %s", target.VirtualID, target.Kind)}}
	case target.Busy != "":
		return conflict("/virtualResourceId", "busy", "request %s works on %s; wait until it has ended", t.Blocker, target.VirtualID)
	case !d.Type.StartsFrom(target.State):
		return conflict("/virtualResourceId", "wrong-state", "%s is %s, which %s does not start from", target.VirtualID, target.State, d.Type)
	case d.Type == domain.DeleteNetwork && len(t.Users) > 0:
		return conflict("/virtualResourceId", "in-use", "machines are on this network: %v; delete them first", t.Users)
	}
	return nil
}

func overlaps(n domain.NetworkSpec, have []*domain.Resource) []domain.Violation {
	var broken []domain.Violation
	for _, h := range have {
		if h.Spec.Network == nil {
			continue
		}
		if n.Subnet.IsValid() && h.Spec.Network.Subnet.Overlaps(n.Subnet) {
			broken = append(broken, domain.Violation{Pointer: "/specifications/subnet", Code: "overlap",
				Detail: fmt.Sprintf("%s overlaps %s of %s", n.Subnet, h.Spec.Network.Subnet, h.VirtualID)})
		}
		if h.Spec.Network.VLAN == n.VLAN {
			broken = append(broken, domain.Violation{Pointer: "/specifications/vlan", Code: "vlan-in-use",
				Detail: fmt.Sprintf("VLAN %d is that of %s", n.VLAN, h.VirtualID)})
		}
	}
	return broken
}

// attach finds the network of a machine: the tenant's own with that VLAN, which
// may still be in the making, else the operator's.
func (a *admission) attach(t *Tenancy) (domain.Placement, []domain.Violation) {
	want := a.draft.Spec.Machine.Network
	if want.Mode == domain.ModeVLAN {
		i := slices.IndexFunc(t.Networks, func(n *domain.Resource) bool { return n.Spec.Network != nil && n.Spec.Network.VLAN == want.VLAN })
		if i >= 0 {
			own := t.Networks[i]
			if own.State == domain.Deleting {
				return domain.Placement{}, []domain.Violation{{Pointer: "/specifications/network", Code: "busy", Kind: domain.Conflict,
					Detail: "the network " + own.VirtualID + " is being deleted"}}
			}
			return domain.Placement{Segment: want.Name, VLAN: want.VLAN, Subnet: own.Spec.Network.Subnet, Gateway: own.Spec.Network.Gateway}, nil
		}
		if !a.Offer.Segments.Offers(want.VLAN) {
			return domain.Placement{}, []domain.Violation{{Pointer: "/specifications/network", Code: "unknown-network",
				Detail: fmt.Sprintf("you have no network with VLAN %d, and the operator offers %d to %d; create one with %s first",
					want.VLAN, a.Offer.Segments.First, a.Offer.Segments.Last, domain.CreateNetwork)}}
		}
	}
	subnet := a.Offer.Segments.Subnet(want)
	name := want.Name
	if want.Mode == domain.ModeBridged {
		name = domain.ModeBridged
	}
	return domain.Placement{Segment: name, VLAN: want.VLAN, Subnet: subnet, Gateway: first(subnet)}, nil
}

func first(p netip.Prefix) netip.Addr {
	if !p.IsValid() {
		return netip.Addr{}
	}
	return p.Masked().Addr().Next()
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
