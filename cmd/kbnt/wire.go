package main

import (
	"context"
	"io/fs"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"github.com/google/uuid"
	prom "github.com/prometheus/client_golang/prometheus"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
	"kbnt.dev/virtualization/functions/intake"
	"kbnt.dev/virtualization/functions/notify"
	"kbnt.dev/virtualization/functions/provision"
	"kbnt.dev/virtualization/infrastructure/avro"
	"kbnt.dev/virtualization/infrastructure/httpsink"
	"kbnt.dev/virtualization/infrastructure/prometheus"
	"kbnt.dev/virtualization/infrastructure/simulated"
)

// functions are the three, with the laptop's ports: an embedded store, the
// simulated hypervisor and the stand-ins' addresses. They share one store and
// nothing else, as in a cluster.
type functions struct {
	intake    *intake.Function
	provision *provision.Function
	notify    *notify.Function
}

// unsent is how long a stored event may wait before somebody else than the
// function that stored it sends it: longer than one sending may take.
const unsent = 5 * time.Second

func wire(p *platform) (functions, error) {
	codec := avro.New(avro.Options{Version: version()})
	sender, err := httpsink.New(httpsink.Options{Timeout: p.settings.SendFor, Addresses: map[string]string{
		eventing.TopicRequests:    p.eventing.SinkURL(eventing.TopicRequests),
		eventing.TopicResults:     p.eventing.SinkURL(eventing.TopicResults),
		eventing.TopicEvents:      p.eventing.BrokerURL(eventing.TopicEvents),
		eventing.TopicDeadLetters: p.eventing.SinkURL(eventing.TopicDeadLetters),
	}})
	if err != nil {
		return functions{}, err
	}
	b := builder{platform: p, codec: codec, sender: sender}
	var f functions
	if f.intake, err = b.intake(); err != nil {
		return functions{}, err
	}
	if f.provision, err = b.provision(); err != nil {
		return functions{}, err
	}
	f.notify, err = b.notify()
	return f, err
}

// builder makes functions of what all of them have.
type builder struct {
	*platform
	codec  application.Codec
	sender application.Sender
}

// meter makes the metrics of one function, with a registry of its own: in a
// cluster it would be another process.
func (b builder) meter(service, function string) (*prometheus.Meter, *prom.Registry, error) {
	r := prom.NewRegistry()
	m, err := prometheus.New(prometheus.Options{Registry: r, Service: service, Function: function, Log: b.log})
	return m, r, err
}

func (b builder) relay(m application.Meter) *application.Relay {
	return &application.Relay{Store: b.store, Agenda: b.store, Sender: b.sender, Meter: m, Clock: time.Now}
}

func (b builder) poison(function string, r *application.Relay, m application.Meter) *application.Poison {
	return &application.Poison{Graveyard: b.store, Codec: b.codec, Relay: r, Meter: m, Log: b.log, Clock: time.Now, Function: function, Grace: time.Minute}
}

func (b builder) intake() (*intake.Function, error) {
	m, registry, err := b.meter("producer", "intake")
	if err != nil {
		return nil, err
	}
	world := prometheus.NewWorldCollector(b.store, prometheus.WorldOptions{MaxAge: time.Second, Log: b.log})
	if err := registry.Register(world); err != nil {
		return nil, err
	}
	relay, offer := b.relay(m), offer(b.settings)
	submit := &application.Submit{
		Store: b.store, Permissions: application.Roles{}, Policies: application.Baseline{}, Codec: b.codec, Relay: relay, Offer: offer, Meter: m, Clock: time.Now,
		Estimates: &application.Estimates{Statistics: b.store, Offer: offer, Clock: time.Now}, SendFor: b.settings.SendFor,
	}
	everybody := domain.Caller{User: string(b.settings.DevUser), Tenant: string(b.settings.DevTenant), Roles: []string{domain.RoleUser, domain.RoleOperator}}
	return intake.New(intake.Ports{
		Submit:  submit,
		Track:   &application.Track{Records: b.store, Poll: b.settings.Poll},
		Cancel:  &application.Cancel{Store: b.store, Relay: relay},
		Resume:  &application.Resume{Store: b.store, Records: b.store, Graveyard: b.store, Submit: submit, Relay: relay},
		Records: b.store, Graveyard: b.store, Meter: m, Metrics: m.Handler(), Log: b.log, Version: version(),
		Identify: func(*http.Request) (domain.Caller, error) { return everybody, nil },
		Ready:    b.ready,
	}), nil
}

func (b builder) provision() (*provision.Function, error) {
	m, _, err := b.meter("consumer", "provision")
	if err != nil {
		return nil, err
	}
	hypervisor, err := simulated.New(simulated.Options{Documents: b.store, Speed: b.settings.Speed, Log: b.log})
	if err != nil {
		return nil, err
	}
	s, relay := b.settings, b.relay(m)
	return provision.New(provision.Ports{
		Provision: &application.Provision{
			Store: b.store, Records: b.store, Agenda: b.store, Hypervisor: hypervisor, Codec: b.codec, Relay: relay, Meter: m, Clock: time.Now, Log: b.log,
			Holder: uuid.NewString, Poison: b.poison("provision", relay, m), Function: "provision", Region: string(s.Region),
			Budget: s.DeliveryTime, Landing: 10 * time.Second, Patience: s.Patience, Poll: s.Poll, CoolDown: time.Minute, MaxAttempts: s.MaxAttempts,
		},
		Sweep: &application.Sweep{
			Store: b.store, Agenda: b.store, Graveyard: b.store, Hypervisor: hypervisor, Relay: relay, Clock: time.Now, Log: b.log,
			Unsent: unsent, Untouched: 30 * time.Second, Grace: 5 * time.Minute, Orphans: m.Orphans,
		},
		Relay: relay, Metrics: m.Handler(), Ready: b.ready, Log: b.log, Patience: s.DeliveryTime + unsent, Unsent: unsent,
	}), nil
}

func (b builder) notify() (*notify.Function, error) {
	m, _, err := b.meter("consumer", "notify")
	if err != nil {
		return nil, err
	}
	relay := b.relay(m)
	return notify.New(notify.Ports{
		Notify: &application.Notify{Store: b.store, Codec: b.codec, Relay: relay, Meter: m, Clock: time.Now, Poison: b.poison("notify", relay, m)},
		Relay:  relay, Metrics: m.Handler(), Ready: b.ready, Log: b.log, Patience: b.settings.DeliveryTime, Unsent: unsent,
	}), nil
}

func (b builder) ready(ctx context.Context) error {
	_, err := b.store.Standing(ctx, nil)
	return err
}

// version is that of the module, or of the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	i := slices.IndexFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "vcs.revision" })
	if i < 0 {
		return "devel"
	}
	return info.Settings[i].Value[:min(12, len(info.Settings[i].Value))]
}

// mustSub is a folder of an embedded file system.
func mustSub(f fs.FS, dir string) fs.FS {
	sub, err := fs.Sub(f, dir)
	if err != nil {
		panic(err) // the name is a constant of this program
	}
	return sub
}
