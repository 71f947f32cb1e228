package applicationtest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

func testAgenda(t *testing.T, open func(*testing.T) Stores) {
	cases(t, open, map[string]func(*testing.T, Stores){
		"armed events, oldest first":         agendaArmed,
		"events of no request are noted":     agendaAcknowledge,
		"overdue requests":                   agendaOverdue,
		"a begun deletion is not overdue":    agendaOverdueDeletion,
		"stalled requests":                   agendaStalled,
		"which uids stand":                   agendaStanding,
		"limits bound what is found, oldest": agendaLimits,
	})
}

func agendaArmed(t *testing.T, s Stores) {
	old := admit(t, s, wish{id: "old"})
	s.Clock.Advance(4 * time.Second)
	admit(t, s, wish{id: "new", tenant: "umbrella"})
	sent := admit(t, s, wish{id: "sent"})
	change(t, s, application.Scope{MessageID: sent.Request.MessageID}, func(w *application.Work) {
		w.Acknowledge(domain.RequestedID(sent.Request.MessageID), w.Now)
	})
	s.Clock.Advance(2 * time.Second)
	for longer, want := range map[time.Duration][]string{
		0:               {"old", "new"},
		time.Second:     {"old", "new"},
		5 * time.Second: {"old"},
		7 * time.Second: nil,
	} {
		armed, err := s.Armed(t.Context(), longer, 10)
		if err != nil {
			t.Fatalf("Armed(%v): %v, want no error", longer, err)
		}
		var got []string
		for _, o := range armed {
			for _, id := range []string{"old", "new", "sent"} {
				if o.MessageID == domain.MessageID("acme", id) || o.MessageID == domain.MessageID("umbrella", id) {
					got = append(got, id)
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("armed for longer than %v: got %v, want %v", longer, got, want)
		}
	}
	armed, _ := s.Armed(t.Context(), 5*time.Second, 10)
	same(t, "armed event", armed[0], requested(t, s, old))
}

func agendaAcknowledge(t *testing.T, s Stores) {
	e := filled[application.Event](0)
	if err := s.Bury(t.Context(), application.DeadLetter{ID: "d"}, &e); err != nil {
		t.Fatalf("Bury: %v, want no error", err)
	}
	s.Clock.Advance(time.Second)
	armed, err := s.Armed(t.Context(), 0, 10)
	if err != nil || len(armed) != 1 {
		t.Fatalf("Armed: got %d, %v, want the letter's event", len(armed), err)
	}
	same(t, "event of a letter", armed[0], application.Outgoing{Event: e, ArmedAt: noon})
	if err := s.Acknowledge(t.Context(), e.ID, noon.Add(-time.Second)); err != nil {
		t.Errorf("Acknowledge of an older arming: %v, want no error", err)
	}
	armed, _ = s.Armed(t.Context(), 0, 10)
	if len(armed) != 1 || armed[0].Sends != 1 {
		t.Errorf("after an older arming was acknowledged: got %+v, want it armed, and one sending", armed)
	}
	if err := s.Acknowledge(t.Context(), e.ID, noon); err != nil {
		t.Errorf("Acknowledge: %v, want no error", err)
	}
	if armed, err := s.Armed(t.Context(), 0, 10); err != nil || len(armed) > 0 {
		t.Errorf("Armed after the acknowledgment: got %v, %v, want none", armed, err)
	}
}

func agendaOverdue(t *testing.T, s Stores) {
	late := admit(t, s, wish{id: "late", deadline: time.Minute})
	admit(t, s, wish{id: "in time", deadline: time.Hour})
	decided := admit(t, s, wish{id: "decided", deadline: time.Minute})
	change(t, s, application.Scope{MessageID: decided.Request.MessageID}, func(w *application.Work) { w.Request.Decide(w.Now) })
	turned := admit(t, s, wish{id: "turned", deadline: time.Minute})
	change(t, s, application.Scope{MessageID: turned.Request.MessageID}, func(w *application.Work) {
		w.Request.Turn(domain.Cancelled, domain.ReasonCancelled, w.Now)
	})
	if got, err := s.Overdue(t.Context(), 10); err != nil || len(got) > 0 {
		t.Errorf("Overdue at once: got %v, %v, want none", got, err)
	}
	s.Clock.Advance(time.Minute + time.Microsecond)
	got, err := s.Overdue(t.Context(), 10)
	if want := []string{late.Request.MessageID}; err != nil || !slices.Equal(got, want) {
		t.Errorf("Overdue: got %v, %v, want the undecided one whose goal has not turned, %v", got, err, want)
	}
}

// agendaOverdueDeletion: nothing can turn a deletion that has begun, so finding it
// again and again would only crowd out those that can be turned.
func agendaOverdueDeletion(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "r"})
	settle(t, s, r.Request.MessageID, domain.Running, true)
	target := load(t, s, "acme", "r").Resource
	del := admit(t, s, wish{id: "del", typ: domain.DeleteMachine, target: &target, deadline: time.Minute})
	s.Clock.Advance(2 * time.Minute)
	if got, err := s.Overdue(t.Context(), 10); err != nil || !slices.Equal(got, []string{del.Request.MessageID}) {
		t.Errorf("Overdue of a deletion not begun: got %v, %v, want it", got, err)
	}
	change(t, s, application.Scope{MessageID: del.Request.MessageID}, func(w *application.Work) { w.Request.Begun = true })
	if got, err := s.Overdue(t.Context(), 10); err != nil || len(got) > 0 {
		t.Errorf("Overdue of a deletion that has begun: got %v, %v, want none", got, err)
	}
}

func agendaStalled(t *testing.T, s Stores) {
	alone := admit(t, s, wish{id: "alone"})
	leased := admit(t, s, wish{id: "leased"})
	change(t, s, application.Scope{MessageID: leased.Request.MessageID}, func(w *application.Work) {
		w.Resource.Acquire("me", w.Now, w.Now.Add(time.Minute))
	})
	decided := admit(t, s, wish{id: "decided"})
	change(t, s, application.Scope{MessageID: decided.Request.MessageID}, func(w *application.Work) { w.Request.Decide(w.Now) })
	done := admit(t, s, wish{id: "done"})
	settle(t, s, done.Request.MessageID, domain.Running, true)
	touched := admit(t, s, wish{id: "touched"})
	s.Clock.Advance(31 * time.Second)
	change(t, s, application.Scope{MessageID: touched.Request.MessageID}, func(w *application.Work) { w.Request.TouchedAt = w.Now })

	want := func(when string, all ...application.Record) {
		t.Helper()
		got, err := s.Stalled(t.Context(), 30*time.Second, 10)
		var messages []string
		for _, r := range all {
			messages = append(messages, r.Request.MessageID)
		}
		if err != nil || !slices.Equal(sorted(got...), sorted(messages...)) {
			t.Errorf("stalled %s: got %v, %v, want %v", when, got, err, messages)
		}
	}
	want("after 31 s", alone, decided)
	s.Clock.Advance(29 * time.Second)
	want("when the lease has ended", alone, decided, leased)
	s.Clock.Advance(time.Minute)
	want("when nothing happened", alone, decided, leased, touched)
}

func agendaStanding(t *testing.T, s Stores) {
	live, gone := admit(t, s, wish{id: "1"}), admit(t, s, wish{id: "2"})
	settle(t, s, gone.Request.MessageID, domain.Deleted, false)
	asked := []string{live.Resource.UID, gone.Resource.UID, "unknown"}
	for i := range 2500 { // more than fit into the parameters of some databases' statements
		asked = append(asked, fmt.Sprint(i))
	}
	got, err := s.Standing(t.Context(), asked)
	if err != nil || len(got) != len(asked) {
		t.Fatalf("Standing of %d uids: got %d answers, %v", len(asked), len(got), err)
	}
	for uid, standing := range got {
		if want := uid == live.Resource.UID; standing != want {
			t.Errorf("Standing of %q: got %v, want %v", uid, standing, want)
		}
	}
	if got, err := s.Standing(t.Context(), nil); err != nil || len(got) > 0 {
		t.Errorf("Standing of nothing: got %v, %v, want none", got, err)
	}
}

func agendaLimits(t *testing.T, s Stores) {
	var want []string
	for i := range 4 {
		want = append(want, admit(t, s, wish{id: fmt.Sprint(i), deadline: time.Second}).Request.MessageID)
		s.Clock.Advance(time.Second)
	}
	s.Clock.Advance(time.Minute)
	overdue, err := s.Overdue(t.Context(), 3)
	if err != nil || !slices.Equal(overdue, want[:3]) {
		t.Errorf("Overdue(3): got %v, %v, want %v", overdue, err, want[:3])
	}
	stalled, err := s.Stalled(t.Context(), 0, 2)
	if err != nil || !slices.Equal(stalled, want[:2]) {
		t.Errorf("Stalled(2): got %v, %v, want %v", stalled, err, want[:2])
	}
	armed, err := s.Armed(t.Context(), 0, 1)
	if err != nil || len(armed) != 1 || armed[0].MessageID != want[0] {
		t.Errorf("Armed(1): got %v, %v, want that of %v", armed, err, want[0])
	}
}
