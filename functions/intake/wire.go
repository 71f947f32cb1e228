package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/config"
	"kbnt.dev/virtualization/eventing"
	"kbnt.dev/virtualization/infrastructure/avro"
	"kbnt.dev/virtualization/infrastructure/httpsink"
	"kbnt.dev/virtualization/infrastructure/postgres"
	"kbnt.dev/virtualization/infrastructure/probe"
	"kbnt.dev/virtualization/infrastructure/prometheus"
)

// Open makes the function as the image runs it: on PostgreSQL, posting to sinks.
// It connects to nothing; the first probe or request does. leaving is closed when
// the process is told to end.
func Open(c config.Intake, log *slog.Logger, leaving <-chan struct{}) (*Function, error) {
	if c.OIDC.Issuer != "" || c.Policies.Path != "" {
		return nil, errors.New("KBNT_OIDC_ISSUER and KBNT_POLICIES are not wired yet")
	}
	store, err := postgres.New(postgres.Options{URL: string(c.DatabaseURL), Connections: c.Connections})
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	sender, err := httpsink.New(httpsink.Options{Timeout: c.SendFor, Addresses: map[string]string{
		eventing.TopicRequests:    string(c.SinkURL),
		eventing.TopicResults:     string(c.ResultsURL),
		eventing.TopicEvents:      string(c.EventsURL),
		eventing.TopicDeadLetters: string(c.DeadLetterURL),
	}})
	if err != nil {
		return nil, err
	}
	registry := prom.NewRegistry()
	meter, err := prometheus.New(prometheus.Options{Registry: registry, Service: "producer", Function: "intake", Log: log})
	if err != nil {
		return nil, err
	}
	world := prometheus.NewWorldCollector(store, prometheus.WorldOptions{Log: log})
	if err := errors.Join(registry.Register(world), prometheus.RegisterRuntime(registry)); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	codec := avro.New(avro.Options{Version: string(c.Version), Registry: avro.RegistryOptions{URL: c.SchemaRegistry()}})
	u := application.New("intake", application.Ports{
		Database: store, Codec: codec, Sender: sender, Meter: meter, Clock: time.Now, Log: log,
		Permissions: application.Roles{}, Policies: application.Baseline{},
	}, application.Tunables{Offer: Offer(c.Offer), SendFor: c.SendFor, Poll: c.Poll})
	ready := probe.New(probe.Options{Name: c.Needs(), Look: probe.All(store.Ping, func(ctx context.Context) error { return codec.Prepare(ctx, eventing.SchemaMessage) }), First: meter.ColdStart, Log: log})
	return New(Ports{
		Submit: u.Submit, Track: u.Track, Cancel: u.Cancel, Resume: u.Resume, Records: store, Graveyard: store,
		Meter: meter, Metrics: meter.Handler(), Identify: Everybody(string(c.DevUser), string(c.DevTenant)), Ready: ready.Ready,
		Leaving: leaving, Close: store.Close, Log: log, Version: string(c.Version),
	}), nil
}
