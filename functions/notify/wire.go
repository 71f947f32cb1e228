package notify

import (
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

// Open makes the function as the image runs it: on PostgreSQL, posting to sinks
// and to the Broker. It connects to nothing; the first probe or delivery does.
func Open(c config.Notify, log *slog.Logger) (*Function, error) {
	store, err := postgres.New(postgres.Options{URL: string(c.DatabaseURL), Connections: c.Connections})
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	sender, err := httpsink.New(httpsink.Options{Timeout: c.SendFor, Addresses: map[string]string{
		eventing.TopicRequests:    string(c.RequestsURL),
		eventing.TopicResults:     string(c.ResultsURL),
		eventing.TopicEvents:      string(c.SinkURL),
		eventing.TopicDeadLetters: string(c.DeadLetterURL),
	}})
	if err != nil {
		return nil, err
	}
	registry := prom.NewRegistry()
	meter, err := prometheus.New(prometheus.Options{Registry: registry, Service: "consumer", Function: "notify", Log: log})
	if err != nil {
		return nil, err
	}
	if err := prometheus.RegisterRuntime(registry); err != nil {
		return nil, err
	}
	codec := avro.New(avro.Options{Version: string(c.Version), Registry: avro.RegistryOptions{URL: c.SchemaRegistry()}})
	u := application.New("notify", application.Ports{
		Database: store, Codec: codec, Sender: sender, Meter: meter, Clock: time.Now, Log: log,
	}, application.Tunables{SendFor: c.SendFor})
	ready := probe.New(probe.Options{Name: "the store", Look: store.Ping, First: meter.ColdStart, Log: log})
	return New(Ports{
		Notify: u.Notify, Relay: u.Relay, Metrics: meter.Handler(), Ready: ready.Ready, Close: store.Close, Log: log,
		Patience: c.DeliveryTime, Unsent: u.Unsent,
	}), nil
}
