package provision

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
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

// Open makes the function as the image runs it: on PostgreSQL, posting to sinks,
// with the hypervisor that was chosen. It connects to nothing; the first probe
// or delivery does.
func Open(c config.Provision, log *slog.Logger) (*Function, error) {
	store, err := postgres.New(postgres.Options{URL: string(c.DatabaseURL), Connections: c.Connections})
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	sender, err := httpsink.New(httpsink.Options{Timeout: c.SendFor, Addresses: map[string]string{
		eventing.TopicRequests:    string(c.RequestsURL),
		eventing.TopicResults:     string(c.SinkURL),
		eventing.TopicEvents:      string(c.EventsURL),
		eventing.TopicDeadLetters: string(c.DeadLetterURL),
	}})
	if err != nil {
		return nil, err
	}
	registry := prom.NewRegistry()
	meter, err := prometheus.New(prometheus.Options{Registry: registry, Service: "consumer", Function: "provision", Log: log})
	if err != nil {
		return nil, err
	}
	// The sweep wakes provision when nobody else is awake to say how the world is.
	world := prometheus.NewWorldCollector(store, prometheus.WorldOptions{Log: log})
	if err := errors.Join(registry.Register(world), prometheus.RegisterRuntime(registry)); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	hypervisor, err := Hypervisor(c.Machines(), store, log)
	if err != nil {
		return nil, err
	}
	codec := avro.New(avro.Options{Version: string(c.Version), Registry: avro.RegistryOptions{URL: c.SchemaRegistry()}})
	u := application.New("provision", application.Ports{
		Database: store, Codec: codec, Sender: sender, Meter: meter, Clock: time.Now, Log: log,
		Hypervisor: hypervisor, Orphans: meter.Orphans, Holder: uuid.NewString,
	}, application.Tunables{
		Region: string(c.Region), SendFor: c.SendFor, Budget: c.DeliveryTime, Patience: c.Patience, Poll: c.Poll,
		MaxAttempts: c.MaxAttempts, Reap: c.ReapOrphans,
	})
	ready := probe.New(probe.Options{Name: c.Needs(), Look: probe.All(store.Ping, func(ctx context.Context) error { return codec.Prepare(ctx, eventing.SchemaResult) }), First: meter.ColdStart, Log: log})
	return New(Ports{
		Provision: u.Provision, Sweep: u.Sweep, Relay: u.Relay, Metrics: meter.Handler(), Ready: ready.Ready, Close: store.Close, Log: log,
		Patience: c.DeliveryTime + Reserve, Unsent: u.Unsent,
	}), nil
}
