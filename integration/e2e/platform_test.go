//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"
)

// patience is how long a request may take, cold starts and waits of the sources
// between redeliveries included.
const patience = 5 * time.Minute

// poll is between two looks at what nothing announces.
const poll = 250 * time.Millisecond

// platform is a client of intake.
type platform struct {
	gateway string
	client  *http.Client
	events  *subscriber
	run     string // makes request ids of this run unlike those of others
}

// connect finds intake. Every test has a connection of its own.
func connect(t *testing.T) *platform {
	t.Helper()
	needCluster(t)
	p := &platform{gateway: gateway(t), run: strconv.FormatInt(time.Now().UnixNano(), 36), client: &http.Client{Timeout: 2 * time.Minute}}
	t.Cleanup(p.client.CloseIdleConnections)
	p.events = subscribe(t, p.run)
	return p
}

// call sends a request to intake and decodes the answer into v, unless that is
// nil. It fails unless the status is the one wanted.
func (p *platform) call(t *testing.T, method, path, body string, want int, v any) {
	t.Helper()
	status, answer, err := p.try(t.Context(), method, path, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if status != want {
		t.Fatalf("%s %s %s: got %d %s, want %d", method, path, body, status, answer, want)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal(answer, v); err != nil {
		t.Fatalf("%s %s: %v in %s", method, path, err, answer)
	}
}

func (p *platform) try(ctx context.Context, method, path, body string) (status int, answer []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+p.gateway+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, nil, err
	}
	r.Host = "kbnt-intake." + namespace + ".svc.cluster.local"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token := os.Getenv("KBNT_E2E_TOKEN"); token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := p.client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// request is what the tests read of a tracking URL.
type request struct {
	RequestID         string
	TrackingURL       string
	Status            string
	Reason            string
	Type              string
	VirtualResourceID string
	AcceptedAt        time.Time
	FinishedAt        time.Time
	Steps             []struct {
		Number int
		Name   string
		Status string
		Detail json.RawMessage
	}
}

// post sends a request and returns what the 202 says.
func (p *platform) post(t *testing.T, kind, specifications, rest string) request {
	t.Helper()
	var r request
	p.call(t, http.MethodPost, "/api/v1/virtualize", fmt.Sprintf(`{"type":%q,"specifications":%s%s}`, kind, specifications, rest), http.StatusAccepted, &r)
	return r
}

// volume asks for one, with labels as JSON.
func (p *platform) volume(t *testing.T, labels string) request {
	t.Helper()
	return p.post(t, "ALLOCATE_STORAGE", `{"size":5,"type":"SSD","iops":500}`, `,"metadata":{"labels":`+labels+`}`)
}

// await polls until a request satisfies the function, and returns it.
func (p *platform) await(t *testing.T, id, what string, holds func(request) bool) request {
	t.Helper()
	deadline := time.Now().Add(patience)
	var r request
	for {
		p.call(t, http.MethodGet, "/api/v1/requests/"+id, "", http.StatusOK, &r)
		if holds(r) {
			return r
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s after %s is %s %s with %d steps, want it %s", id, patience, r.Status, r.Reason, len(r.Steps), what)
		}
		time.Sleep(poll)
	}
}

// completed awaits that a request has ended well: all steps once and in order,
// and one completion event.
func (p *platform) completed(t *testing.T, id string) request {
	t.Helper()
	r := p.await(t, id, "finished", func(r request) bool { return !r.FinishedAt.IsZero() })
	if r.Status != "COMPLETED" {
		t.Fatalf("%s ended as %s (%s), want COMPLETED", id, r.Status, r.Reason)
	}
	const steps = 17
	if len(r.Steps) != steps {
		t.Errorf("%s has %d steps, want %d: %+v", id, len(r.Steps), steps, r.Steps)
	}
	for i, s := range r.Steps {
		if s.Number != i+1 || s.Status != "SUCCESS" {
			t.Errorf("%s: step %d is %d %s, %s, want it to be SUCCESS", id, i+1, s.Number, s.Name, s.Status)
		}
	}
	p.events.expect(t, id, "dev.kbnt.virtualization.completed")
	return r
}

// remove deletes the resource of a request when the test ends, whatever became
// of it.
func (p *platform) remove(t *testing.T, r request) {
	t.Helper()
	kind := map[string]string{"CREATE_VIRTUAL_MACHINE": "DELETE_VIRTUAL_MACHINE", "ALLOCATE_STORAGE": "RELEASE_STORAGE", "CREATE_NETWORK": "DELETE_NETWORK"}[r.Type]
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	status, answer, err := p.try(ctx, http.MethodPost, "/api/v1/virtualize", fmt.Sprintf(`{"type":%q,"virtualResourceId":%q}`, kind, r.VirtualResourceID))
	if err != nil || status != http.StatusAccepted {
		t.Errorf("%s was not deleted: %d %s %v", r.VirtualResourceID, status, answer, err)
		return
	}
	var deletion request
	if err := json.Unmarshal(answer, &deletion); err != nil {
		t.Errorf("delete %s: %v", r.VirtualResourceID, err)
		return
	}
	for deletion.FinishedAt.IsZero() && ctx.Err() == nil {
		time.Sleep(poll)
		if _, answer, err = p.try(ctx, http.MethodGet, "/api/v1/requests/"+deletion.RequestID, ""); err == nil {
			err = json.Unmarshal(answer, &deletion)
		}
	}
	if deletion.Status != "COMPLETED" {
		t.Errorf("the deletion of %s ended as %q (%s, %v), want COMPLETED", r.VirtualResourceID, deletion.Status, deletion.Reason, err)
	}
}
