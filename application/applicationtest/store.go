// Package applicationtest is what the ports of the application promise, as tests.
// An adapter's own test calls the contract of its port with a function that
// makes a fresh adapter, and adds only what is special to its technology.
package applicationtest

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// Stores is one store, seen through all of its ports, and the clock it was
// opened with.
type Stores struct {
	application.Store
	application.Records
	application.Agenda
	application.Graveyard
	application.Statistics
	Clock *Clock
}

// TestStore is the contract of Store, Records, Agenda, Graveyard and Statistics,
// which one adapter implements together. open returns an empty store whose
// clock the test may set; it stays open until the test ends.
func TestStore(t *testing.T, open func(t *testing.T) Stores) {
	for name, topic := range map[string]func(*testing.T, func(*testing.T) Stores){
		"Admit":      testAdmit,
		"Change":     testChange,
		"Outbox":     testOutbox,
		"Claims":     testClaims,
		"Concurrent": testConcurrent,
		"Context":    testContext,
		"Records":    testRecords,
		"Agenda":     testAgenda,
		"Graveyard":  testGraveyard,
		"Statistics": testStatistics,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topic(t, open)
		})
	}
}

// cases runs each test on a store of its own.
func cases(t *testing.T, open func(*testing.T) Stores, tests map[string]func(*testing.T, Stores)) {
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// noon is when the clocks of these tests start: with microseconds, which must
// survive, in a year of four digits.
var noon = time.Date(2025, 8, 30, 12, 0, 0, 123456000, time.UTC)

// Noon returns a clock at the time the contract begins with.
func Noon() *Clock { return NewClock(noon) }

// wish is a request to be admitted, with what matters to a test. The zero value
// of a field means something ordinary.
type wish struct {
	tenant, id string
	typ        domain.RequestType
	priority   domain.Priority
	name       string           // of the new resource
	target     *domain.Resource // to work on; nil makes a new one
	network    string           // uid of the network of a new machine
	virtualID  string
	cores      int
	deadline   time.Duration
}

func (w wish) defaults() wish {
	if w.tenant == "" {
		w.tenant = "acme"
	}
	if w.typ == "" {
		w.typ = domain.CreateMachine
	}
	if w.priority == "" {
		w.priority = domain.Normal
	}
	if w.cores == 0 {
		w.cores = 2
	}
	if w.deadline == 0 {
		w.deadline = 10 * time.Minute
	}
	if w.virtualID == "" {
		w.virtualID = domain.VirtualID(w.typ.Kind(), w.tenant, w.id, 16)
	}
	return w
}

func (w wish) scope() application.AdmitScope {
	w = w.defaults()
	s := application.AdmitScope{Tenant: w.tenant, RequestID: w.id, Kind: w.typ.Kind(), Priority: w.priority, Name: w.name}
	if w.target != nil {
		s.TargetID = w.target.VirtualID
	} else {
		s.VirtualID = domain.VirtualID(w.typ.Kind(), w.tenant, w.id, 8)
	}
	return s
}

// admission is what a decision makes of the wish.
func (w wish) admission(now time.Time) *application.Admission {
	w = w.defaults()
	message := domain.MessageID(w.tenant, w.id)
	r := &domain.Request{
		Tenant: w.tenant, ID: w.id, MessageID: message, BodyHash: "hash", Type: w.typ, User: "ada", Priority: w.priority,
		Transport: "JSON", Goal: domain.ToTarget, Status: domain.Processing, Phase: domain.PhaseValidated,
		From: domain.Absent, To: w.typ.Target(), AcceptedAt: now, TouchedAt: now, DeadlineAt: now.Add(w.deadline),
	}
	a := &application.Admission{Request: r, Event: event(domain.RequestedID(message)), Steps: []domain.Step{
		domain.NewStep(domain.RequestReceived, now, 0, nil),
		domain.NewStep(domain.DomainValidated, now, 3*time.Millisecond, map[string]any{"rules": 5}),
	}}
	if w.target != nil {
		a.Resource = w.target.Clone()
		a.Resource.Busy, r.ResourceUID, r.From = message, w.target.UID, w.target.State
		return a
	}
	switch w.typ.Kind() {
	case domain.Machine:
		r.Spec.Machine = &domain.MachineSpec{Cores: w.cores, Memory: 4 * domain.GiB, Disk: 20 * domain.GiB, DiskType: domain.SSD,
			Network: domain.Attachment{Mode: domain.ModeBridged}, Image: domain.DefaultImage}
	case domain.Volume:
		r.Spec.Volume = &domain.VolumeSpec{Size: 7 * domain.GiB, Type: domain.HDD}
	case domain.Network:
		r.Spec.Network = &domain.NetworkSpec{VLAN: 2000}
	}
	r.ResourceUID, r.Cost = domain.ResourceUID(message), 45_000
	a.New, a.Resource = true, &domain.Resource{
		UID: r.ResourceUID, VirtualID: w.virtualID, Tenant: w.tenant, Owner: "ada", ClientName: w.name, Kind: w.typ.Kind(),
		CreatedBy: message, Spec: r.Spec.Clone(), NetworkUID: w.network, State: domain.Provisioning, Live: true, Cost: r.Cost,
		Busy: message, CreatedAt: now, UpdatedAt: now,
	}
	return a
}

func event(id string) application.Event {
	return application.Event{ID: id, Type: "requested", Source: "/test", Topic: "requests", Data: []byte("data of " + id),
		Extensions: map[string]string{"partitionkey": id}}
}

// admit has a wish admitted, and returns it as it is stored.
func admit(t *testing.T, s Stores, w wish) application.Record {
	t.Helper()
	err := s.Admit(t.Context(), w.scope(), func(y *application.Tenancy) error {
		y.Admitted = w.admission(y.Now)
		return nil
	})
	if err != nil {
		t.Fatalf("Admit(%+v): %v, want no error", w.scope(), err)
	}
	return load(t, s, w.defaults().tenant, w.id)
}

// look returns what admission of the scope is shown, and admits nothing.
func look(t *testing.T, s Stores, scope application.AdmitScope) application.Tenancy {
	t.Helper()
	var seen application.Tenancy
	if err := s.Admit(t.Context(), scope, func(y *application.Tenancy) error { seen = *y; return nil }); err != nil {
		t.Fatalf("Admit(%+v): %v, want no error", scope, err)
	}
	return seen
}

func load(t *testing.T, s Stores, tenant, id string) application.Record {
	t.Helper()
	r, err := s.Request(t.Context(), tenant, id)
	if err != nil {
		t.Fatalf("Request(%q, %q): %v, want no error", tenant, id, err)
	}
	return r
}

// change changes a request, and returns what the change was shown, as it left it.
func change(t *testing.T, s Stores, scope application.Scope, do func(*application.Work)) application.Work {
	t.Helper()
	var seen application.Work
	err := s.Change(t.Context(), scope, func(w *application.Work) error {
		do(w)
		seen = *w
		return nil
	})
	if err != nil {
		t.Fatalf("Change(%+v): %v, want no error", scope, err)
	}
	return seen
}

// peek returns what a change of the request is shown.
func peek(t *testing.T, s Stores, messageID string, pools ...string) application.Work {
	t.Helper()
	return change(t, s, application.Scope{MessageID: messageID, Pools: pools}, func(*application.Work) {})
}

// settle ends a request: decided, announced, and its resource in the state given.
func settle(t *testing.T, s Stores, messageID string, state domain.State, live bool) {
	t.Helper()
	change(t, s, application.Scope{MessageID: messageID}, func(w *application.Work) {
		w.Request.Decide(w.Now)
		w.Request.Finish(w.Now)
		w.Resource.Settle(state, live, w.Now)
	})
}

// same compares two values, and names the fields that differ.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if reflect.DeepEqual(got, want) {
		return
	}
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	if g.Kind() != reflect.Struct || g.Type() != w.Type() {
		t.Errorf("%s: got %+v, want %+v", what, got, want)
		return
	}
	for i := range g.NumField() {
		if a, b := g.Field(i).Interface(), w.Field(i).Interface(); !reflect.DeepEqual(a, b) {
			t.Errorf("%s: %s: got %s, want %s", what, g.Type().Field(i).Name, show(a), show(b))
		}
	}
}

func show(v any) string {
	if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer && !p.IsNil() {
		v = p.Elem().Interface()
	}
	return fmt.Sprintf("%#v", v)
}

// wantKind checks how an error is classed.
func wantKind(t *testing.T, what string, err error, want domain.Kind) {
	t.Helper()
	if err == nil || domain.KindOf(err) != want {
		t.Errorf("%s: got error %v of kind %v, want kind %v", what, err, domain.KindOf(err), want)
	}
}

func ids(all []domain.Request) []string {
	var names []string
	for _, r := range all {
		names = append(names, r.ID)
	}
	return names
}

func sorted(all ...string) []string { slices.Sort(all); return all }
