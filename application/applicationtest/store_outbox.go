package applicationtest

import (
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

func testOutbox(t *testing.T, open func(*testing.T) Stores) {
	cases(t, open, map[string]func(*testing.T, Stores){
		"an event keeps its first bytes":                 outboxKeepsBytes,
		"an acknowledged event is not armed":             outboxAcknowledged,
		"an arming during a sending survives":            outboxArmedMeanwhile,
		"an event may be armed again":                    outboxArmedAgain,
		"arming what is not stored does nothing":         outboxUnknown,
		"sent, armed and acknowledged within one change": outboxWithinOne,
	})
}

// requested returns the stored event that wakes provision.
func requested(t *testing.T, s Stores, r application.Record) application.Outgoing {
	t.Helper()
	return peek(t, s, r.Request.MessageID).Outbox[domain.RequestedID(r.Request.MessageID)]
}

func outboxKeepsBytes(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "r"})
	scope := application.Scope{MessageID: r.Request.MessageID}
	change(t, s, scope, func(w *application.Work) { w.Send(event("e")) })
	s.Clock.Advance(time.Second)
	other := event("e")
	other.Data, other.Type = []byte("other"), "other"
	change(t, s, scope, func(w *application.Work) {
		w.Acknowledge("e", noon)
		w.Send(other)
		w.Additions.Events = append(w.Additions.Events, other) // even by a change that did not look
	})
	same(t, "event stored twice", peek(t, s, r.Request.MessageID).Outbox["e"],
		application.Outgoing{Event: event("e"), MessageID: r.Request.MessageID, AckedAt: noon.Add(time.Second), Sends: 1})
}

func outboxAcknowledged(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "r"})
	o := requested(t, s, r)
	s.Clock.Advance(time.Second)
	change(t, s, application.Scope{MessageID: r.Request.MessageID}, func(w *application.Work) { w.Acknowledge(o.ID, o.ArmedAt) })
	o.ArmedAt, o.AckedAt, o.Sends = time.Time{}, noon.Add(time.Second), 1
	same(t, "acknowledged event", requested(t, s, r), o)
	if armed, err := s.Armed(t.Context(), 0, 10); err != nil || len(armed) > 0 {
		t.Errorf("Armed after the acknowledgment: got %v, %v, want none", armed, err)
	}
}

func outboxArmedMeanwhile(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "r"})
	scope := application.Scope{MessageID: r.Request.MessageID}
	sending := requested(t, s, r)
	s.Clock.Advance(time.Microsecond)
	change(t, s, scope, func(w *application.Work) { w.Arm(sending.ID) })
	s.Clock.Advance(time.Second)
	change(t, s, scope, func(w *application.Work) { w.Acknowledge(sending.ID, sending.ArmedAt) })
	got := requested(t, s, r)
	if !got.ArmedAt.Equal(noon.Add(time.Microsecond)) {
		t.Errorf("armed during the sending: got armed at %v, want the second arming, %v", got.ArmedAt, noon.Add(time.Microsecond))
	}
	if got.Sends != 1 || got.AckedAt.IsZero() {
		t.Errorf("armed during the sending: got %d sends, acknowledged at %v; want the sending counted", got.Sends, got.AckedAt)
	}
	change(t, s, scope, func(w *application.Work) { w.Acknowledge(got.ID, got.ArmedAt) })
	if again := requested(t, s, r); !again.ArmedAt.IsZero() || again.Sends != 2 {
		t.Errorf("after the second sending: got armed at %v, %d sends; want not armed, 2", again.ArmedAt, again.Sends)
	}
}

func outboxArmedAgain(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "r"})
	scope := application.Scope{MessageID: r.Request.MessageID}
	o := requested(t, s, r)
	change(t, s, scope, func(w *application.Work) { w.Acknowledge(o.ID, o.ArmedAt) })
	s.Clock.Advance(time.Minute)
	change(t, s, scope, func(w *application.Work) { w.Arm(o.ID) })
	armed, err := s.Armed(t.Context(), 0, 10)
	if err != nil || len(armed) != 1 {
		t.Fatalf("Armed: got %d, %v, want the event", len(armed), err)
	}
	o.ArmedAt, o.AckedAt, o.Sends = noon.Add(time.Minute), noon, 1
	same(t, "event armed again, with its first bytes", armed[0], o)
}

func outboxUnknown(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "r"})
	before := peek(t, s, r.Request.MessageID)
	change(t, s, application.Scope{MessageID: r.Request.MessageID}, func(w *application.Work) {
		w.Arm("unknown")
		w.Acknowledge("unknown", noon)
	})
	same(t, "work", peek(t, s, r.Request.MessageID), before)
}

func outboxWithinOne(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "r"})
	change(t, s, application.Scope{MessageID: r.Request.MessageID}, func(w *application.Work) {
		w.Send(event("sent"))
		w.Acknowledge("sent", w.Now)
		w.Send(event("armed"))
		w.Acknowledge("armed", w.Now)
		w.Arm("armed")
	})
	w := peek(t, s, r.Request.MessageID)
	if _, pending := w.Pending("sent"); pending || w.Outbox["sent"].Sends != 1 {
		t.Errorf("sent, then acknowledged: got %+v, want one sending and nothing armed", w.Outbox["sent"])
	}
	if _, pending := w.Pending("armed"); !pending || w.Outbox["armed"].Sends != 1 {
		t.Errorf("sent, acknowledged, then armed: got %+v, want one sending and it armed", w.Outbox["armed"])
	}
}
