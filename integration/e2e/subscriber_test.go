//go:build e2e

package e2e

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"kbnt.dev/virtualization/eventing"
)

// subscriber is a service of another team: a Trigger has every public event
// delivered to it.
type subscriber struct {
	mu       sync.Mutex
	received map[string][]delivery // by request id
	arrived  chan struct{}         // gets something now and then
}

type delivery struct {
	id, kind string
	at       time.Time
}

// subscribe listens where KBNT_E2E_LISTEN says and has a Trigger deliver there
// until the test ends. Nil, with a line in the log, without that address.
func subscribe(t *testing.T, run string) *subscriber {
	t.Helper()
	address := os.Getenv("KBNT_E2E_LISTEN")
	if address == "" {
		t.Log("KBNT_E2E_LISTEN is not set: completion events are seen in the history of requests, not as a subscriber sees them")
		return nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatalf("KBNT_E2E_LISTEN: %v", err)
	}
	s := &subscriber{received: map[string][]delivery{}, arrived: make(chan struct{}, 1)}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	trigger, err := json.Marshal(map[string]any{
		"apiVersion": "eventing.knative.dev/v1", "kind": "Trigger",
		"metadata": map[string]any{"name": "e2e-" + run, "namespace": namespace},
		"spec": map[string]any{
			"broker":     "virtualization-events",
			"subscriber": map[string]any{"uri": "http://" + listener.Addr().String() + "/"},
			"delivery":   map[string]any{"retry": 5, "backoffPolicy": "linear", "backoffDelay": "PT1S"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	kubectl(t, string(trigger), "apply", "-f", "-")
	t.Cleanup(func() { _ = exec.Command("kubectl", "delete", "-n", namespace, "trigger", "e2e-"+run).Run() })
	kubectl(t, "", "wait", "-n", namespace, "--for=condition=Ready", "--timeout=120s", "trigger/e2e-"+run)
	return s
}

// ServeHTTP answers without a body: a Trigger takes any other for an event.
func (s *subscriber) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e, err := cehttp.NewEventFromHTTPRequest(r)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	request, _ := e.Extensions()[eventing.ExtRequestID].(string)
	s.mu.Lock()
	s.received[request] = append(s.received[request], delivery{e.ID(), e.Type(), time.Now()})
	s.mu.Unlock()
	select {
	case s.arrived <- struct{}{}:
	default:
	}
	w.WriteHeader(http.StatusAccepted)
}

// expect awaits the public event of a request: one id, however often it comes.
func (s *subscriber) expect(t *testing.T, requestID, kind string) (first time.Time) {
	t.Helper()
	if s == nil {
		return time.Time{}
	}
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		s.mu.Lock()
		got := slices.Clone(s.received[requestID])
		s.mu.Unlock()
		for _, d := range got {
			if d.id != got[0].id || d.kind != kind {
				t.Errorf("%s: the Trigger delivered %+v, want the one event of type %s", requestID, got, kind)
			}
		}
		if len(got) > 0 {
			return got[0].at
		}
		select {
		case <-s.arrived:
		case <-deadline.C:
			t.Fatalf("%s: no Trigger delivered an event in %s", requestID, patience)
		}
	}
}
