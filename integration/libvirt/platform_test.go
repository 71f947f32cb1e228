//go:build integration

package libvirt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
	"kbnt.dev/virtualization/functions/intake"
	"kbnt.dev/virtualization/functions/notify"
	"kbnt.dev/virtualization/functions/provision"
	"kbnt.dev/virtualization/infrastructure/avro"
	"kbnt.dev/virtualization/infrastructure/httpsink"
	"kbnt.dev/virtualization/infrastructure/memory"
)

// platform is the three functions on a store in memory.
type platform struct {
	intake string // URL
	topics *topics
}

// start starts a platform until the test ends.
func start(t *testing.T, hypervisor application.Hypervisor) *platform {
	t.Helper()
	ctx, end := context.WithCancel(context.WithoutCancel(t.Context()))
	p := &platform{topics: &topics{ctx: ctx, subscribers: map[string]string{}, public: make(chan []byte, 64)}}
	t.Cleanup(func() {
		end()
		p.topics.running.Wait()
	})
	serve := func(h http.HandlerFunc) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	sinks := serve(p.topics.ServeHTTP)
	addresses := map[string]string{}
	for _, topic := range []string{eventing.TopicRequests, eventing.TopicResults, eventing.TopicEvents, eventing.TopicDeadLetters} {
		addresses[topic] = sinks + "/" + topic
	}
	sender, err := httpsink.New(httpsink.Options{Addresses: addresses, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	store, codec, log := memory.NewStore(memory.StoreOptions{}), avro.New(avro.Options{Version: "v0.0.0"}), slog.New(slog.DiscardHandler)
	use := func(function string) application.UseCases {
		return application.New(function, application.Ports{
			Database: store, Codec: codec, Sender: sender, Meter: noMeter{}, Clock: time.Now, Log: log,
			Permissions: application.Roles{}, Policies: application.Baseline{}, Hypervisor: hypervisor, Orphans: func(int) {}, Holder: uuid.NewString,
		}, application.Tunables{
			Offer: domain.DefaultOffer(), Region: "test", SendFor: 2 * time.Second, Budget: 20 * time.Second, Patience: 15 * time.Second, Poll: 200 * time.Millisecond, MaxAttempts: 10,
		})
	}
	ready := func(context.Context) error { return nil }
	u := use("intake")
	p.intake = serve(intake.New(intake.Ports{
		Submit: u.Submit, Track: u.Track, Cancel: u.Cancel, Resume: u.Resume, Records: store, Graveyard: store,
		Meter: noMeter{}, Metrics: http.NotFoundHandler(), Log: log, Ready: ready,
		Identify: func(*http.Request) (domain.Caller, error) {
			return domain.Caller{User: "ada", Tenant: "acme", Roles: []string{domain.RoleUser}}, nil
		},
	}).Handle)
	u = use("provision")
	p.topics.subscribers[eventing.TopicRequests] = serve(provision.New(provision.Ports{
		Provision: u.Provision, Sweep: u.Sweep, Relay: u.Relay, Metrics: http.NotFoundHandler(), Ready: ready, Log: log, Patience: 25 * time.Second, Unsent: u.Unsent,
	}).Handle)
	u = use("notify")
	p.topics.subscribers[eventing.TopicResults] = serve(notify.New(notify.Ports{
		Notify: u.Notify, Relay: u.Relay, Metrics: http.NotFoundHandler(), Ready: ready, Log: log, Patience: 25 * time.Second, Unsent: u.Unsent,
	}).Handle)
	return p
}

// event is what is read here of a public event.
type event struct {
	Type    string `json:"eventType"`
	Payload struct {
		RequestID         string            `json:"requestId"`
		VirtualResourceID string            `json:"virtualResourceId"`
		Status            string            `json:"status"`
		Reason            string            `json:"reason"`
		Endpoints         map[string]string `json:"endpoints"`
	} `json:"payload"`
	raw string
}

// request posts a request and returns the public event about how it ended.
func (p *platform) request(t *testing.T, body map[string]any) event {
	t.Helper()
	posted, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Post(p.intake+"/api/v1/virtualize", "application/json", bytes.NewReader(posted))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var accepted struct {
		RequestID string `json:"requestId"`
		Detail    string `json:"detail"`
	}
	if err := errors.Join(json.NewDecoder(answer.Body).Decode(&accepted)); err != nil || answer.StatusCode != http.StatusAccepted {
		t.Fatalf("post %s: got %s %s, %v, want 202", posted, answer.Status, accepted.Detail, err)
	}
	for {
		select {
		case data := <-p.topics.public:
			e := event{raw: string(data)}
			if err := json.Unmarshal(data, &e); err != nil {
				t.Fatalf("read %s: %v", data, err)
			}
			if e.Payload.RequestID == accepted.RequestID {
				return e
			}
		case <-time.After(4 * time.Minute):
			t.Fatalf("%s: no event about its end", posted)
		}
	}
}

type noMeter struct{}

func (noMeter) Add(application.Metric, float64, ...string)     {}
func (noMeter) Observe(application.Metric, float64, ...string) {}
