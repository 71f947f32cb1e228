package provision_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
	"kbnt.dev/virtualization/functions/provision"
	"kbnt.dev/virtualization/infrastructure/avro"
	"kbnt.dev/virtualization/infrastructure/httpsink"
	"kbnt.dev/virtualization/infrastructure/memory"
	"kbnt.dev/virtualization/infrastructure/simulated"
)

// sink is what a KafkaSink is to the function: it keeps what was posted.
type sink struct {
	mu   sync.Mutex
	sent []http.Header
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, r.Header)
	w.WriteHeader(http.StatusAccepted)
}

func (s *sink) types() (types []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.sent {
		types = append(types, h.Get("Ce-Type"))
	}
	return types
}

type noMeter struct{}

func (noMeter) Add(application.Metric, float64, ...string)     {}
func (noMeter) Observe(application.Metric, float64, ...string) {}

// world is the function with real adapters around it, and no latency.
type world struct {
	function *provision.Function
	submit   *application.Submit
	store    *memory.Store
	sink     *sink
}

func newWorld(t *testing.T) world {
	t.Helper()
	s := &sink{}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	store, codec, log := memory.NewStore(memory.StoreOptions{}), avro.New(avro.Options{Version: "test"}), slog.New(slog.DiscardHandler)
	sender, err := httpsink.New(httpsink.Options{Addresses: map[string]string{
		eventing.TopicRequests: server.URL, eventing.TopicResults: server.URL, eventing.TopicDeadLetters: server.URL}})
	if err != nil {
		t.Fatal(err)
	}
	hypervisor, err := simulated.New(simulated.Options{Documents: new(memory.Documents)})
	if err != nil {
		t.Fatal(err)
	}
	relay := &application.Relay{Store: store, Agenda: store, Sender: sender, Meter: noMeter{}, Clock: time.Now}
	offer := domain.DefaultOffer()
	return world{store: store, sink: s,
		submit: &application.Submit{Store: store, Permissions: application.Roles{}, Policies: application.Baseline{}, Codec: codec, Relay: relay, Offer: offer, Meter: noMeter{}, Clock: time.Now,
			Estimates: &application.Estimates{Statistics: store, Offer: offer, Clock: time.Now}, SendFor: time.Second},
		function: provision.New(provision.Ports{
			Provision: &application.Provision{Store: store, Records: store, Agenda: store, Hypervisor: hypervisor, Codec: codec, Relay: relay, Meter: noMeter{}, Clock: time.Now, Log: log,
				Holder: func() string { return "test" }, Function: "provision", Budget: 20 * time.Second, Landing: 10 * time.Second, Patience: 5 * time.Second, Poll: time.Millisecond, MaxAttempts: 3,
				Poison: &application.Poison{Store: store, Graveyard: store, Codec: codec, Relay: relay, Meter: noMeter{}, Log: log, Clock: time.Now, Function: "provision", Grace: time.Minute}},
			Sweep: &application.Sweep{Store: store, Agenda: store, Graveyard: store, Hypervisor: hypervisor, Relay: relay, Clock: time.Now, Log: log,
				Unsent: 5 * time.Second, Untouched: 30 * time.Second, Grace: time.Minute, Orphans: func(int) {}},
			Relay: relay, Metrics: http.NotFoundHandler(), Ready: func(context.Context) error { return nil }, Log: log, Patience: 20 * time.Second, Unsent: 5 * time.Second}),
	}
}

// post delivers one event in binary mode and returns the status.
func (w world) post(t *testing.T, header map[string]string, data []byte) int {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(string(data)))
	for k, v := range header {
		r.Header.Set(k, v)
	}
	answer := httptest.NewRecorder()
	w.function.Handle(answer, r)
	if answer.Body.Len() > 0 {
		t.Errorf("the answer has the body %q, which a Trigger would take for an event", answer.Body)
	}
	return answer.Code
}

// requested submits a volume and returns the event that wakes provision, as a
// KafkaSource would post it.
func (w world) requested(t *testing.T) (messageID string, header map[string]string, data []byte) {
	t.Helper()
	a, err := w.submit.Submit(t.Context(), domain.Caller{User: "ada", Tenant: "acme", Roles: []string{domain.RoleUser}}, domain.Draft{
		Type: domain.AllocateStorage, RequestID: "r-1", User: "ada", Priority: domain.Normal, Transport: "JSON",
		Spec: domain.Specification{Volume: &domain.VolumeSpec{Size: domain.GiB, Type: domain.SSD}}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var e application.Event
	err = w.store.Change(t.Context(), application.Scope{MessageID: a.Request.MessageID}, func(k *application.Work) error {
		e = k.Outbox[domain.RequestedID(a.Request.MessageID)].Event
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	header = map[string]string{"Ce-Specversion": "1.0", "Ce-Id": e.ID, "Ce-Type": e.Type, "Ce-Source": e.Source, "Ce-Subject": e.Subject,
		"Ce-Time": e.Time.Format(time.RFC3339Nano), "Ce-Dataschema": e.DataSchema, "Content-Type": e.ContentType,
		"Ce-Knativekafkapartition": "2", "Ce-Knativekafkaoffset": "7"}
	for k, v := range e.Extensions {
		header["Ce-"+k] = v
	}
	return a.Request.MessageID, header, e.Data
}

func TestFunction_delivery(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, header, data := w.requested(t)
	for range 2 { // delivered twice is done once
		if got := w.post(t, header, data); got != http.StatusOK {
			t.Fatalf("the delivery got %d, want 200", got)
		}
	}
	want := []string{eventing.TypeRequested, eventing.TypeProvisioned}
	if got := w.sink.types(); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the sinks got %v, want %v", got, want)
	}
	r, err := w.store.Request(t.Context(), "acme", "r-1")
	if err != nil || r.Request.Decided != domain.Completed || r.Resource.State != domain.Allocated {
		t.Errorf("the request is %q, its volume %s, %v; want COMPLETED, ALLOCATED", r.Request.Decided, r.Resource.State, err)
	}
}

func TestFunction_poison(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason string
		spoil  func(header map[string]string, data []byte)
		want   string
	}{
		"checksum": {"data that changed on the way is never worked on", func(_ map[string]string, data []byte) { data[len(data)-1] ^= 1 }, eventing.ReasonChecksumMismatch},
		"type":     {"an event that nobody handles is no reason to retry", func(h map[string]string, _ []byte) { h["Ce-Type"] = "com.example.other" }, eventing.ReasonUnknownType},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			_, header, data := w.requested(t)
			c.spoil(header, data)
			if got := w.post(t, header, data); got != http.StatusOK {
				t.Errorf("%s: got %d, want 200: a retry would not help", c.reason, got)
			}
			letters, err := w.store.DeadLetters(t.Context(), "", 10, "")
			if err != nil || len(letters) != 1 || letters[0].Reason != c.want {
				t.Errorf("%s: dead letters %+v, %v, want one: %s", c.reason, letters, err, c.want)
			}
		})
	}
}

func TestFunction_sweep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tick := map[string]string{"Ce-Specversion": "1.0", "Ce-Id": "1", "Ce-Type": eventing.TypeSweep, "Ce-Source": "/apis/v1/namespaces/kbnt/pingsources/sweep"}
	if got := w.post(t, tick, nil); got != http.StatusOK {
		t.Errorf("a tick got %d, want 200", got)
	}
	if letters, _ := w.store.DeadLetters(t.Context(), "", 10, ""); len(letters) > 0 {
		t.Errorf("a tick was buried: %+v", letters)
	}
}

func TestFunction_deadLetters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, header, data := w.requested(t)
	header["Ce-Knativeerrorcode"] = "503"
	if got := w.post(t, header, data); got != http.StatusOK {
		t.Errorf("what a source gave up on got %d, want 200", got)
	}
	delete(header, "Ce-Knativeerrorcode")
	header["Ce-Reason"] = eventing.ReasonUndecodable
	if got := w.post(t, header, data); got != http.StatusOK {
		t.Errorf("a dead letter of a function got %d, want 200", got)
	}
	letters, err := w.store.DeadLetters(t.Context(), "acme", 10, "")
	if err != nil || len(letters) != 1 || letters[0].Reason != eventing.ReasonUndelivered {
		t.Errorf("dead letters %+v, %v, want one: undelivered", letters, err)
	}
	if r, _ := w.store.Request(t.Context(), "acme", "r-1"); r.Request.Begun || r.Request.Decided != domain.Undecided {
		t.Error("a dead letter worked on a request")
	}
}
