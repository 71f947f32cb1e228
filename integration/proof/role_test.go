//go:build integration

package proof

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	prom "github.com/prometheus/client_golang/prometheus"
	fnhttp "knative.dev/func-go/http"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
	"kbnt.dev/virtualization/functions/intake"
	"kbnt.dev/virtualization/functions/notify"
	"kbnt.dev/virtualization/functions/provision"
	"kbnt.dev/virtualization/infrastructure/avro"
	"kbnt.dev/virtualization/infrastructure/httpsink"
	"kbnt.dev/virtualization/infrastructure/postgres"
	"kbnt.dev/virtualization/infrastructure/prometheus"
	"kbnt.dev/virtualization/infrastructure/simulated"
)

// roles are the processes of a chain, in the order they are started in.
var roles = []string{"eventing", "intake", "provision", "notify"}

// settings are what a process of a chain is told, as JSON in the variable PROOF_ROLE.
type settings struct {
	Role     string
	Database string
	Dir      string            // data of the embedded Kafka
	Brokers  []string          // a real Kafka; empty: the embedded one
	Front    string            // URL of the eventing process
	Services map[string]string // URLs of provision and notify
	Record   bool              // gates remember all points
	Storm    storm
	Pace     pace
}

// pace is how fast a chain is, and how soon it helps itself.
type pace struct {
	Speed                     float64
	Backoff                   string // ISO 8601: of the sources
	Sweep                     time.Duration
	Budget, Patience, Landing time.Duration
	Unsent, Untouched         time.Duration
	Deadline                  time.Duration
	MaxAttempts               int
}

// TestMain runs the tests, or one role of a chain in a process that a test started.
func TestMain(m *testing.M) {
	text := os.Getenv("PROOF_ROLE")
	if text == "" {
		os.Exit(m.Run())
	}
	var s settings
	err := json.Unmarshal([]byte(text), &s)
	if err == nil {
		err = s.run()
	}
	fmt.Fprintln(os.Stderr, s.Role, "ended:", err)
	os.Exit(1)
}

// run serves until the process is killed. The listener is inherited: it outlives
// the process, as a Kubernetes Service does, and callers wait in its queue.
func (s settings) run() error {
	fnhttp.SetLogLevel(fnhttp.LogDisabled)
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	listener, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return fmt.Errorf("take over the listener: %w", err)
	}
	g := newGate(s.Role, s.Record)
	if s.Role == "eventing" {
		return s.serveEventing(listener, g, log)
	}
	f, err := s.function(g, log)
	if err != nil {
		return err
	}
	return fnhttp.New(&entrance{function: f, gate: g}).Serve(listener)
}

// function makes one of the three as its own wire.go does, with gates in between.
func (s settings) function(g *gate, log *slog.Logger) (fnhttp.Handler, error) {
	store, err := postgres.New(postgres.Options{URL: s.Database})
	if err != nil {
		return nil, err
	}
	sinks, err := httpsink.New(httpsink.Options{Timeout: sendFor, Addresses: map[string]string{
		eventing.TopicRequests:    s.Front + "/sink/" + eventing.TopicRequests,
		eventing.TopicResults:     s.Front + "/sink/" + eventing.TopicResults,
		eventing.TopicEvents:      s.Front + "/sink/" + eventing.TopicEvents,
		eventing.TopicDeadLetters: s.Front + "/sink/" + eventing.TopicDeadLetters,
	}})
	if err != nil {
		return nil, err
	}
	meter, err := prometheus.New(prometheus.Options{Registry: prom.NewRegistry(), Service: "proof", Function: s.Role, Log: log})
	if err != nil {
		return nil, err
	}
	simulation, err := simulated.New(simulated.Options{Documents: store, Speed: s.Pace.Speed, Log: log})
	if err != nil {
		return nil, err
	}
	db := &database{reads: store, store: store, agenda: store, graveyard: store, gate: g}
	u := application.New(s.Role, application.Ports{
		Database: db, Codec: avro.New(avro.Options{Version: "proof"}), Sender: &sender{sinks, g}, Meter: meter, Clock: time.Now, Log: log,
		Permissions: application.Roles{}, Policies: application.Baseline{},
		Hypervisor: &hypervisor{behind: simulation, gate: g, lost: s.Storm.Lost, landing: s.Pace.Landing * 8 / 10}, Orphans: meter.Orphans, Holder: uuid.NewString,
	}, s.Pace.tunables())
	switch s.Role {
	case "intake":
		return intake.New(intake.Ports{
			Submit: u.Submit, Track: u.Track, Cancel: u.Cancel, Resume: u.Resume, Records: db, Graveyard: db,
			Meter: meter, Metrics: meter.Handler(), Identify: identify, Ready: store.Ping, Log: log,
		}), nil
	case "provision":
		return provision.New(provision.Ports{
			Provision: u.Provision, Sweep: u.Sweep, Relay: u.Relay, Metrics: meter.Handler(), Ready: store.Ping, Log: log,
			Patience: s.Pace.Budget + provision.Reserve, Unsent: u.Unsent,
		}), nil
	case "notify":
		return notify.New(notify.Ports{
			Notify: u.Notify, Relay: u.Relay, Metrics: meter.Handler(), Ready: store.Ping, Log: log,
			Patience: s.Pace.Budget, Unsent: u.Unsent,
		}), nil
	}
	return nil, fmt.Errorf("no such role: %q", s.Role)
}

const sendFor = time.Second

func (p pace) tunables() application.Tunables {
	offer := domain.DefaultOffer()
	offer.Deadline = p.Deadline
	return application.Tunables{
		Offer: offer, Region: "proof", SendFor: sendFor, Budget: p.Budget, Patience: p.Patience, Poll: 20 * time.Millisecond,
		MaxAttempts: p.MaxAttempts, Unsent: p.Unsent, Untouched: p.Untouched, Landing: p.Landing, CoolDown: time.Second,
	}
}

// What a client of the harness says in headers: whose request it is, and what the
// gate shall call it.
const (
	headerTenant  = "Proof-Tenant"
	headerSubject = "Proof-Subject"
)

func identify(r *http.Request) (domain.Caller, error) {
	return domain.Caller{User: "prover", Tenant: r.Header.Get(headerTenant), Roles: []string{domain.RoleUser, domain.RoleOperator}}, nil
}

// entrance is the way into a function: it passes a point when a request comes,
// when its work is done and nothing answered, and when it is answered.
type entrance struct {
	function fnhttp.Handler
	gate     *gate
}

func (e *entrance) Handle(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/proof/") {
		e.gate.ServeHTTP(w, r)
		return
	}
	subject := r.Header.Get(headerSubject)
	if subject == "" {
		subject = subjectOfDelivery(r.Header)
	}
	if r.Method == http.MethodGet || subject == "" {
		e.function.Handle(w, r)
		return
	}
	e.gate.pass("call/before", subject)
	held := &heldAnswer{ResponseWriter: w, status: http.StatusOK}
	e.function.Handle(held, r)
	e.gate.pass("answer/before", subject)
	held.release()
	e.gate.pass("answer/after", subject)
}

// heldAnswer keeps an answer back until it is released.
type heldAnswer struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (h *heldAnswer) WriteHeader(status int)              { h.status = status }
func (h *heldAnswer) Write(p []byte) (int, error)         { return h.body.Write(p) }
func (h *heldAnswer) Unwrap() http.ResponseWriter         { return h.ResponseWriter }
func (h *heldAnswer) ReadFrom(r io.Reader) (int64, error) { return h.body.ReadFrom(r) }

func (h *heldAnswer) release() {
	h.ResponseWriter.WriteHeader(h.status)
	_, _ = h.ResponseWriter.Write(h.body.Bytes())
	_ = http.NewResponseController(h.ResponseWriter).Flush() // "after" is when the caller has it
}

// subjectOfDelivery is on whose behalf an event comes in binary mode.
func subjectOfDelivery(h http.Header) string {
	if id := h.Get("Ce-" + eventing.ExtRequestID); id != "" {
		return domain.MessageID(h.Get("Ce-"+eventing.ExtTenantID), id)
	}
	if h.Get("Ce-Type") == eventing.TypeSweep {
		return ""
	}
	return h.Get("Ce-Id")
}
