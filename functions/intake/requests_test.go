package intake_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/functions/intake"
)

func TestRequest_shown(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{})
	id := b.accept(`{"type":"CREATE_VIRTUAL_MACHINE","specifications":{"cpu":4,"memory":8,"disk":100,"network":"vlan-100","userData":"#!/bin/sh\necho secret",
		"sshKeys":["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGpLx2rBn1c4m5Zl0m0eD1dQ0y0l6O2n1pV0m3wYx8aB you"]}}`)
	b.change(id, func(w *application.Work) {
		w.Note(domain.NewStep(domain.MessageConsumed, w.Now, 1500*time.Microsecond, map[string]any{"partition": 2, "offset": 12456}),
			domain.NewStep(domain.InPlan("volume-created"), w.Now, 250*time.Microsecond, nil),
			domain.NewStep(domain.ResourceProvisioned, w.Now, time.Second, map[string]any{"host": "host-1"}))
		w.Resource.Facts = domain.Facts{Driver: "simulated", Address: "198.18.100.2/24", Endpoints: map[string]string{"ssh": "198.18.100.2:22"},
			Checks: []domain.HealthCheck{{Name: domain.CheckSSH, Passed: true, Simulated: true}}, Timings: domain.Timings{Boot: 1500 * time.Microsecond}}
	})
	a := b.call(http.MethodGet, "/api/v1/requests/"+id, "")
	var shown struct {
		Resource struct {
			Specification map[string]any
			Timings       map[string]float64
			Endpoints     map[string]string
			HealthChecks  []map[string]any
		}
		Steps []struct {
			Number     int
			Name       string
			DurationMs float64
			Detail     map[string]any
		}
	}
	if err := json.Unmarshal([]byte(a.body), &shown); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(a.body, "secret") || strings.Contains(a.body, "AAAAC3") {
		t.Errorf("user data or keys are shown: %s", a.body)
	}
	if fingerprints, _ := shown.Resource.Specification["sshKeyFingerprints"].([]any); len(fingerprints) != 1 || !strings.HasPrefix(fingerprints[0].(string), "SHA256:") {
		t.Errorf("fingerprints: got %v", shown.Resource.Specification)
	}
	if shown.Resource.Timings["bootMs"] != 1.5 || shown.Resource.Endpoints["ssh"] == "" || len(shown.Resource.HealthChecks) != 1 {
		t.Errorf("resource: got %+v", shown.Resource)
	}
	last := shown.Steps[len(shown.Steps)-1]
	if plan, _ := last.Detail["plan"].([]any); last.Number != 11 || last.Detail["host"] != "host-1" || len(plan) != 1 || plan[0].(map[string]any)["durationMs"] != 0.25 {
		t.Errorf("step 11: got %+v, want its plan inside", last)
	}
	if confirmed := shown.Steps[5]; confirmed.Number != 6 || confirmed.Detail["offset"] != 12456.0 {
		t.Errorf("step 6: got %+v, want the offset of step 8", confirmed)
	}
	if consumed := shown.Steps[7]; consumed.Number != 8 || consumed.DurationMs != 1.5 {
		t.Errorf("step 8: got %+v, want 1.5 ms, not cut off", consumed)
	}
}

func TestRequest_etag(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{})
	target := "/api/v1/requests/" + b.accept(volume)
	tag := b.call(http.MethodGet, target, "").header.Get("ETag")
	for _, match := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
		if a := b.call(http.MethodGet, target, "", "If-None-Match", match); a.status != http.StatusNotModified || a.body != "" || a.header.Get("ETag") != tag {
			t.Errorf("If-None-Match %s: got %d %q", match, a.status, a.body)
		}
	}
	b.finish(strings.TrimPrefix(target, "/api/v1/requests/"))
	if a := b.call(http.MethodGet, target, "", "If-None-Match", tag); a.status != http.StatusOK || a.header.Get("ETag") == tag || a.text("status") != "COMPLETED" || a.text("phase") != "" {
		t.Errorf("after a change: got %d %s", a.status, a.body)
	}
}

func TestRequest_wait(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{})
	id := b.accept(volume)
	if a := b.call(http.MethodGet, "/api/v1/requests/"+id, "", "Prefer", "wait=0"); a.text("status") != "PROCESSING" || a.header.Get("Preference-Applied") != "" {
		t.Errorf("wait=0: got %s", a.body)
	}
	answered := make(chan answer)
	go func() {
		answered <- b.call(http.MethodGet, "/api/v1/requests/"+id, "", "Prefer", `respond-async, WAIT="99"; x=y`)
	}()
	b.finish(id)
	a := <-answered
	if a.text("status") != "COMPLETED" || a.header.Get("Preference-Applied") != "wait=30" {
		t.Errorf("wait=99: got %v %s, want COMPLETED and wait=30", a.header, a.body)
	}
}

// A server's own deadlines, which are shorter than a wait or a stream, are moved.
func TestRequest_liftsDeadlines(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{ports: func(p *intake.Ports) { p.Heartbeat = 20 * time.Millisecond }})
	s := httptest.NewUnstartedServer(http.HandlerFunc(b.f.Handle))
	s.Config.ReadTimeout, s.Config.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	s.Start()
	defer s.Close()
	id := b.accept(volume)
	waited := make(chan string)
	go func() {
		r, _ := http.NewRequest(http.MethodGet, s.URL+"/api/v1/requests/"+id, nil)
		r.Header.Set("Prefer", "wait=1")
		answer, err := s.Client().Do(r)
		if err != nil {
			waited <- err.Error()
			return
		}
		defer answer.Body.Close()
		waited <- answer.Status
	}()
	lines, stop := b.stream(s, id, "")
	defer stop()
	beats := 0
	for line := range lines {
		if strings.HasPrefix(line, ":") {
			if beats++; beats == 10 { // 10 heartbeats take twice the server's deadline
				b.finish(id)
			}
		}
		if line == "event: end" {
			beats = -1
			break
		}
	}
	if beats != -1 {
		t.Errorf("the stream ended after %d heartbeats, without its end", beats)
	}
	if got := <-waited; got != "200 OK" {
		t.Errorf("waiting longer than the server's deadline: got %s", got)
	}
}

// stream follows a request and yields lines until the stream ends.
func (b *bench) stream(s *httptest.Server, id, last string) (lines chan string, stop func()) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/v1/requests/"+id+"/events", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	answer, err := s.Client().Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" {
		b.t.Fatalf("stream: got %s %v", answer.Status, answer.Header)
	}
	lines = make(chan string)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(lines)
		in := bufio.NewScanner(answer.Body)
		in.Buffer(nil, 1<<20)
		for in.Scan() {
			select {
			case lines <- in.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines, func() { cancel(); <-done; answer.Body.Close() }
}

func TestRequest_events(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{})
	s := httptest.NewServer(http.HandlerFunc(b.f.Handle))
	defer s.Close()
	id := b.accept(volume)

	// The first steps come at once; then the client goes away.
	lines, stop := b.stream(s, id, "")
	var ids []string
	for line := range lines {
		if n, ok := strings.CutPrefix(line, "id: "); ok {
			if ids = append(ids, n); len(ids) == 7 {
				break
			}
		}
	}
	stop()
	if fmt.Sprint(ids) != "[1 2 3 4 5 6 7]" {
		t.Fatalf("ids: got %v, want 1 to 7", ids)
	}

	// Meanwhile a step is added and one undone; the client comes back.
	b.change(id, func(w *application.Work) {
		w.Note(domain.NewStep(domain.MessageConsumed, w.Now, 0, nil))
		w.Compensate(domain.UseCaseProcessed)
	})
	lines, stop = b.stream(s, id, "7")
	defer stop()
	var events []string
	for line := range lines {
		switch name, value, _ := strings.Cut(line, ": "); name {
		case "id", "event":
			events = append(events, value)
		case "data":
			var data struct{ Name, Status string }
			if err := json.Unmarshal([]byte(value), &data); err != nil {
				t.Errorf("data %q: %v", value, err)
			}
			events = append(events, data.Name+" "+data.Status)
		}
		if len(events) == 5 {
			b.finish(id)
		}
	}
	want := "step|use-case-processed COMPENSATED|8|step|message-consumed SUCCESS|end|end| COMPLETED"
	if got := strings.Join(events, "|"); got != want {
		t.Errorf("resumed after 7:\n got %s\nwant %s", got, want)
	}
	if a := b.call(http.MethodGet, "/api/v1/requests/"+id+"/events", "", "Last-Event-ID", "end"); a.status != http.StatusNoContent {
		t.Errorf("resumed after the end: got %d, want 204", a.status)
	}
	if a := b.call(http.MethodGet, "/api/v1/requests/"+id+"/events", "", "Last-Event-ID", "x"); a.status != http.StatusBadRequest {
		t.Errorf("resumed after x: got %d, want 400", a.status)
	}
	if a := b.call(http.MethodHead, "/api/v1/requests/"+id+"/events", ""); a.status != http.StatusOK {
		t.Errorf("HEAD: got %d, want 200 at once", a.status)
	}
}

func TestRequest_cancel(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{})
	id := b.accept(volume)
	target := "/api/v1/requests/" + id
	if a := b.call(http.MethodDelete, target, "", "Test-Caller", "acme/ann/user"); a.status != http.StatusForbidden {
		t.Errorf("another user's: got %d, want 403", a.status)
	}
	first := b.call(http.MethodDelete, target, "")
	again := b.call(http.MethodDelete, target, "")
	if first.status != http.StatusAccepted || again.status != http.StatusAccepted || first.body != again.body || first.text("reason") != "cancelled" {
		t.Errorf("twice: got %d %s and %d %s, want the same 202", first.status, first.body, again.status, again.body)
	}
	if len(b.sender.sent) != 2 {
		t.Errorf("sent events: got %d, want the request's, and once more for the cancel", len(b.sender.sent))
	}
	b.finish(id)
	if a := b.call(http.MethodDelete, target, ""); a.status != http.StatusConflict || a.text("code") != "outcome-decided" {
		t.Errorf("after the end: got %d %s, want 409", a.status, a.body)
	}
}

func TestForeign(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{})
	a := b.post(volume)
	id, virtual := a.text("requestId"), a.text("virtualResourceId")
	for _, c := range [][2]string{
		{"GET", "/api/v1/requests/" + id}, {"DELETE", "/api/v1/requests/" + id}, {"GET", "/api/v1/requests/" + id + "/events"},
		{"GET", "/api/v1/resources/" + virtual}, {"GET", "/api/v1/requests/%00"}, {"GET", "/api/v1/resources/%ff"}, {"GET", "/api/v1/requests/" + strings.Repeat("x", 100)},
	} {
		if a := b.call(c[0], c[1], "", "Test-Caller", "other/eve/user,operator"); a.status != http.StatusNotFound || a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: got %d %s, want 404", c[0], c[1], a.status, a.body)
		}
	}
	for _, list := range []string{"requests", "resources"} {
		if a := b.call(http.MethodGet, "/api/v1/"+list, "", "Test-Caller", "other/eve/viewer"); len(a.json[list].([]any)) != 0 {
			t.Errorf("%s of another tenant: got %s, want none", list, a.body)
		}
	}
	stop := `{"type":"RELEASE_STORAGE","virtualResourceId":"` + virtual + `"}`
	if a := b.post(stop, "Test-Caller", "other/eve/user"); a.status != http.StatusNotFound {
		t.Errorf("work on another tenant's: got %d %s, want 404", a.status, a.body)
	}
}

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
