package applicationtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// TestProtocol runs the use cases on a store, with a hypervisor, a codec and
// sinks that do what a test tells them. Each counterexample of the protocol
// (X1 to X16 in docs/protocol.md) is a case that fails when its rule is broken.
func TestProtocol(t *testing.T, open func(t *testing.T) Stores) {
	for topic, tests := range map[string]map[string]func(*testing.T, *chain){
		"Path":            pathCases(),
		"Counterexamples": counterexamples(),
		"Trouble":         troubleCases(),
		"Hints":           hintCases(),
	} {
		for name, test := range tests {
			t.Run(topic+"/"+name, func(t *testing.T) {
				t.Parallel()
				test(t, newChain(t, open(t)))
			})
		}
	}
}

// chain is the three functions without their transports: what they send is
// kept, and delivered when the test says so.
type chain struct {
	t          *testing.T
	stores     Stores
	hypervisor *Hypervisor
	sink       *sink

	submit    *application.Submit
	provision *application.Provision
	notify    *application.Notify
	cancel    *application.Cancel
	resume    *application.Resume
	sweep     *application.Sweep
}

var ada = domain.Caller{User: "ada", Tenant: "acme", Roles: []string{domain.RoleOperator, domain.RoleUser}}

func newChain(t *testing.T, s Stores) *chain {
	c := &chain{t: t, stores: s, hypervisor: NewHypervisor(), sink: &sink{}}
	clock := application.Clock(s.Clock.Now)
	offer := domain.DefaultOffer()
	log := slog.New(slog.DiscardHandler)
	relay := &application.Relay{Store: s, Agenda: s, Sender: c.sink, Meter: noMeter{}, Clock: clock}
	poison := func(function string) *application.Poison {
		return &application.Poison{Store: s, Graveyard: s, Codec: codec{}, Relay: relay, Meter: noMeter{}, Log: log, Clock: clock, Function: function, Grace: time.Minute}
	}
	c.submit = &application.Submit{Store: s, Permissions: application.Roles{}, Policies: application.Baseline{}, Codec: codec{}, Relay: relay,
		Estimates: &application.Estimates{Statistics: s, Offer: offer, Clock: clock}, Offer: offer, Meter: noMeter{}, Clock: clock, SendFor: time.Second}
	names := make(chan string, 1)
	names <- ""
	c.provision = &application.Provision{Store: s, Records: s, Agenda: s, Hypervisor: c.hypervisor, Codec: codec{}, Relay: relay, Meter: noMeter{}, Clock: clock, Log: log,
		Holder: func() string { n := <-names; names <- n + "i"; return n + "i" },
		Poison: poison("provision"), Function: "provision", Region: "test",
		Budget: 20 * time.Second, Landing: 10 * time.Second, Poll: time.Millisecond, CoolDown: time.Minute, MaxAttempts: 3}
	c.notify = &application.Notify{Store: s, Codec: codec{}, Relay: relay, Meter: noMeter{}, Clock: clock, Poison: poison("notify")}
	c.cancel = &application.Cancel{Store: s, Relay: relay}
	c.resume = &application.Resume{Store: s, Records: s, Graveyard: s, Submit: c.submit, Relay: relay}
	c.sweep = &application.Sweep{Store: s, Agenda: s, Graveyard: s, Hypervisor: c.hypervisor, Relay: relay, Clock: clock, Log: log,
		Unsent: 5 * time.Second, Untouched: 30 * time.Second, Grace: time.Minute, Orphans: func(int) {}}
	return c
}

func machineDraft(id string) domain.Draft {
	return domain.Draft{Type: domain.CreateMachine, RequestID: id, User: "ada", Priority: domain.Normal, Transport: "JSON",
		Spec: domain.Specification{Machine: &domain.MachineSpec{Cores: 4, Memory: 8 * domain.GiB, Disk: 100 * domain.GiB, DiskType: domain.SSD,
			Network: domain.Attachment{Mode: domain.ModeVLAN, Name: "vlan-100", VLAN: 100}, Image: domain.DefaultImage}}}
}

func volumeDraft(id string) domain.Draft {
	d := machineDraft(id)
	d.Type, d.Spec = domain.AllocateStorage, domain.Specification{Volume: &domain.VolumeSpec{Size: 500 * domain.GiB, Type: domain.SSD, IOPS: 3000}}
	return d
}

func networkDraft(id string) domain.Draft {
	d := machineDraft(id)
	d.Type, d.Spec = domain.CreateNetwork, domain.Specification{Network: &domain.NetworkSpec{
		Subnet: netip.MustParsePrefix("10.0.1.0/24"), VLAN: 200, Gateway: netip.MustParseAddr("10.0.1.1")}}
	return d
}

func operation(t domain.RequestType, id, virtualID string) domain.Draft {
	return domain.Draft{Type: t, RequestID: id, User: "ada", Priority: domain.Normal, Transport: "JSON", VirtualResourceID: virtualID}
}

// post submits a draft and returns its messageId.
func (c *chain) post(d domain.Draft) application.Answer {
	c.t.Helper()
	a, err := c.submit.Submit(c.t.Context(), ada, d, c.stores.Clock.Now())
	if err != nil {
		c.t.Fatalf("submit %s %s: %v", d.Type, d.RequestID, err)
	}
	return a
}

// wake delivers the event that wakes provision, once.
func (c *chain) wake(messageID string) error {
	return c.provision.Handle(c.t.Context(), wakeUp(messageID), application.Arrival{Function: "provision", EventID: messageID, Partition: 1, Offset: 7, SentAt: c.stores.Clock.Now()})
}

func wakeUp(messageID string) application.Event {
	return application.Event{ID: messageID, Type: "requested", Data: []byte(messageID)}
}

// announce delivers the event that wakes notify, once.
func (c *chain) announce(messageID string) error {
	id := domain.ResultID(messageID)
	return c.notify.Handle(c.t.Context(), application.Event{ID: id, Type: "result", Data: []byte(messageID)},
		application.Arrival{Function: "notify", EventID: id, Partition: 1, SentAt: c.stores.Clock.Now()})
}

// settle delivers until the request is terminal, as a source with its retries
// would. Between two deliveries more time passes than a lease lasts.
func (c *chain) settle(messageID string) application.Record {
	c.t.Helper()
	var last error
	for range 12 {
		if last = c.wake(messageID); last == nil {
			if last = c.announce(messageID); last == nil {
				return c.record(messageID)
			}
		}
		c.stores.Clock.Advance(31 * time.Second)
	}
	c.t.Fatalf("request %s is not terminal after 12 deliveries: %v", messageID, last)
	return application.Record{}
}

// run posts a draft and settles it.
func (c *chain) run(d domain.Draft) application.Record {
	c.t.Helper()
	return c.settle(c.post(d).Request.MessageID)
}

func (c *chain) record(messageID string) (r application.Record) {
	c.t.Helper()
	err := c.stores.Change(c.t.Context(), application.Scope{MessageID: messageID}, func(w *application.Work) error {
		r = w.Record()
		return nil
	})
	if err != nil {
		c.t.Fatalf("read %s: %v", messageID, err)
	}
	return r
}

// sound checks what must hold of a terminal request, however it came to be.
func (c *chain) sound(messageID string, want domain.Outcome) application.Record {
	c.t.Helper()
	r := c.record(messageID)
	if r.Request.Status != want || r.Request.Decided != want {
		c.t.Errorf("request is %s, decided %s, want %s (reason %q)", r.Request.Status, r.Request.Decided, want, r.Request.Reason)
	}
	terminals := c.sink.bodies(domain.TerminalID(messageID))
	if len(terminals) == 0 || len(slices.Compact(terminals)) != 1 {
		c.t.Errorf("terminal events sent: %q, want one content, sent at least once", terminals)
	} else if want := "terminal " + string(r.Request.Status); terminals[0] != want {
		c.t.Errorf("the terminal event says %q, want %q", terminals[0], want)
	}
	exists := c.hypervisor.Has(r.Resource.UID)
	if r.Resource.Busy == "" && exists != r.Resource.Live {
		c.t.Errorf("exists on the hypervisor: %v, live in the store: %v", exists, r.Resource.Live)
	}
	if want == domain.Completed && len(application.Timeline(r.Steps)) != domain.Steps {
		c.t.Errorf("a completed request shows %d steps, want %d", len(application.Timeline(r.Steps)), domain.Steps)
	}
	return r
}

// sink takes events, or refuses them.
type sink struct {
	guard
	sent   []application.Event
	away   bool
	closed string // topic whose sink is away
}

func (s *sink) Send(_ context.Context, e application.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away || s.closed != "" && e.Topic == s.closed {
		return &domain.Error{Op: "sink", Kind: domain.Unavailable, Err: errors.New("away")}
	}
	s.sent = append(s.sent, e)
	return nil
}

func (s *sink) bodies(id string) (bodies []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.sent {
		if e.ID == id {
			bodies = append(bodies, string(e.Data))
		}
	}
	return bodies
}

func (s *sink) setAway(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

// codec makes events whose data is readable in a failure message.
type codec struct{}

func (codec) Requested(r application.Record, at time.Time) (application.Event, error) {
	e := wakeUp(r.Request.MessageID)
	e.Topic, e.Time = "requests", at
	return e, nil
}

func (codec) Result(r application.Record, at time.Time) (application.Event, error) {
	return application.Event{ID: domain.ResultID(r.Request.MessageID), Type: "result", Topic: "results", Time: at, Data: []byte("result " + string(r.Request.Decided))}, nil
}

func (codec) Terminal(r application.Record, at time.Time) (application.Event, error) {
	return application.Event{ID: domain.TerminalID(r.Request.MessageID), Type: "terminal", Topic: "events", Time: at, Data: []byte("terminal " + string(r.Request.Decided))}, nil
}

func (codec) Buried(e application.Event, reason string) application.Event {
	e.Topic, e.Extensions = "dead", map[string]string{"reason": reason}
	return e
}

func (codec) Open(_ context.Context, e application.Event) (application.Notice, error) {
	if e.Type == "garbage" {
		return application.Notice{}, &domain.Error{Op: "open", Kind: domain.Invalid, Code: "undecodable", Err: fmt.Errorf("garbage %q", e.Data)}
	}
	return application.Notice{MessageID: string(e.Data)}, nil
}

// away is a codec that cannot write, and mute one that cannot read either,
// because what they need from elsewhere is not there yet.
type away struct{ codec }
type mute struct{ away }

var errAway = &domain.Error{Op: "encode", Kind: domain.Unavailable, Code: application.CodeRegistryAway}

func (away) Requested(application.Record, time.Time) (application.Event, error) {
	return application.Event{}, errAway
}

func (away) Result(application.Record, time.Time) (application.Event, error) {
	return application.Event{}, errAway
}

func (mute) Open(context.Context, application.Event) (application.Notice, error) {
	return application.Notice{}, errAway
}

type noMeter struct{}

func (noMeter) Add(application.Metric, float64, ...string)     {}
func (noMeter) Observe(application.Metric, float64, ...string) {}
