//go:build integration

package cutlines

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
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
	"kbnt.dev/virtualization/infrastructure/postgres"
	"kbnt.dev/virtualization/infrastructure/simulated"
)

// Times of this platform. The product's own are ten to fifty times longer, and in
// the same order: a call ends before its lease does, and a sink is given up on
// before a sweep sends what it may have taken. None may be so short that a busy
// machine makes trouble of its own: it would be dealt with, and take for ever.
const (
	sendFor  = 400 * time.Millisecond
	unsent   = 500 * time.Millisecond
	budget   = 800 * time.Millisecond
	landing  = 150 * time.Millisecond
	patience = 1500 * time.Millisecond // of one delivery, and of intake
	caller   = 3 * time.Second
)

// platform is the three functions on one database, each with its own lines, and
// another instance of provision that has none: it sweeps.
type platform struct {
	lines  map[string]*line
	wires  map[string]*wire // those of them that lead to the store
	topics *topics
	client *http.Client

	intake, provision, notify string // URLs

	store      *postgres.Store // over no line, as the next three are
	hypervisor application.Hypervisor
	sweep      *application.Sweep
	sinks      string // URL, over no line either
	url        string // of the database
}

type setting struct {
	url     string       // of a schema of a PostgreSQL
	session string       // settings of the functions' sessions: "&lock_timeout=1s"
	log     slog.Handler // nil: none
}

// start starts a platform until the test ends.
func start(t testing.TB, s setting) *platform {
	t.Helper()
	if s.log == nil {
		s.log = slog.DiscardHandler
	}
	p := &platform{lines: map[string]*line{}, wires: map[string]*wire{}, client: newClient(t), url: s.url}
	p.topics = newTopics(newClient(t))
	t.Cleanup(p.topics.close)
	p.sinks = p.serve(t, "", p.topics.ServeHTTP)
	b := builder{t: t, platform: p, setting: s, codec: avro.New(avro.Options{Version: "v0.0.0"})}

	p.store = b.store(s.url)
	own := b.useCases("provision", p.store, p.sinks)
	p.sweep, p.hypervisor = own.Sweep, own.Provision.Hypervisor

	u := b.over(intakeToStore, intakeToSink, "intake")
	p.intake = p.serve(t, clientToIntake, intake.New(intake.Ports{
		Submit: u.Submit, Track: u.Track, Cancel: u.Cancel, Resume: u.Resume, Records: u.Track.Records, Graveyard: u.Resume.Graveyard,
		Meter: noMeter{}, Metrics: http.NotFoundHandler(), Log: slog.New(s.log), Patience: patience,
		Identify: func(r *http.Request) (domain.Caller, error) {
			return domain.Caller{User: "ada", Tenant: r.Header.Get("X-Tenant"), Roles: []string{domain.RoleUser}}, nil
		},
		Ready: func(context.Context) error { return nil },
	}).Handle)
	ready := func(context.Context) error { return nil }
	u = b.over(provToStore, provToSink, "provision")
	p.provision = p.serve(t, sourceToProv, provision.New(provision.Ports{
		Provision: u.Provision, Sweep: u.Sweep, Relay: u.Relay, Metrics: http.NotFoundHandler(), Ready: ready, Log: slog.New(s.log), Patience: patience, Unsent: unsent,
	}).Handle)
	u = b.over(notifyToStore, notifyToSink, "notify")
	p.notify = p.serve(t, sourceToNotify, notify.New(notify.Ports{
		Notify: u.Notify, Relay: u.Relay, Metrics: http.NotFoundHandler(), Ready: ready, Log: slog.New(s.log), Patience: patience, Unsent: unsent,
	}).Handle)
	p.topics.subscribers[eventing.TopicRequests] = p.provision
	p.topics.subscribers[eventing.TopicResults] = p.notify
	return p
}

func newClient(t testing.TB) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: caller}
}

// serve serves over a line; without a name, over one that is never cut.
func (p *platform) serve(t testing.TB, name string, h http.HandlerFunc) string {
	l := newLine()
	if name != "" {
		p.lines[name] = l
	}
	s := serve(l, h)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL
}

// builder makes the parts of a platform.
type builder struct {
	*platform
	setting
	t     testing.TB
	codec application.Codec
}

func (b builder) store(url string) *postgres.Store {
	s, err := postgres.New(postgres.Options{URL: url + b.session, Connections: 2})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.t.Error(err)
		}
	})
	return s
}

// over makes the use cases of a function behind lines to its store and its sinks.
func (b builder) over(store, sink, function string) application.UseCases {
	w, url := newWire(b.t, b.setting.url)
	b.wires[store], b.lines[store] = w, w.line
	return b.useCases(function, b.store(url), b.serve(b.t, sink, b.topics.ServeHTTP))
}

func (b builder) useCases(function string, store *postgres.Store, sinks string) application.UseCases {
	addresses := map[string]string{}
	for _, topic := range []string{eventing.TopicRequests, eventing.TopicResults, eventing.TopicEvents, eventing.TopicDeadLetters} {
		addresses[topic] = sinks + "/" + topic
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	b.t.Cleanup(transport.CloseIdleConnections)
	sender, err := httpsink.New(httpsink.Options{Addresses: addresses, Timeout: sendFor, Client: &http.Client{Transport: transport}})
	hypervisor, err2 := simulated.New(simulated.Options{Documents: store})
	if err := errors.Join(err, err2); err != nil {
		b.t.Fatal(err)
	}
	return application.New(function, application.Ports{
		Database: store, Codec: b.codec, Sender: sender, Meter: noMeter{}, Clock: time.Now, Log: slog.New(b.log),
		Permissions: application.Roles{}, Policies: application.Baseline{}, Hypervisor: hypervisor, Orphans: func(int) {}, Holder: uuid.NewString,
	}, application.Tunables{
		Offer: domain.DefaultOffer(), Region: "test", SendFor: sendFor, Budget: budget, Landing: landing, Poll: 5 * time.Millisecond,
		MaxAttempts: 100, // whoever is cut once is not to fail because this machine is slow
		Unsent:      unsent, Untouched: 5 * time.Second, CoolDown: time.Millisecond, Orphan: time.Hour,
	})
}

// quiet waits until nothing is under way: every event was delivered, nothing waits
// to be sent, and no request is unfinished. hurry says that sweeps may begin at once.
func (p *platform) quiet(ctx context.Context, tenant string, hurry <-chan struct{}) error {
	var last error
	pause := 50 * time.Millisecond
	tick := time.NewTimer(pause)
	defer tick.Stop()
	patience := time.After(2 * time.Second)
	sweeps := false
	for {
		delivered, changes := p.topics.settled()
		if delivered {
			usage, err := p.store.Usage(ctx, tenant)
			armed, err2 := p.store.Armed(ctx, 0, 10)
			if last = errors.Join(err, err2); last == nil && usage.InFlight == 0 && len(armed) == 0 {
				return nil
			}
		}
		select {
		case <-changes:
		case <-hurry:
			hurry, sweeps = nil, true
		case <-patience:
			sweeps = true
		case <-tick.C:
			if sweeps {
				_, last = p.sweep.Run(ctx) // as the PingSource has it run, whatever comes of it
				pause = min(2*pause, time.Second)
			}
			tick.Reset(pause)
		case <-ctx.Done():
			return fmt.Errorf("not quiet in time: all delivered: %v; last trouble: %w", delivered, errors.Join(last, context.Cause(ctx)))
		}
	}
}

type noMeter struct{}

func (noMeter) Add(application.Metric, float64, ...string)     {}
func (noMeter) Observe(application.Metric, float64, ...string) {}
