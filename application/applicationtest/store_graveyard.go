package applicationtest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

func testGraveyard(t *testing.T, open func(*testing.T) Stores) {
	cases(t, open, map[string]func(*testing.T, Stores){
		"keeps every field":                    graveyardKeeps,
		"burying again changes nothing":        graveyardTwice,
		"burying again opens what was resumed": graveyardReopened,
		"letters come in pages":                graveyardPages,
		"a letter is resumed":                  graveyardResumed,
		"letters of what finished are moot":    graveyardMoot,
		"unknown letters are not found":        graveyardNotFound,
		"the state and the time are filled in": graveyardDefaults,
	})
}

func bury(t *testing.T, s Stores, d application.DeadLetter, e *application.Event) {
	t.Helper()
	if err := s.Bury(t.Context(), d, e); err != nil {
		t.Fatalf("Bury(%s): %v, want no error", d.ID, err)
	}
}

func letter(t *testing.T, s Stores, id string) application.DeadLetter {
	t.Helper()
	d, err := s.DeadLetter(t.Context(), id)
	if err != nil {
		t.Fatalf("DeadLetter(%s): %v, want no error", id, err)
	}
	return d
}

func graveyardKeeps(t *testing.T, s Stores) {
	want := filled[application.DeadLetter](0)
	bury(t, s, want, nil)
	same(t, "letter", letter(t, s, want.ID), want)
	all, err := s.DeadLetters(t.Context(), "", 10, "")
	if err != nil || len(all) != 1 {
		t.Fatalf("DeadLetters: got %d, %v, want one", len(all), err)
	}
	same(t, "letter of a page", all[0], want)
	if armed, err := s.Armed(t.Context(), 0, 10); err != nil || len(armed) > 0 {
		t.Errorf("Armed after a letter without an event: got %v, %v, want none", armed, err)
	}
	all[0].Event.Data[0], all[0].Event.Extensions["x"] = 'X', "X"
	same(t, "letter after a returned one was written to", letter(t, s, want.ID), want)
}

func graveyardTwice(t *testing.T, s Stores) {
	e := event("e")
	bury(t, s, application.DeadLetter{ID: "d", Reason: "first"}, &e)
	if err := s.Acknowledge(t.Context(), "e", noon); err != nil {
		t.Fatalf("Acknowledge: %v, want no error", err)
	}
	bury(t, s, application.DeadLetter{ID: "d", Reason: "second"}, &e)
	other := event("e2")
	bury(t, s, application.DeadLetter{ID: "d", Reason: "third"}, &other)
	if d := letter(t, s, "d"); d.Reason != "first" {
		t.Errorf("letter buried three times: got reason %q, want the first", d.Reason)
	}
	if armed, err := s.Armed(t.Context(), 0, 10); err != nil || len(armed) > 0 {
		t.Errorf("Armed after burying again: got %v, %v, want none", armed, err)
	}
}

func graveyardReopened(t *testing.T, s Stores) {
	bury(t, s, application.DeadLetter{ID: "d", Reason: "first"}, nil)
	if err := s.Resumed(t.Context(), "d", "again"); err != nil {
		t.Fatal(err)
	}
	s.Clock.Advance(time.Minute)
	bury(t, s, application.DeadLetter{ID: "d", Reason: "second"}, nil)
	d := letter(t, s, "d")
	if d.State != application.LetterOpen || d.ResumedAs != "" || d.Reason != "first" || !d.At.Equal(s.Clock.Now()) {
		t.Errorf("a resumed letter buried again: got %+v, want it open, of now, with its first reason", d)
	}
}

func letterIDs(all []application.DeadLetter) []string {
	var names []string
	for _, d := range all {
		names = append(names, d.ID)
	}
	return names
}

func graveyardPages(t *testing.T, s Stores) {
	for i := range 6 {
		bury(t, s, application.DeadLetter{ID: fmt.Sprint("a", i), Tenant: "acme"}, nil)
		bury(t, s, application.DeadLetter{ID: fmt.Sprint("u", i), Tenant: "umbrella"}, nil)
		if i%2 == 1 {
			s.Clock.Advance(time.Microsecond)
		}
	}
	bury(t, s, application.DeadLetter{ID: "nobody's"}, nil)
	for tenant, want := range map[string][]string{
		"acme":     {"a5", "a4", "a3", "a2", "a1", "a0"},
		"umbrella": {"u5", "u4", "u3", "u2", "u1", "u0"},
		"":         {"nobody's", "u5", "u4", "a5", "a4", "u3", "u2", "a3", "a2", "u1", "u0", "a1", "a0"},
		"nobody":   nil,
	} {
		var got []string
		for cursor := ""; ; cursor = got[len(got)-1] {
			page, err := s.DeadLetters(t.Context(), tenant, 4, cursor)
			if err != nil || len(page) > 4 {
				t.Fatalf("page of 4: got %d, %v", len(page), err)
			}
			if len(page) == 0 {
				break
			}
			got = append(got, letterIDs(page)...)
		}
		if !slices.Equal(got, want) {
			t.Errorf("letters of %q: got %v, want %v", tenant, got, want)
		}
	}
	if page, err := s.DeadLetters(t.Context(), "acme", 4, "u5"); err != nil || len(page) > 0 {
		t.Errorf("letters after another tenant's: got %v, %v, want none", letterIDs(page), err)
	}
}

func graveyardResumed(t *testing.T, s Stores) {
	bury(t, s, application.DeadLetter{ID: "d", Tenant: "acme"}, nil)
	for _, as := range []string{"", "again", "again"} {
		if err := s.Resumed(t.Context(), "d", as); err != nil {
			t.Fatalf("Resumed as %q: %v, want no error", as, err)
		}
		if d := letter(t, s, "d"); d.State != application.LetterResumed || d.ResumedAs != as {
			t.Errorf("letter resumed as %q: got %s as %q", as, d.State, d.ResumedAs)
		}
	}
}

func graveyardMoot(t *testing.T, s Stores) {
	for name, end := range map[string]domain.Outcome{"completed": domain.Completed, "cancelled": domain.Cancelled, "failed": domain.Fault, "unfinished": "", "decided": "", "resumed": domain.Completed} {
		r := admit(t, s, wish{id: name})
		change(t, s, application.Scope{MessageID: r.Request.MessageID}, func(w *application.Work) {
			w.Bury(application.DeadLetter{ID: name})
			if end == domain.Cancelled || end == domain.Fault {
				w.Request.Turn(end, "for a test", w.Now)
			}
			if name != "unfinished" {
				w.Request.Decide(w.Now)
			}
			if end != "" {
				w.Request.Finish(w.Now)
			}
		})
	}
	bury(t, s, application.DeadLetter{ID: "of none"}, nil)
	if err := s.Resumed(t.Context(), "resumed", ""); err != nil {
		t.Fatalf("Resumed: %v, want no error", err)
	}
	if n, err := s.Moot(t.Context()); err != nil || n != 2 {
		t.Errorf("Moot: got %d, %v, want 2", n, err)
	}
	for id, want := range map[string]application.LetterState{
		"completed": application.LetterMoot, "cancelled": application.LetterMoot,
		"failed":     application.LetterOpen, // an operator may still resume it, as a new request
		"unfinished": application.LetterOpen, "decided": application.LetterOpen, "of none": application.LetterOpen,
		"resumed": application.LetterResumed,
	} {
		if d := letter(t, s, id); d.State != want {
			t.Errorf("letter of a request that is %s: got %s, want %s", id, d.State, want)
		}
	}
	if n, err := s.Moot(t.Context()); err != nil || n != 0 {
		t.Errorf("Moot again: got %d, %v, want 0", n, err)
	}
}

func graveyardNotFound(t *testing.T, s Stores) {
	_, err := s.DeadLetter(t.Context(), "unknown")
	wantKind(t, "DeadLetter", err, domain.NotFound)
	wantKind(t, "Resumed", s.Resumed(t.Context(), "unknown", ""), domain.NotFound)
}

func graveyardDefaults(t *testing.T, s Stores) {
	bury(t, s, application.DeadLetter{ID: "d"}, nil)
	same(t, "letter", letter(t, s, "d"), application.DeadLetter{ID: "d", State: application.LetterOpen, At: noon})
}
