package intake_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/functions/intake"
	"kbnt.dev/virtualization/infrastructure/memory"
)

// bench is a function on a store in memory, with a sink that takes everything.
type bench struct {
	t      *testing.T
	f      *intake.Function
	store  *memory.Store
	sender *sender
	meter  *meter
	log    *strings.Builder
	ports  intake.Ports
}

// setup is what a test may want otherwise.
type setup struct {
	offer func(*domain.Offer)
	ports func(*intake.Ports)
}

func newBench(t *testing.T, s setup) *bench {
	t.Helper()
	offer := domain.DefaultOffer()
	if s.offer != nil {
		s.offer(&offer)
	}
	b := &bench{t: t, store: memory.NewStore(memory.StoreOptions{}), sender: &sender{}, meter: &meter{}, log: &strings.Builder{}}
	relay := &application.Relay{Store: b.store, Agenda: b.store, Sender: b.sender, Meter: b.meter, Clock: time.Now}
	submit := &application.Submit{
		Store: b.store, Permissions: application.Roles{}, Policies: application.Baseline{}, Codec: codec{}, Relay: relay,
		Estimates: &application.Estimates{Statistics: b.store, Offer: offer, Clock: time.Now},
		Offer:     offer, Meter: b.meter, Clock: time.Now, SendFor: 5 * time.Second,
	}
	b.ports = intake.Ports{
		Submit:    submit,
		Track:     &application.Track{Records: b.store, Poll: time.Millisecond},
		Cancel:    &application.Cancel{Store: b.store, Relay: relay},
		Resume:    &application.Resume{Store: b.store, Records: b.store, Graveyard: b.store, Submit: submit, Relay: relay},
		Records:   b.store,
		Graveyard: b.store,
		Meter:     b.meter,
		Metrics:   http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "kbnt_up 1\n") }),
		Identify:  identify,
		Ready:     func(context.Context) error { return nil },
		Log:       slog.New(slog.NewJSONHandler(&locked{w: b.log}, nil)),
	}
	if s.ports != nil {
		s.ports(&b.ports)
	}
	b.f = intake.New(b.ports)
	return b
}

// identify takes "tenant/user/role,role" from the header Test-Caller. Without
// one, the caller is an operator; "nobody" is nobody.
func identify(r *http.Request) (domain.Caller, error) {
	who := r.Header.Get("Test-Caller")
	if who == "" {
		return domain.Caller{User: "dev", Tenant: "acme", Roles: []string{domain.RoleUser, domain.RoleOperator}}, nil
	}
	part := strings.SplitN(who, "/", 3)
	if len(part) != 3 {
		return domain.Caller{}, &domain.Error{Op: "identify", Kind: domain.Unauthenticated, Detail: "there is no valid token"}
	}
	return domain.Caller{Tenant: part[0], User: part[1], Roles: strings.Split(part[2], ",")}, nil
}

// answer is a response with its body, decoded where it is JSON.
type answer struct {
	status int
	header http.Header
	body   string
	json   map[string]any
}

// call serves one request; headers are pairs.
func (b *bench) call(method, target, body string, headers ...string) answer {
	b.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if method == http.MethodPost && body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	b.f.Handle(w, r)
	a := answer{status: w.Code, header: w.Header(), body: w.Body.String()}
	if strings.Contains(a.header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(w.Body.Bytes(), &a.json); err != nil {
			b.t.Fatalf("%s %s: the answer is no JSON: %v\n%s", method, target, err, a.body)
		}
	}
	return a
}

func (b *bench) post(body string, headers ...string) answer {
	b.t.Helper()
	return b.call(http.MethodPost, "/api/v1/virtualize", body, headers...)
}

// accept posts a request that must be accepted, and returns its id.
func (b *bench) accept(body string, headers ...string) string {
	b.t.Helper()
	a := b.post(body, headers...)
	if a.status != http.StatusAccepted {
		b.t.Fatalf("post %s: got %d %s, want 202", body, a.status, a.body)
	}
	return a.text("requestId")
}

func (a answer) text(name string) string {
	s, _ := a.json[name].(string)
	return s
}

// errors lists "pointer code" of every violation of a problem.
func (a answer) errors() []string {
	var all []string
	items, _ := a.json["errors"].([]any)
	for _, i := range items {
		m := i.(map[string]any)
		all = append(all, m["pointer"].(string)+" "+m["code"].(string))
	}
	return all
}

// change is a transaction on a request, as provision or notify would make it.
func (b *bench) change(requestID string, change func(*application.Work)) {
	b.t.Helper()
	err := b.store.Change(b.t.Context(), application.Scope{Tenant: "acme", RequestID: requestID}, func(w *application.Work) error {
		change(w)
		return nil
	})
	if err != nil {
		b.t.Fatalf("change request %s: %v", requestID, err)
	}
}

// finish ends a request well.
func (b *bench) finish(requestID string) {
	b.t.Helper()
	b.change(requestID, func(w *application.Work) {
		w.Request.Decide(w.Now)
		w.Resource.Settle(w.Request.To, true, w.Now)
		w.Request.Finish(w.Now)
	})
}

const volume = `{"type":"ALLOCATE_STORAGE","specifications":{"size":500,"type":"SSD","iops":3000}}`

// withID is a volume requested under an id.
func withID(id string) string {
	return strings.TrimSuffix(volume, "}") + `,"metadata":{"requestId":"` + id + `"}}`
}

// sender takes every event, or fails.
type sender struct {
	mu   sync.Mutex
	sent []application.Event
	err  error
}

func (s *sender) Send(_ context.Context, e application.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.sent = append(s.sent, e)
	return nil
}

// codec writes no Avro: intake never looks into an event.
type codec struct{}

func event(id, topic string, r application.Record, at time.Time) (application.Event, error) {
	return application.Event{ID: id, Type: topic, Time: at, Topic: topic, Data: []byte(r.Request.ID),
		Extensions: map[string]string{"partitionkey": r.Resource.CreatedBy, "traceparent": r.Request.TraceParent}}, nil
}

func (codec) Requested(r application.Record, at time.Time) (application.Event, error) {
	return event(domain.RequestedID(r.Request.MessageID), "requests", r, at)
}

func (codec) Result(r application.Record, at time.Time) (application.Event, error) {
	return event(domain.ResultID(r.Request.MessageID), "results", r, at)
}

func (codec) Terminal(r application.Record, at time.Time) (application.Event, error) {
	return event(domain.TerminalID(r.Request.MessageID), "events", r, at)
}

func (codec) Buried(e application.Event, reason string) application.Event { return e }

func (codec) Open(context.Context, application.Event) (application.Notice, error) {
	return application.Notice{}, nil
}

// meter remembers the counts by metric and labels.
type meter struct {
	mu     sync.Mutex
	counts map[string]float64
}

func (m *meter) Add(metric application.Metric, value float64, labels ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.counts == nil {
		m.counts = map[string]float64{}
	}
	m.counts[metric.Name+" "+strings.Join(labels, ",")] += value
}

func (m *meter) Observe(application.Metric, float64, ...string) {}

// locked lets several goroutines write the log.
type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
