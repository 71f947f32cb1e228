package applicationtest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

func testStatistics(t *testing.T, open func(*testing.T) Stores) {
	cases(t, open, map[string]func(*testing.T, Stores){
		"an empty world":            censusEmpty,
		"counts what is live":       censusLive,
		"counts what waits":         censusQueue,
		"counts what is stuck":      censusStuck,
		"counts open dead letters":  censusLetters,
		"adds up what was spent":    censusCost,
		"durations, newest first":   durations,
		"durations of nothing done": durationsNone,
	})
}

func census(t *testing.T, s Stores) application.Census {
	t.Helper()
	c, err := s.Census(t.Context())
	if err != nil {
		t.Fatalf("Census: %v, want no error", err)
	}
	return c
}

func censusEmpty(t *testing.T, s Stores) {
	c := census(t, s)
	if len(c.Live)+len(c.Queue)+len(c.DeadLetters)+c.Waiting+c.Stuck != 0 || c.Cost != 0 || !c.OldestSince.IsZero() {
		t.Errorf("census of an empty store: got %+v, want zeros", c)
	}
	same(t, "Now", c.Now, noon)
}

func censusLive(t *testing.T, s Stores) {
	for i, r := range []struct {
		typ   domain.RequestType
		state domain.State
		live  bool
	}{
		{domain.CreateMachine, domain.Running, true}, {domain.CreateMachine, domain.Stopped, true}, {domain.CreateMachine, domain.Deleted, false},
		{domain.CreateMachine, domain.Provisioning, true}, {domain.AllocateStorage, domain.Allocated, true}, {domain.CreateNetwork, domain.Active, true},
	} {
		made := admit(t, s, wish{id: fmt.Sprint(i), typ: r.typ})
		settle(t, s, made.Request.MessageID, r.state, r.live)
	}
	same(t, "Live", census(t, s).Live, map[domain.ResourceKind]int{domain.Machine: 2, domain.Volume: 1, domain.Network: 1})
}

func censusQueue(t *testing.T, s Stores) {
	phases := []domain.Phase{domain.PhaseReceived, domain.PhaseValidated, domain.PhasePublished, domain.PhaseProvisioning}
	for i, phase := range phases {
		r := admit(t, s, wish{id: fmt.Sprint(i), priority: domain.High})
		change(t, s, application.Scope{MessageID: r.Request.MessageID}, func(w *application.Work) { w.Request.Phase = phase })
		s.Clock.Advance(time.Second)
	}
	admit(t, s, wish{id: "low", priority: domain.Low, tenant: "umbrella"})
	done := admit(t, s, wish{id: "done"})
	settle(t, s, done.Request.MessageID, domain.Running, true)
	c := census(t, s)
	same(t, "Queue", c.Queue, map[domain.Priority]int{domain.High: 4, domain.Low: 1})
	if c.Waiting != 3 || !c.OldestSince.Equal(noon.Add(time.Second)) {
		t.Errorf("waiting: got %d since %v, want 3 since %v", c.Waiting, c.OldestSince, noon.Add(time.Second))
	}
}

func censusStuck(t *testing.T, s Stores) {
	admit(t, s, wish{id: "stuck", deadline: time.Minute})
	turned := admit(t, s, wish{id: "turned", deadline: time.Minute})
	change(t, s, application.Scope{MessageID: turned.Request.MessageID}, func(w *application.Work) {
		w.Request.Turn(domain.Fault, domain.ReasonDeadline, w.Now)
	})
	decided := admit(t, s, wish{id: "decided", deadline: time.Minute})
	change(t, s, application.Scope{MessageID: decided.Request.MessageID}, func(w *application.Work) { w.Request.Decide(w.Now) })
	admit(t, s, wish{id: "fine", deadline: time.Hour})
	s.Clock.Advance(11 * time.Minute)
	if c := census(t, s); c.Stuck != 0 {
		t.Errorf("10 minutes past the deadline: got %d stuck, want 0", c.Stuck)
	}
	s.Clock.Advance(time.Microsecond)
	if c := census(t, s); c.Stuck != 2 {
		t.Errorf("more than 10 minutes past the deadline: got %d stuck, want the 2 undecided", c.Stuck)
	}
}

func censusLetters(t *testing.T, s Stores) {
	for i, reason := range []string{"a", "a", "b", "c"} {
		bury(t, s, application.DeadLetter{ID: fmt.Sprint(i), Reason: reason}, nil)
	}
	if err := s.Resumed(t.Context(), "3", ""); err != nil {
		t.Fatalf("Resumed: %v, want no error", err)
	}
	same(t, "DeadLetters", census(t, s).DeadLetters, map[string]int{"a": 2, "b": 1})
}

func censusCost(t *testing.T, s Stores) {
	const hourly = 45_000
	gone := admit(t, s, wish{id: "1"})
	admit(t, s, wish{id: "2", tenant: "umbrella"})
	if c := census(t, s); c.Cost != 2*hourly {
		t.Errorf("cost of two first hours: got %v, want %v", c.Cost, domain.Money(2*hourly))
	}
	s.Clock.Advance(2 * time.Hour)
	settle(t, s, gone.Request.MessageID, domain.Deleted, false)
	s.Clock.Advance(90 * time.Minute)
	if c, want := census(t, s), domain.Money(3*hourly+4*hourly); c.Cost != want {
		t.Errorf("cost of one that lived 2 h and one that lives for 3.5 h: got %v, want %v", c.Cost, want)
	}
}

func durations(t *testing.T, s Stores) {
	for i, r := range []struct {
		typ  domain.RequestType
		took time.Duration
	}{
		{domain.CreateMachine, 3 * time.Second}, {domain.AllocateStorage, time.Second},
		{domain.CreateMachine, 1500 * time.Microsecond}, {domain.CreateMachine, 2 * time.Second},
	} {
		made := admit(t, s, wish{id: fmt.Sprint(i), typ: r.typ})
		s.Clock.Advance(r.took)
		settle(t, s, made.Request.MessageID, r.typ.Target(), true)
	}
	failed := admit(t, s, wish{id: "failed"})
	change(t, s, application.Scope{MessageID: failed.Request.MessageID}, func(w *application.Work) {
		w.Request.Turn(domain.Fault, domain.ReasonDeadline, w.Now)
		w.Request.Decide(w.Now)
	})
	for n, want := range map[int][]time.Duration{
		10: {2 * time.Second, 1500 * time.Microsecond, 3 * time.Second},
		2:  {2 * time.Second, 1500 * time.Microsecond},
		0:  nil,
	} {
		got, err := s.Durations(t.Context(), domain.CreateMachine, n)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("last %d durations: got %v, %v, want %v", n, got, err, want)
		}
	}
}

func durationsNone(t *testing.T, s Stores) {
	admit(t, s, wish{id: "r"})
	if got, err := s.Durations(t.Context(), domain.CreateMachine, 10); err != nil || len(got) > 0 {
		t.Errorf("durations where nothing is done: got %v, %v, want none", got, err)
	}
}
