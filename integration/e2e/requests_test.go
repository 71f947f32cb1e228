//go:build e2e

package e2e

import (
	"net/http"
	"testing"
	"time"
)

// TestRequests sends the four sample requests and sees each through to its
// completion event.
func TestRequests(t *testing.T) {
	p := connect(t)
	samples := []struct{ what, kind, specifications string }{
		{"a machine on the operator's VLAN 100", "CREATE_VIRTUAL_MACHINE", `{"cpu":4,"memory":"8GB","disk":"100GB SSD","network":"vlan-100"}`},
		{"a volume", "ALLOCATE_STORAGE", `{"size":500,"type":"SSD","iops":3000}`},
		{"a network of our own", "CREATE_NETWORK", `{"subnet":"10.0.1.0/24","vlan":200,"gateway":"10.0.1.1"}`},
		{"a machine on that network", "CREATE_VIRTUAL_MACHINE", `{"cpu":2,"memory":4,"disk":50,"network":"vlan-200"}`},
	}
	var posted []request
	for _, s := range samples {
		r := p.post(t, s.kind, s.specifications, "")
		r.Type = s.kind
		t.Cleanup(func() { p.remove(t, r) }) // the last first: a network after its machines
		posted = append(posted, r)
	}
	for i, r := range posted {
		done := p.completed(t, r.RequestID)
		t.Logf("%s: %s, %s", samples[i].what, done.VirtualResourceID, done.FinishedAt.Sub(done.AcceptedAt).Round(10*time.Millisecond))
	}
}

// TestRefusals holds that what intake refuses says why.
func TestRefusals(t *testing.T) {
	p := connect(t)
	for name, c := range map[string]struct {
		body string
		want int
	}{
		"no JSON":              {`{"type":`, http.StatusBadRequest},
		"an unknown type":      {`{"type":"CREATE_PONY","specifications":{}}`, http.StatusUnprocessableEntity},
		"more than anyone has": {`{"type":"CREATE_VIRTUAL_MACHINE","specifications":{"cpu":100000,"memory":4,"disk":50,"network":"vlan-100"}}`, http.StatusUnprocessableEntity},
	} {
		t.Run(name, func(t *testing.T) {
			var problem struct{ Title, Detail string }
			p.call(t, http.MethodPost, "/api/v1/virtualize", c.body, c.want, &problem)
			if problem.Title == "" || problem.Detail == "" {
				t.Errorf("%s: got the problem %+v, want a title and a detail", c.body, problem)
			}
		})
	}
}

// TestTwice holds that the same request posted twice is one.
func TestTwice(t *testing.T) {
	p := connect(t)
	const specifications = `{"size":5,"type":"SSD","iops":500}`
	id := `,"metadata":{"requestId":"e2e-` + p.run + `"}`
	first := p.post(t, "ALLOCATE_STORAGE", specifications, id)
	first.Type = "ALLOCATE_STORAGE"
	t.Cleanup(func() { p.remove(t, first) })
	if second := p.post(t, "ALLOCATE_STORAGE", specifications, id); second.VirtualResourceID != first.VirtualResourceID {
		t.Errorf("posted twice: got the resources %s and %s, want one", first.VirtualResourceID, second.VirtualResourceID)
	}
	p.completed(t, first.RequestID)
}
