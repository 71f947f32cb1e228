package intake_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
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
