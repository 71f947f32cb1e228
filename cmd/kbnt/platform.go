package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	fnhttp "knative.dev/func-go/http"

	"kbnt.dev/virtualization/config"
	"kbnt.dev/virtualization/eventing"
	"kbnt.dev/virtualization/eventing/local"
	"kbnt.dev/virtualization/infrastructure/sqlite"
)

// platform is everything in one process: the store, Kafka with the stand-ins of
// Knative's sources and sinks, the three functions and the hypervisor's driver.
type platform struct {
	settings config.Local
	log      *slog.Logger
	store    *sqlite.Store
	eventing *local.Eventing
	servers  []*server     // intake, provision, notify
	failed   chan error    // a function that stopped serving by itself
	leaving  chan struct{} // closed when the platform stops: event streams end
}

// open starts a platform. What was started is stopped again when something
// fails; the error says which setting to change.
func open(ctx context.Context, s config.Local, log *slog.Logger) (_ *platform, err error) {
	p := &platform{settings: s, log: log, failed: make(chan error, 3), leaving: make(chan struct{})}
	var listeners []net.Listener
	defer func() {
		if err != nil {
			for _, l := range listeners {
				_ = l.Close() // closed already if it served
			}
			err = errors.Join(err, p.close())
		}
	}()
	if err := os.MkdirAll(string(s.Data), 0o700); err != nil {
		return nil, fmt.Errorf("KBNT_DATA=%s: %w", s.Data, err)
	}
	if p.store, err = sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(string(s.Data), "store.db")}); err != nil {
		return nil, fmt.Errorf("KBNT_DATA=%s: %w", s.Data, err)
	}
	for _, at := range []struct{ setting, address string }{
		{"KBNT_ADDR", s.Addr.String()}, {"KBNT_PROVISION_ADDR", s.ProvisionAddr.String()}, {"KBNT_NOTIFY_ADDR", s.NotifyAddr.String()},
	} {
		l, err := listen(at.setting, at.address)
		if err != nil {
			return nil, err
		}
		listeners = append(listeners, l)
	}
	if err := p.openEventing(ctx); err != nil {
		return nil, err
	}
	f, err := wire(p)
	if err != nil {
		return nil, err
	}
	for i, function := range []fnhttp.Handler{f.intake, f.provision, f.notify} {
		p.servers = append(p.servers, serve([]string{"intake", "provision", "notify"}[i], listeners[i], function, p.failed))
	}
	err = p.eventing.StartSources(ctx, map[string]string{"kbnt-provision": p.servers[1].url, "kbnt-notify": p.servers[2].url})
	if err != nil {
		return nil, fmt.Errorf("start the sources: %w", err)
	}
	return p, nil
}

func (p *platform) openEventing(ctx context.Context) error {
	manifests, err := local.Parse(mustSub(eventing.Manifests, "manifests"))
	if err != nil {
		return fmt.Errorf("read the manifests: %w", err)
	}
	p.eventing, err = local.Open(ctx, local.Options{
		Manifests: manifests, Brokers: p.settings.KafkaBrokers, KafkaAddr: p.settings.KafkaAddr.String(), HTTPAddr: p.settings.SinksAddr.String(),
		DataDir: filepath.Join(string(p.settings.Data), "kafka"), SweepEvery: p.settings.Sweep, Log: p.log,
	})
	if err != nil {
		return fmt.Errorf("%w; KBNT_KAFKA_ADDR=%s, KBNT_SINKS_ADDR=%s and KBNT_DATA=%s choose what it uses", err, p.settings.KafkaAddr, p.settings.SinksAddr, p.settings.Data)
	}
	for _, r := range p.eventing.Reports() {
		p.log.Debug("manifests", "report", r.String())
	}
	return nil
}

// close stops everything in the order of the flow: no new requests, then no new
// deliveries, then what is still at work, then the store. It may be called on a
// platform that is half open.
func (p *platform) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	close(p.leaving)
	var errs []error
	for _, s := range p.servers[:min(1, len(p.servers))] {
		errs = append(errs, s.stop(ctx))
	}
	if p.eventing != nil {
		errs = append(errs, p.eventing.Close())
	}
	for _, s := range p.servers[min(1, len(p.servers)):] {
		errs = append(errs, s.stop(ctx))
	}
	if p.store != nil {
		errs = append(errs, p.store.Close())
	}
	http.DefaultClient.CloseIdleConnections()
	return errors.Join(errs...)
}

// greet says where everything is, and what to try.
func (p *platform) greet(out io.Writer) {
	fmt.Fprintf(out, `KBNT Virtualization runs. %s

  intake     %s   (API: /openapi.yaml, metrics: /metrics)
  provision  %s
  notify     %s
  Kafka      %s   topics virtualization-requests, -results, -events, -dead-letters
  state      %s   kept over restarts

Try:
  curl -i %s/api/v1/virtualize -H 'Content-Type: application/json' -d '%s'

and follow the Location it answers. Ctrl-C stops.
`, reality(p.settings.Machines()), p.servers[0].url, p.servers[1].url, p.servers[2].url, p.brokers()[0], p.settings.Data, p.servers[0].url, samples()[0].body)
}

// reality says whether what is made is real, and where.
func reality(m config.Machines) string {
	switch m.Hypervisor {
	case config.Libvirt:
		var hosts []string
		for _, h := range m.LibvirtHosts.Hosts {
			hosts = append(hosts, h.Name)
		}
		return fmt.Sprintf("The hypervisor is libvirt on %s: machines, volumes and networks are real, nothing is simulated.", strings.Join(hosts, ", "))
	case config.KubeVirt:
		return fmt.Sprintf("The hypervisor is KubeVirt, namespace %s: machines, volumes and networks are real, nothing is simulated.", m.Kubevirt.Namespace)
	}
	return "The hypervisor is simulated: nothing real is made."
}

func (p *platform) intakeURL() string { return p.servers[0].url }

func (p *platform) functionURLs() (urls []string) {
	for _, s := range p.servers {
		urls = append(urls, s.url)
	}
	return urls
}

func (p *platform) brokers() []string { return p.eventing.Brokers() }
