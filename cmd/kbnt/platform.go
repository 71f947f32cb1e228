package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"kbnt.dev/virtualization/config"
	"kbnt.dev/virtualization/eventing"
	"kbnt.dev/virtualization/eventing/local"
	"kbnt.dev/virtualization/infrastructure/sqlite"
)

// platform is everything in one process: the store, Kafka with the stand-ins of
// Knative's sources and sinks, the three functions and the simulated hypervisor.
type platform struct {
	settings  config.Local
	log       *slog.Logger
	store     *sqlite.Store
	eventing  *local.Eventing
	intake    *server
	provision *server
	notify    *server
}

// open starts a platform. What was started is stopped again when something
// fails; the error is one line that says what to do.
func open(ctx context.Context, s config.Local, log *slog.Logger) (_ *platform, err error) {
	p := &platform{settings: s, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if err := os.MkdirAll(s.Data, 0o700); err != nil {
		return nil, fmt.Errorf("KBNT_DATA=%s: %w", s.Data, err)
	}
	if p.store, err = sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(s.Data, "store.db")}); err != nil {
		return nil, fmt.Errorf("KBNT_DATA=%s: %w", s.Data, err)
	}
	listeners := map[string]net.Listener{}
	for setting, address := range map[string]string{"KBNT_ADDR": s.Addr, "KBNT_PROVISION_ADDR": s.ProvisionAddr, "KBNT_NOTIFY_ADDR": s.NotifyAddr} {
		l, err := listen(setting, address)
		if err != nil {
			for _, open := range listeners {
				_ = open.Close()
			}
			return nil, err
		}
		listeners[setting] = l
	}
	if err := p.openEventing(ctx); err != nil {
		for _, open := range listeners {
			_ = open.Close()
		}
		return nil, err
	}
	w, err := wire(p)
	if err != nil {
		for _, open := range listeners {
			_ = open.Close()
		}
		return nil, err
	}
	p.intake = serve("intake", listeners["KBNT_ADDR"], w.intake)
	p.provision = serve("provision", listeners["KBNT_PROVISION_ADDR"], w.provision)
	p.notify = serve("notify", listeners["KBNT_NOTIFY_ADDR"], w.notify)
	return p, p.eventing.StartSources(ctx, map[string]string{"kbnt-provision": p.provision.url, "kbnt-notify": p.notify.url})
}

func (p *platform) openEventing(ctx context.Context) error {
	manifests, err := local.Parse(mustSub(eventing.Manifests, "manifests"))
	if err != nil {
		return fmt.Errorf("read the manifests: %w", err)
	}
	for _, r := range manifests.Reports() {
		p.log.Debug("manifests", "report", r.String())
	}
	p.eventing, err = local.Open(ctx, local.Options{
		Manifests: manifests, Brokers: p.settings.KafkaBrokers, KafkaAddr: p.settings.KafkaAddr, HTTPAddr: p.settings.SinksAddr,
		DataDir: filepath.Join(p.settings.Data, "kafka"), SweepEvery: p.settings.SweepEvery, Log: p.log,
	})
	return err
}

// close stops everything in the order of the flow: no new requests, then no new
// deliveries, then what is still at work, then the store.
func (p *platform) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	var errs []error
	stop := func(s *server) {
		if s != nil {
			errs = append(errs, s.stop(ctx))
		}
	}
	stop(p.intake)
	if p.eventing != nil {
		errs = append(errs, p.eventing.Close())
	}
	stop(p.provision)
	stop(p.notify)
	if p.store != nil {
		errs = append(errs, p.store.Close())
	}
	return errors.Join(errs...)
}

func (p *platform) intakeURL() string { return p.intake.url }

func (p *platform) functionURLs() []string {
	return []string{p.intake.url, p.provision.url, p.notify.url}
}

func (p *platform) brokers() []string { return p.eventing.Brokers() }

// failed returns the first error of a function that stopped serving by itself.
func (p *platform) failed() <-chan error {
	out := make(chan error, 1)
	return out
}

var _ = time.Second
