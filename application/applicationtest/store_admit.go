package applicationtest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

func testAdmit(t *testing.T, open func(*testing.T) Stores) {
	cases(t, open, map[string]func(*testing.T, Stores){
		"saves every field":                     admitSavesEveryField,
		"keeps zero values":                     admitKeepsZeroValues,
		"keeps times in UTC":                    admitKeepsTimesInUTC,
		"saves nothing after an error":          admitErrorSavesNothing,
		"saves nothing that was not admitted":   admitNothing,
		"shares nothing with the caller":        admitIsolation,
		"shows a request that exists":           admitExisting,
		"finds the target":                      admitTarget,
		"names the request in the way":          admitBlocker,
		"saves an operation on what exists":     admitOperation,
		"shows networks and who uses them":      admitNetworks,
		"shows virtual ids that are taken":      admitTaken,
		"counts the lane over all tenants":      admitAhead,
		"numbers machines by tenant and day":    admitDisplayNo,
		"shows the usage":                       admitUsage,
		"refuses ids and names that are taken":  admitConflicts,
		"tells the time of the store, in UTC":   admitNow,
		"gives a name free when its owner gone": admitNameAgain,
	})
}

func admitSavesEveryField(t *testing.T, s Stores) {
	req, res := filled[domain.Request](0), filled[domain.Resource](1000)
	req.Tenant, res.Tenant = "acme", "acme"
	req.ResourceUID, res.Live = res.UID, true
	steps := []domain.Step{filled[domain.Step](2000), filled[domain.Step](2100)}
	e := filled[application.Event](3000)
	err := s.Admit(t.Context(), application.AdmitScope{Tenant: "acme", RequestID: req.ID}, func(y *application.Tenancy) error {
		y.Admitted = &application.Admission{Request: &req, Resource: &res, New: true, Steps: steps, Event: e}
		return nil
	})
	if err != nil {
		t.Fatalf("Admit: %v, want no error", err)
	}
	got := load(t, s, "acme", req.ID)
	same(t, "stored request", got.Request, req)
	same(t, "stored resource", got.Resource, res)
	same(t, "stored steps", got.Steps, steps)

	w := peek(t, s, req.MessageID)
	same(t, "request of a change", *w.Request, req)
	same(t, "resource of a change", *w.Resource, res)
	same(t, "steps of a change", w.Steps, steps)
	same(t, "outbox", w.Outbox, map[string]application.Outgoing{e.ID: {Event: e, MessageID: req.MessageID, ArmedAt: noon}})
	if y := look(t, s, application.AdmitScope{Tenant: "acme", RequestID: req.ID}); y.Existing == nil {
		t.Errorf("Admit of the id again: got no Existing, want the request")
	} else {
		same(t, "existing record", *y.Existing, got)
	}
}

func admitKeepsZeroValues(t *testing.T, s Stores) {
	req := domain.Request{Tenant: "acme", ID: "r", MessageID: "m", ResourceUID: "u", Status: domain.Processing}
	res := domain.Resource{UID: "u", VirtualID: "V", Tenant: "acme", Live: true}
	steps := []domain.Step{{Name: "bare"}}
	err := s.Admit(t.Context(), application.AdmitScope{Tenant: "acme", RequestID: "r"}, func(y *application.Tenancy) error {
		y.Admitted = &application.Admission{Request: &req, Resource: &res, New: true, Steps: steps, Event: application.Event{ID: "e"}}
		return nil
	})
	if err != nil {
		t.Fatalf("Admit: %v, want no error", err)
	}
	got := load(t, s, "acme", "r")
	same(t, "stored request", got.Request, req)
	same(t, "stored resource", got.Resource, res)
	same(t, "stored steps", got.Steps, steps)
	same(t, "outbox", peek(t, s, "m").Outbox["e"], application.Outgoing{Event: application.Event{ID: "e"}, MessageID: "m", ArmedAt: noon})
}

func admitKeepsTimesInUTC(t *testing.T, s Stores) {
	local := noon.In(time.FixedZone("UTC+5", 5*3600))
	s.Clock.Advance(time.Second + 999*time.Nanosecond)
	err := s.Admit(t.Context(), wish{id: "r"}.scope(), func(y *application.Tenancy) error {
		same(t, "Tenancy.Now", y.Now, noon.Add(time.Second))
		y.Admitted = wish{id: "r"}.admission(local)
		return nil
	})
	if err != nil {
		t.Fatalf("Admit: %v, want no error", err)
	}
	got := load(t, s, "acme", "r")
	same(t, "AcceptedAt given in another zone", got.Request.AcceptedAt, noon)
	same(t, "CreatedAt given in another zone", got.Resource.CreatedAt, noon)
	same(t, "step given in another zone", got.Steps[0].At, noon)
}

var errTest = errors.New("decided otherwise")

func admitErrorSavesNothing(t *testing.T, s Stores) {
	err := s.Admit(t.Context(), wish{id: "r"}.scope(), func(y *application.Tenancy) error {
		y.Admitted = wish{id: "r"}.admission(y.Now)
		return errTest
	})
	if err != errTest { // the very error, not one that wraps it
		t.Errorf("Admit: got error %v, want the function's own", err)
	}
	nothing(t, s)
}

func admitNothing(t *testing.T, s Stores) {
	look(t, s, wish{id: "r"}.scope())
	nothing(t, s)
}

// nothing checks that the store is empty.
func nothing(t *testing.T, s Stores) {
	t.Helper()
	_, err := s.Request(t.Context(), "acme", "r")
	wantKind(t, "Request of what was not saved", err, domain.NotFound)
	if all, err := s.Resources(t.Context(), "acme", application.ResourceFilter{Gone: true}); err != nil || len(all) > 0 {
		t.Errorf("Resources: got %v, %v, want none", all, err)
	}
	if armed, err := s.Armed(t.Context(), 0, 10); err != nil || len(armed) > 0 {
		t.Errorf("Armed: got %v, %v, want none", armed, err)
	}
	if u, err := s.Usage(t.Context(), "acme"); err != nil || u != (domain.Usage{}) {
		t.Errorf("Usage: got %+v, %v, want zero", u, err)
	}
}

func admitIsolation(t *testing.T, s Stores) {
	var a *application.Admission
	err := s.Admit(t.Context(), wish{id: "r"}.scope(), func(y *application.Tenancy) error {
		a = wish{id: "r"}.admission(y.Now)
		a.Request.Labels = domain.Labels{"k": "v"}
		a.Request.Decision = []domain.Ruling{{Rule: "quota"}}
		y.Admitted = a
		return nil
	})
	if err != nil {
		t.Fatalf("Admit: %v, want no error", err)
	}
	before := load(t, s, "acme", "r")
	w := frozen(application.Work{Request: &before.Request, Resource: &before.Resource, Steps: before.Steps})
	before = w.Record()
	a.Request.Labels["k"], a.Request.Decision[0].Rule, a.Request.Spec.Machine.Cores = "changed", "changed", 99
	a.Resource.Spec.Machine.Cores, a.Steps[1].Detail[0], a.Event.Data[0], a.Event.Extensions["partitionkey"] = 99, 'X', 'X', "X"
	same(t, "record after its admission was written to", load(t, s, "acme", "r"), before)

	got := load(t, s, "acme", "r")
	got.Request.Labels["k"], got.Request.Decision[0].Rule, got.Resource.Spec.Machine.Cores = "changed", "changed", 99
	got.Steps[0].Name, got.Steps[1].Detail[0] = "changed", 'X'
	same(t, "record after a returned one was written to", load(t, s, "acme", "r"), before)

	y := look(t, s, application.AdmitScope{Tenant: "acme", RequestID: "r", TargetID: before.Resource.VirtualID})
	y.Existing.Request.Labels["k"], y.Target.Spec.Machine.Cores, y.Target.Busy = "changed", 99, ""
	same(t, "record after a tenancy was written to", load(t, s, "acme", "r"), before)
	if o := peek(t, s, before.Request.MessageID).Outbox[a.Event.ID]; o.Data[0] == 'X' || o.Extensions["partitionkey"] == "X" {
		t.Errorf("stored event after its admission was written to: got %q %v, want it unchanged", o.Data, o.Extensions)
	}
}

func admitExisting(t *testing.T, s Stores) {
	made := admit(t, s, wish{id: "r"})
	if y := look(t, s, wish{id: "r"}.scope()); y.Existing == nil {
		t.Errorf("same tenant: got no Existing, want the record")
	} else {
		same(t, "Existing", *y.Existing, made)
	}
	for _, other := range []wish{{id: "r", tenant: "umbrella"}, {id: "R"}} {
		if y := look(t, s, other.scope()); y.Existing != nil {
			t.Errorf("%+v: got Existing %v, want nil", other, y.Existing.Request.ID)
		}
	}
}

func admitBlocker(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "r1", name: "web"})
	scope := application.AdmitScope{Tenant: "acme", RequestID: "r2", Name: "web"}
	if y := look(t, s, scope); y.Blocker != "r1" {
		t.Errorf("resource at work: got blocker %q, want %q", y.Blocker, "r1")
	}
	settle(t, s, r.Request.MessageID, domain.Running, true)
	if y := look(t, s, scope); y.Blocker != "" || y.Target == nil {
		t.Errorf("settled resource: got blocker %q and target %v, want none and the resource", y.Blocker, y.Target)
	}
}

func admitOperation(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "r1"})
	settle(t, s, r.Request.MessageID, domain.Running, true)
	target := load(t, s, "acme", "r1").Resource
	stop := admit(t, s, wish{id: "r2", typ: domain.StopMachine, target: &target})
	target.Busy = stop.Request.MessageID
	same(t, "resource of the operation", stop.Resource, target)
	same(t, "resource of the first request", load(t, s, "acme", "r1").Resource, target)
	if u, _ := s.Usage(t.Context(), "acme"); u.Machines != 1 || u.InFlight != 1 {
		t.Errorf("usage: got %+v, want one machine and one request in flight", u)
	}
}

func admitConflicts(t *testing.T, s Stores) {
	made := admit(t, s, wish{id: "1", name: "web"})
	for name, bad := range map[string]wish{
		"request id": {id: "1"},
		"name":       {id: "r", name: "web", typ: domain.AllocateStorage},
		"virtual id": {id: "r", virtualID: made.Resource.VirtualID},
	} {
		err := s.Admit(t.Context(), bad.scope(), func(y *application.Tenancy) error {
			y.Admitted = bad.admission(y.Now)
			return nil
		})
		wantKind(t, "admitting a taken "+name, err, domain.Conflict)
		if _, err := s.Request(t.Context(), "acme", "r"); domain.KindOf(err) != domain.NotFound {
			t.Errorf("request refused for its %s: got %v, want NotFound", name, err)
		}
	}
	same(t, "the request in the way", load(t, s, "acme", "1"), made)
}

func admitNow(t *testing.T, s Stores) {
	for _, step := range []time.Duration{0, time.Hour, 7 * time.Microsecond} {
		s.Clock.Advance(step)
		if got, want := look(t, s, wish{id: "r"}.scope()).Now, s.Clock.Now(); got != want {
			t.Errorf("Tenancy.Now: got %v, want %v", got, want)
		}
	}
}

func admitNameAgain(t *testing.T, s Stores) {
	for i := range 3 {
		r := admit(t, s, wish{id: fmt.Sprint(i), name: "web"})
		settle(t, s, r.Request.MessageID, domain.Deleted, false)
	}
}
