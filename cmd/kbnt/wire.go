package main

import (
	"context"
	"fmt"
	"io/fs"
	"runtime/debug"
	"slices"
	"time"

	"github.com/google/uuid"
	prom "github.com/prometheus/client_golang/prometheus"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/eventing"
	"kbnt.dev/virtualization/functions/intake"
	"kbnt.dev/virtualization/functions/notify"
	"kbnt.dev/virtualization/functions/provision"
	"kbnt.dev/virtualization/infrastructure/avro"
	"kbnt.dev/virtualization/infrastructure/httpsink"
	"kbnt.dev/virtualization/infrastructure/prometheus"
)

// functions are the three, with the laptop's ports: an embedded store, the
// hypervisor that was chosen and the stand-ins' addresses. They share one store and
// nothing else, as in a cluster.
type functions struct {
	intake    *intake.Function
	provision *provision.Function
	notify    *notify.Function
}

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
	policies, prepare := intake.Policies(p.settings.Policies, p.log)
	if err := prepare(context.Background()); err != nil {
		return functions{}, fmt.Errorf("KBNT_POLICIES=%s: %w; try: kbnt policies %[1]s", p.settings.Policies, err)
	}
	b := builder{platform: p, codec: codec, sender: sender, policies: policies}
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
	codec    application.Codec
	sender   application.Sender
	policies application.Policies
}

// meter makes the metrics of one function, with a registry of its own: in a
// cluster it would be another process.
func (b builder) meter(service, function string) (*prometheus.Meter, *prom.Registry, error) {
	r := prom.NewRegistry()
	m, err := prometheus.New(prometheus.Options{Registry: r, Service: service, Function: function, Log: b.log})
	return m, r, err
}

// useCases makes those of one function.
func (b builder) useCases(function string, m *prometheus.Meter, h application.Hypervisor) application.UseCases {
	s := b.settings
	return application.New(function, application.Ports{
		Database: b.store, Codec: b.codec, Sender: b.sender, Meter: m, Clock: time.Now, Log: b.log,
		Permissions: application.Roles{}, Policies: b.policies, Hypervisor: h, Orphans: m.Orphans, Holder: uuid.NewString,
	}, application.Tunables{
		Offer: intake.Offer(s.Offer), Region: string(s.Region), SendFor: s.SendFor, Budget: s.DeliveryTime, Patience: s.Patience,
		Poll: s.Poll, MaxAttempts: s.MaxAttempts,
	})
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
	u := b.useCases("intake", m, nil)
	return intake.New(intake.Ports{
		Submit: u.Submit, Track: u.Track, Cancel: u.Cancel, Resume: u.Resume,
		Records: b.store, Graveyard: b.store, Meter: m, Metrics: m.Handler(), Log: b.log, Version: version(),
		Identify: intake.Everybody(string(b.settings.DevUser), string(b.settings.DevTenant)), Ready: b.ready,
		Leaving: b.leaving,
	}), nil
}

func (b builder) provision() (*provision.Function, error) {
	m, _, err := b.meter("consumer", "provision")
	if err != nil {
		return nil, err
	}
	hypervisor, err := provision.Hypervisor(b.settings.Machines(), b.store, b.log)
	if err != nil {
		return nil, err
	}
	u := b.useCases("provision", m, hypervisor)
	return provision.New(provision.Ports{
		Provision: u.Provision, Sweep: u.Sweep, Relay: u.Relay, Metrics: m.Handler(), Ready: b.ready, Log: b.log,
		Patience: b.settings.DeliveryTime + provision.Reserve, Unsent: u.Unsent,
	}), nil
}

func (b builder) notify() (*notify.Function, error) {
	m, _, err := b.meter("consumer", "notify")
	if err != nil {
		return nil, err
	}
	u := b.useCases("notify", m, nil)
	return notify.New(notify.Ports{
		Notify: u.Notify, Relay: u.Relay, Metrics: m.Handler(), Ready: b.ready, Log: b.log,
		Patience: b.settings.DeliveryTime, Unsent: u.Unsent,
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
