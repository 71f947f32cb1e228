package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// Admit implements [application.Store].
func (s *Store) Admit(ctx context.Context, scope application.AdmitScope, decide func(*application.Tenancy) error) error {
	leave, err := s.enter(ctx, "Admit")
	if err != nil {
		return err
	}
	defer leave()

	t := s.tenancy(scope)
	now := t.Now
	if err := decide(t); err != nil || t.Admitted == nil {
		return err
	}
	a := t.Admitted
	if err := s.admissible(a); err != nil {
		return err
	}
	r := keptRequest(a.Request)
	s.requests[r.MessageID], s.messages[requestKey{r.Tenant, r.ID}] = r, r.MessageID
	s.resources[a.Resource.UID], s.virtualIDs[a.Resource.VirtualID] = keptResource(a.Resource), a.Resource.UID
	s.record(r.MessageID, a.Steps)
	s.post(application.Outgoing{Event: a.Event, MessageID: r.MessageID, ArmedAt: now})
	return nil
}

// tenancy loads what admission looks at.
func (s *Store) tenancy(scope application.AdmitScope) *application.Tenancy {
	t := &application.Tenancy{Now: s.now(), Usage: s.usage(scope.Tenant)}
	if id, ok := s.messages[requestKey{scope.Tenant, scope.RequestID}]; ok {
		existing := s.snapshot(id)
		t.Existing = &existing
	}
	t.DisplayNo = 1
	for _, r := range s.resources {
		if scope.VirtualID != "" && strings.HasPrefix(r.VirtualID, scope.VirtualID) {
			t.Taken = append(t.Taken, r.VirtualID)
		}
		if r.Tenant != scope.Tenant {
			continue
		}
		if r.Kind == domain.Machine && day(r.CreatedAt) == day(t.Now) {
			t.DisplayNo++
		}
		if !r.Live {
			continue
		}
		if scope.TargetID != "" && r.VirtualID == scope.TargetID ||
			scope.TargetID == "" && scope.Name != "" && r.ClientName == scope.Name {
			t.Target = r.Clone()
		}
		if r.Kind == domain.Network {
			t.Networks = append(t.Networks, r.Clone())
		}
	}
	if t.Target != nil {
		if busy, ok := s.requests[t.Target.Busy]; ok {
			t.Blocker = busy.ID
		}
		for _, r := range s.resources {
			if r.Live && r.Kind == domain.Machine && r.NetworkUID == t.Target.UID {
				t.Users = append(t.Users, r.VirtualID)
			}
		}
	}
	for _, r := range s.requests {
		if r.Unfinished() && r.Priority == scope.Priority {
			t.Ahead++
		}
	}
	slices.Sort(t.Taken)
	slices.Sort(t.Users)
	slices.SortFunc(t.Networks, func(a, b *domain.Resource) int { return cmp.Compare(a.UID, b.UID) })
	return t
}

// admissible says why an admission cannot be stored. Each reason is a defect of
// the decision, which was shown all it needs to avoid it.
func (s *Store) admissible(a *application.Admission) error {
	if a.Request == nil || a.Resource == nil {
		return refuse("Admit", domain.Internal, "an admission needs a request and a resource")
	}
	if a.Request.ResourceUID != a.Resource.UID {
		return refuse("Admit", domain.Internal, "an admission must name its resource")
	}
	if _, ok := s.messages[requestKey{a.Request.Tenant, a.Request.ID}]; ok {
		return refuse("Admit", domain.Conflict, "the request id "+a.Request.ID+" is taken")
	}
	if _, ok := s.requests[a.Request.MessageID]; ok {
		return refuse("Admit", domain.Conflict, "the message id "+a.Request.MessageID+" is taken")
	}
	if _, known := s.resources[a.Resource.UID]; known == a.New {
		return refuse("Admit", domain.Conflict, "the resource "+a.Resource.UID+" is not as new as was said")
	}
	if uid, ok := s.virtualIDs[a.Resource.VirtualID]; ok && uid != a.Resource.UID {
		return refuse("Admit", domain.Conflict, "the id "+a.Resource.VirtualID+" is taken")
	}
	if !a.New || !a.Resource.Live || a.Resource.ClientName == "" {
		return nil
	}
	for _, r := range s.resources {
		if r.Live && r.Tenant == a.Resource.Tenant && r.ClientName == a.Resource.ClientName {
			return refuse("Admit", domain.Conflict, "the name "+a.Resource.ClientName+" is taken")
		}
	}
	return nil
}

// record writes lines of a history: new ones at its end, others in their place.
func (s *Store) record(messageID string, steps []domain.Step) {
	all := s.steps[messageID]
	for _, step := range steps {
		step = keptStep(step)
		if i := slices.IndexFunc(all, func(x domain.Step) bool { return x.Name == step.Name }); i >= 0 {
			all[i] = step
		} else {
			all = append(all, step)
		}
	}
	s.steps[messageID] = all
}

// post stores an event, unless one of that id is stored.
func (s *Store) post(o application.Outgoing) {
	if _, ok := s.outbox[o.ID]; ok {
		return
	}
	o.Event = keptEvent(o.Event)
	s.outbox[o.ID] = &o
	if o.MessageID != "" {
		s.events[o.MessageID] = append(s.events[o.MessageID], o.ID)
	}
}
