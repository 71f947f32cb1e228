package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/config"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
	"kbnt.dev/virtualization/infrastructure/avro"
	"kbnt.dev/virtualization/infrastructure/cel"
	"kbnt.dev/virtualization/infrastructure/httpsink"
	"kbnt.dev/virtualization/infrastructure/oidc"
	"kbnt.dev/virtualization/infrastructure/postgres"
	"kbnt.dev/virtualization/infrastructure/probe"
	"kbnt.dev/virtualization/infrastructure/prometheus"
)

// Open makes the function as the image runs it: on PostgreSQL, posting to sinks.
// It connects to nothing; the first probe or request does. leaving is closed when
// the process is told to end.
func Open(c config.Intake, log *slog.Logger, leaving <-chan struct{}) (*Function, error) {
	identify, err := identify(c, log)
	if err != nil {
		return nil, err
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
	policies, prepare := Policies(c.Policies, log)
	codec := avro.New(avro.Options{Version: string(c.Version), Registry: avro.RegistryOptions{URL: c.SchemaRegistry()}})
	u := application.New("intake", application.Ports{
		Database: store, Codec: codec, Sender: sender, Meter: meter, Clock: time.Now, Log: log,
		Permissions: application.Roles{}, Policies: policies,
	}, application.Tunables{Offer: Offer(c.Offer), SendFor: c.SendFor, Poll: c.Poll})
	needed := probe.New(probe.Options{Name: c.Needs(), First: meter.ColdStart, Log: log,
		Look: probe.All(store.Ping, func(ctx context.Context) error { return codec.Prepare(ctx, eventing.SchemaMessage) })})
	ready := probe.All(prepare, needed.Ready)
	return New(Ports{
		Submit: u.Submit, Track: u.Track, Cancel: u.Cancel, Resume: u.Resume, Records: store, Graveyard: store,
		Meter: meter, Metrics: meter.Handler(), Identify: identify, Ready: ready,
		Leaving: leaving, Close: store.Close, Log: log, Version: string(c.Version),
	}), nil
}

// identify is who asks: whom the issuer's tokens name or, without an issuer, one
// user. config sees to it that it is one of the two.
func identify(c config.Intake, log *slog.Logger) (func(*http.Request) (domain.Caller, error), error) {
	if c.OIDC.Issuer == "" {
		return Everybody(string(c.DevUser), string(c.DevTenant)), nil
	}
	issuer, err := oidc.New(oidc.Options{
		Issuer: string(c.OIDC.Issuer), Audience: string(c.OIDC.Audience), Roots: c.OIDC.CA.Pool, Log: log,
		UserClaim: string(c.OIDC.UserClaim), TenantClaim: string(c.OIDC.TenantClaim), RolesClaim: string(c.OIDC.RolesClaim),
	})
	if err != nil {
		return nil, fmt.Errorf("KBNT_OIDC_ISSUER: %w", err)
	}
	return issuer.Identify, nil
}

// Policies are the built-in ones and, where there is a file, those in it as well.
// prepare compiles them; until it returns nil, none of them can be applied, and
// nothing is admitted.
func Policies(f config.PolicyFile, log *slog.Logger) (all application.Policies, prepare func(context.Context) error) {
	if f.Path == "" {
		return application.Baseline{}, func(context.Context) error { return nil }
	}
	own := cel.New(cel.Options{File: path.Base(f.Path), Text: f.Data, Log: log})
	return application.Both{First: application.Baseline{}, Second: own}, own.Prepare
}
