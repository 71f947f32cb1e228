package intake_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

func TestLists(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{})
	for i := range 5 {
		b.accept(withID(fmt.Sprint("r", i)))
	}
	b.finish("r0")
	for _, list := range []string{"requests", "resources"} {
		seen := map[string]bool{}
		pages, cursor := 0, ""
		for {
			a := b.call(http.MethodGet, "/api/v1/"+list+"?limit=2"+cursor, "")
			for _, item := range a.json[list].([]any) {
				m := item.(map[string]any)
				seen[fmt.Sprint(m["requestId"], m["virtualResourceId"])] = true
			}
			pages++
			if a.text("nextCursor") == "" {
				break
			}
			cursor = "&cursor=" + a.text("nextCursor")
		}
		if len(seen) != 5 || pages != 3 {
			t.Errorf("%s by 2: got %d of 5 on %d pages", list, len(seen), pages)
		}
	}
	for query, want := range map[string]int{"status=PROCESSING": 4, "status=COMPLETED": 1, "type=ALLOCATE_STORAGE": 5, "type=CREATE_NETWORK": 0, "": 5} {
		if a := b.call(http.MethodGet, "/api/v1/requests?"+query, ""); len(a.json["requests"].([]any)) != want {
			t.Errorf("%s: got %s, want %d", query, a.body, want)
		}
	}
	for _, query := range []string{"limit=0", "limit=101", "limit=x", "cursor=%21", "cursor=AA", "status=DONE", "type=x", "stauts=x", "limit=1&limit=2"} {
		a := b.call(http.MethodGet, "/api/v1/requests?"+query, "")
		name, _, _ := strings.Cut(query, "=")
		if a.status != http.StatusBadRequest || a.json["errors"].([]any)[0].(map[string]any)["parameter"] != name {
			t.Errorf("%s: got %d %s, want 400 naming it", query, a.status, a.body)
		}
	}
	if a := b.call(http.MethodGet, "/api/v1/resources?gone=maybe", ""); a.status != http.StatusBadRequest {
		t.Errorf("gone=maybe: got %d, want 400", a.status)
	}
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{})
	id := b.accept(volume)
	b.change(id, func(w *application.Work) {
		w.Bury(application.DeadLetter{ID: "letter-1", Function: "provision", Reason: "attempts-exhausted", Event: application.Event{ID: "e", Type: "t", Data: []byte("x")}})
		w.Request.Turn(domain.Fault, domain.ReasonAttemptsExhausted, w.Now)
		w.Request.Decide(w.Now)
		w.Resource.Settle(domain.Failed, false, w.Now)
		w.Request.Finish(w.Now)
	})
	for _, c := range [][2]string{{"GET", "/api/v1/dead-letters"}, {"POST", "/api/v1/dead-letters/letter-1/resume"}} {
		for _, role := range []string{"user", "viewer"} {
			if a := b.call(c[0], c[1], "", "Test-Caller", "acme/dev/"+role); a.status != http.StatusForbidden {
				t.Errorf("%s %s as %s: got %d, want 403", c[0], c[1], role, a.status)
			}
		}
	}
	if a := b.call(http.MethodPost, "/api/v1/dead-letters/letter-1/resume", "", "Test-Caller", "other/dev/operator"); a.status != http.StatusNotFound {
		t.Errorf("another tenant's: got %d, want 404", a.status)
	}
	a := b.call(http.MethodGet, "/api/v1/dead-letters", "")
	letters := a.json["deadLetters"].([]any)
	if len(letters) != 1 || letters[0].(map[string]any)["requestId"] != id || letters[0].(map[string]any)["state"] != "OPEN" {
		t.Errorf("letters: got %s", a.body)
	}
	first := b.call(http.MethodPost, "/api/v1/dead-letters/letter-1/resume", "")
	again := b.call(http.MethodPost, "/api/v1/dead-letters/letter-1/resume", "")
	if first.status != http.StatusAccepted || first.text("requestId") != domain.ResumedRequestID("letter-1") || first.body != again.body {
		t.Errorf("resumed twice: got %d %s and %s, want one new request", first.status, first.body, again.body)
	}
	if a := b.call(http.MethodGet, first.header.Get("Location"), ""); a.status != http.StatusOK {
		t.Errorf("the tracking URL of the new request: got %d", a.status)
	}
}

// An operator sees the letters of the own tenant and those of no request, not
// those of others, page by page.
func TestDeadLetters_pages(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{})
	for i := range 250 {
		tenant := []string{"other", "other", "acme", "other", ""}[i%5]
		letter := application.DeadLetter{ID: fmt.Sprintf("letter-%03d", i), Tenant: tenant, Function: "notify", Reason: "undecodable"}
		if err := b.store.Bury(t.Context(), letter, nil); err != nil {
			t.Fatal(err)
		}
	}
	seen, pages, cursor := map[string]bool{}, 0, ""
	for {
		a := b.call(http.MethodGet, "/api/v1/dead-letters?limit=30"+cursor, "")
		for _, item := range a.json["deadLetters"].([]any) {
			seen[item.(map[string]any)["id"].(string)] = true
		}
		pages++
		if a.text("nextCursor") == "" {
			break
		}
		cursor = "&cursor=" + a.text("nextCursor")
	}
	if len(seen) != 100 || !seen["letter-002"] || !seen["letter-004"] || seen["letter-000"] || pages != 4 {
		t.Errorf("got %d letters on %d pages, want 50 of the tenant and 50 of no request on 4", len(seen), pages)
	}
}
