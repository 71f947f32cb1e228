package applicationtest

import (
	"maps"
	"slices"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

func testChange(t *testing.T, open func(*testing.T) Stores) {
	cases(t, open, map[string]func(*testing.T, Stores){
		"finds the request by either name":   changeFinds,
		"saves every field":                  changeSavesEveryField,
		"saves what is seldom changed":       changeSavesSeldom,
		"saves nothing after an error":       changeErrorSavesNothing,
		"shares nothing with the caller":     changeIsolation,
		"notes a line once":                  changeNotes,
		"marks a line as undone":             changeCompensates,
		"counts deliveries":                  changeDeliveries,
		"buries a letter once":               changeBuries,
		"leaves requests of others alone":    changeOthers,
		"tells the time of the store in UTC": changeNow,
	})
}

func changeFinds(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "r"})
	for _, scope := range []application.Scope{{MessageID: r.Request.MessageID}, {Tenant: "acme", RequestID: "r"}} {
		w := change(t, s, scope, func(*application.Work) {})
		same(t, "request", *w.Request, r.Request)
		same(t, "resource", *w.Resource, r.Resource)
		same(t, "steps", w.Steps, r.Steps)
	}
	for _, scope := range []application.Scope{{MessageID: "unknown"}, {Tenant: "umbrella", RequestID: "r"}, {Tenant: "acme", RequestID: "R"}, {}} {
		err := s.Change(t.Context(), scope, func(*application.Work) error {
			t.Errorf("Change(%+v): the function was called, want NotFound", scope)
			return nil
		})
		wantKind(t, "Change of an unknown request", err, domain.NotFound)
	}
}

func changeSavesEveryField(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "r"})
	req, res := filled[domain.Request](0), filled[domain.Resource](1000)
	req.Tenant, req.ID, req.MessageID, req.ResourceUID = r.Request.Tenant, r.Request.ID, r.Request.MessageID, r.Resource.UID
	// What an admission writes stays; only what a transaction of the protocol changes is changed.
	keepAdmitted(&req, r.Request)
	keepMade(&res, r.Resource)
	step := filled[domain.Step](2000)
	e := filled[application.Event](3000)
	claim := filled[domain.Claim](4000)
	claim.Resource, claim.Until = res.UID, time.Time{}
	letter := filled[application.DeadLetter](5000)
	change(t, s, application.Scope{MessageID: req.MessageID}, func(w *application.Work) {
		*w.Request, *w.Resource = *req.Clone(), *res.Clone()
		w.Note(step)
		w.Send(e)
		w.Claim(claim)
		w.Bury(letter)
	})
	got := load(t, s, "acme", "r")
	same(t, "request", got.Request, req)
	same(t, "resource", got.Resource, res)
	same(t, "steps", got.Steps, append(r.Steps, step))
	w := peek(t, s, req.MessageID, claim.Pool)
	same(t, "event", w.Outbox[e.ID], application.Outgoing{Event: e, MessageID: req.MessageID, ArmedAt: noon})
	same(t, "claims", w.Pools[claim.Pool], []domain.Claim{claim})
	letter.Tenant, letter.MessageID, letter.RequestID, letter.State, letter.At = "acme", req.MessageID, "r", application.LetterOpen, noon
	buried, err := s.DeadLetter(t.Context(), letter.ID)
	if err != nil {
		t.Fatalf("DeadLetter: %v, want no error", err)
	}
	same(t, "dead letter", buried, letter)
}

// frozen copies all that a work refers to, so that it stays as it is.
func frozen(w application.Work) application.Work {
	w.Request, w.Resource, w.Outbox = w.Request.Clone(), w.Resource.Clone(), maps.Clone(w.Outbox)
	w.Steps = slices.Clone(w.Steps)
	for i := range w.Steps {
		w.Steps[i].Detail = slices.Clone(w.Steps[i].Detail)
	}
	for id, o := range w.Outbox {
		o.Event = o.Event.Clone()
		w.Outbox[id] = o
	}
	return w
}

// changeSavesSeldom: no transaction of the protocol changes these, but a change
// that does must not lose them.
func changeSavesSeldom(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "r"})
	w := change(t, s, application.Scope{MessageID: r.Request.MessageID}, func(w *application.Work) {
		w.Request.User, w.Request.Labels, w.Request.Priority, w.Request.Cost = "eve", domain.Labels{"a": "b"}, domain.High, 7
		w.Resource.Owner, w.Resource.Labels, w.Resource.DisplayID, w.Resource.Cost = "eve", domain.Labels{"c": "d"}, "VM-1", 9
		w.Resource.Spec.Machine.Cores = 5
	})
	got := load(t, s, "acme", "r")
	same(t, "request", got.Request, *w.Request)
	same(t, "resource", got.Resource, *w.Resource)
	want := domain.Usage{Machines: 1, Cores: 5, Memory: 4 * domain.GiB, Storage: 20 * domain.GiB, InFlight: 1, Hourly: 9}
	y := look(t, s, application.AdmitScope{Tenant: "acme", RequestID: "x", Priority: domain.High})
	same(t, "usage", y.Usage, want)
	if y.Ahead != 1 {
		t.Errorf("lane that the request was moved to: got %d ahead, want 1", y.Ahead)
	}
}

// keepAdmitted restores what is fixed at the admission of a request.
func keepAdmitted(r *domain.Request, as domain.Request) {
	changed := *r
	*r = as
	r.Estimate, r.ResponseTime = changed.Estimate, changed.ResponseTime
	r.Goal, r.Verdict, r.Reason, r.Decided, r.Status, r.Phase = changed.Goal, changed.Verdict, changed.Reason, changed.Decided, changed.Status, changed.Phase
	r.Begun, r.Attempts, r.NotReady = changed.Begun, changed.Attempts, changed.NotReady
	r.TouchedAt, r.BegunAt, r.DecidedAt, r.FinishedAt, r.DeadlineAt = changed.TouchedAt, changed.BegunAt, changed.DecidedAt, changed.FinishedAt, changed.DeadlineAt
}

// keepMade restores what is fixed when a resource is made.
func keepMade(r *domain.Resource, as domain.Resource) {
	changed := *r
	*r = as
	r.State, r.Live, r.Busy, r.Lease, r.Placement, r.Facts, r.UpdatedAt = changed.State, changed.Live, changed.Busy, changed.Lease, changed.Placement, changed.Facts, changed.UpdatedAt
}

func changeErrorSavesNothing(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "r"})
	arrival := &application.Arrival{Function: "provision", EventID: "e1"}
	err := s.Change(t.Context(), application.Scope{MessageID: r.Request.MessageID, Arrival: arrival}, func(w *application.Work) error {
		w.Request.Attempts, w.Resource.State = 7, domain.Running
		w.Note(domain.NewStep(domain.ResourceReady, w.Now, 0, nil))
		w.Send(event("new"))
		w.Acknowledge(domain.RequestedID(r.Request.MessageID), w.Now)
		w.Claim(domain.Claim{Pool: "p", Value: "1", Resource: w.Resource.UID, Amount: 1})
		w.Bury(application.DeadLetter{ID: "d"})
		return errTest
	})
	if err != errTest { // the very error, not one that wraps it
		t.Errorf("Change: got error %v, want the function's own", err)
	}
	same(t, "record after an error", load(t, s, "acme", "r"), r)
	w := change(t, s, application.Scope{MessageID: r.Request.MessageID, Arrival: arrival, Pools: []string{"p"}}, func(*application.Work) {})
	if w.Deliveries != 1 || len(w.Outbox) != 1 || len(w.Pools["p"]) != 0 {
		t.Errorf("after an error: got %d deliveries, %d events, claims %v; want 1, 1 and none", w.Deliveries, len(w.Outbox), w.Pools["p"])
	}
	if o := w.Outbox[domain.RequestedID(r.Request.MessageID)]; o.ArmedAt.IsZero() || o.Sends != 0 {
		t.Errorf("event after an error: got armed at %v, %d sends; want it armed and never sent", o.ArmedAt, o.Sends)
	}
	_, err = s.DeadLetter(t.Context(), "d")
	wantKind(t, "DeadLetter after an error", err, domain.NotFound)
}

func changeIsolation(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "r"})
	facts := domain.Facts{Endpoints: map[string]string{"ssh": "a"}, Baselines: map[string]float64{"x": 1}, Checks: []domain.HealthCheck{{Name: "n"}}}
	e, letter := event("e"), application.DeadLetter{ID: "d", Event: event("dead")}
	w := change(t, s, application.Scope{MessageID: r.Request.MessageID}, func(w *application.Work) {
		w.Resource.Facts = facts
		w.Note(domain.Step{Name: "s", Detail: []byte(`{"a":1}`)})
		w.Send(e)
		w.Bury(letter)
	})
	before := frozen(peek(t, s, r.Request.MessageID))
	facts.Endpoints["ssh"], facts.Baselines["x"], facts.Checks[0].Name = "b", 2, "b"
	w.Request.Spec.Machine.Cores, e.Data[0], letter.Event.Data[0] = 99, 'X', 'X'
	w.Additions.Steps[0].Detail[2] = 'X'
	after := peek(t, s, r.Request.MessageID)
	same(t, "work after what it was made of was written to", after, before)

	after.Resource.Facts.Endpoints["ssh"], after.Steps[2].Detail[2], after.Outbox["e"].Data[0] = "c", 'Y', 'Y'
	delete(after.Outbox, "e")
	same(t, "work after a returned one was written to", peek(t, s, r.Request.MessageID), before)
	d, err := s.DeadLetter(t.Context(), "d")
	if err != nil || d.Event.Data[0] == 'X' {
		t.Errorf("letter after it was written to: got %q, %v, want it unchanged", d.Event.Data, err)
	}
}

func changeNotes(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "r"})
	scope := application.Scope{MessageID: r.Request.MessageID}
	first := domain.NewStep(domain.MessageConsumed, noon, time.Millisecond, map[string]any{"n": 1})
	change(t, s, scope, func(w *application.Work) { w.Note(first) })
	s.Clock.Advance(time.Second)
	change(t, s, scope, func(w *application.Work) {
		w.Note(domain.NewStep(domain.MessageConsumed, w.Now, 0, map[string]any{"n": 2}), domain.NewStep(domain.RequestReceived, w.Now, 0, nil))
	})
	same(t, "steps", load(t, s, "acme", "r").Steps, append(r.Steps, first))
}

func changeCompensates(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "r"})
	scope := application.Scope{MessageID: r.Request.MessageID}
	disk, machine := domain.InPlan("volume-created"), domain.InPlan("machine-created")
	change(t, s, scope, func(w *application.Work) {
		w.Note(domain.NewStep(disk, noon, time.Second, map[string]any{"size": 5}),
			domain.Step{Name: machine, At: noon, Status: domain.StepFailed})
	})
	change(t, s, scope, func(w *application.Work) {
		w.Compensate(machine) // it failed: there is nothing to undo
		w.Compensate(disk)
		w.Compensate("unknown")
	})
	undone := domain.NewStep(disk, noon, time.Second, map[string]any{"size": 5})
	undone.Status = domain.StepCompensated
	same(t, "steps, in the order they were recorded", load(t, s, "acme", "r").Steps,
		append(r.Steps, undone, domain.Step{Name: machine, At: noon, Status: domain.StepFailed}))
}

func changeDeliveries(t *testing.T, s Stores) {
	a, b := admit(t, s, wish{id: "a"}), admit(t, s, wish{id: "b"})
	for i, arrival := range []struct {
		of              application.Record
		function, event string
		want            int
	}{
		{a, "provision", "e1", 1}, {a, "provision", "e1", 2}, {a, "notify", "e1", 1}, {a, "provision", "e2", 1},
		{b, "provision", "e3", 1}, {a, "provision", "e1", 3}, {a, "notify", "e1", 2},
	} {
		w := change(t, s, application.Scope{MessageID: arrival.of.Request.MessageID,
			Arrival: &application.Arrival{Function: arrival.function, EventID: arrival.event, Partition: -1, Offset: int64(i), SentAt: noon}}, func(*application.Work) {})
		if w.Deliveries != arrival.want {
			t.Errorf("arrival %d, of %s to %s: got delivery %d, want %d", i, arrival.event, arrival.function, w.Deliveries, arrival.want)
		}
	}
	if w := peek(t, s, a.Request.MessageID); w.Deliveries != 0 {
		t.Errorf("a change without an arrival: got %d deliveries, want 0", w.Deliveries)
	}
}

func changeBuries(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "r"})
	scope := application.Scope{MessageID: r.Request.MessageID}
	change(t, s, scope, func(w *application.Work) { w.Bury(application.DeadLetter{ID: "d", Reason: "first"}) })
	change(t, s, scope, func(w *application.Work) { w.Bury(application.DeadLetter{ID: "d", Reason: "second"}) })
	d, err := s.DeadLetter(t.Context(), "d")
	if err != nil || d.Reason != "first" {
		t.Errorf("a letter buried twice: got reason %q, %v, want the first", d.Reason, err)
	}
}

func changeOthers(t *testing.T, s Stores) {
	a, b := admit(t, s, wish{id: "a"}), admit(t, s, wish{id: "b"})
	before := peek(t, s, b.Request.MessageID)
	change(t, s, application.Scope{MessageID: a.Request.MessageID}, func(w *application.Work) {
		w.Request.Attempts, w.Resource.State = 5, domain.Failed
		w.Note(domain.NewStep("s", w.Now, 0, nil))
		w.Arm(domain.RequestedID(b.Request.MessageID)) // not this request's: does nothing
		w.Free(time.Hour)
	})
	same(t, "work of another request", peek(t, s, b.Request.MessageID), before)
}

func changeNow(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "r"})
	s.Clock.Advance(time.Minute + 1500*time.Nanosecond)
	same(t, "Work.Now", peek(t, s, r.Request.MessageID).Now, noon.Add(time.Minute+time.Microsecond))
}
