package simulated

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

var _ application.Hypervisor = (*Hypervisor)(nil)

// driver is the name by which every result says that nothing is real.
const driver = "simulated"

// Options of a simulated hypervisor. Documents is required; all else has a
// default.
type Options struct {
	Documents application.Documents
	Now       func() time.Time        // default time.Now
	Hosts     []domain.Host           // default DefaultHosts
	Speed     float64                 // latencies are divided by it: 1 is life-like, 0 has none at all
	Latency   Latency                 // zero: DefaultLatency
	IOPS      map[domain.DiskType]int // most of one volume by class; default those of domain.DefaultOffer
	Faults    map[string]float64      // rate, 0..1, by fault: {"transient=2": 0.05}
	Log       *slog.Logger            // default: none
}

// Hypervisor is the simulated driver. Its methods are safe for concurrent use.
type Hypervisor struct {
	documents application.Documents
	clock     func() time.Time
	hosts     []domain.Host
	speed     float64
	latency   Latency
	iops      map[domain.DiskType]int
	rates     map[string]float64
	log       *slog.Logger
	desks     map[string]*desk // by ledger; the map never changes after New
}

// New returns a hypervisor on the world in the documents. It does no I/O. The
// error names every mistake in the options.
func New(o Options) (*Hypervisor, error) {
	h := &Hypervisor{
		documents: o.Documents, clock: o.Now, hosts: cloneHosts(o.Hosts), speed: o.Speed,
		latency: o.Latency, iops: maps.Clone(o.IOPS), rates: maps.Clone(o.Faults), log: o.Log,
		desks: map[string]*desk{networksLedger: newDesk()},
	}
	if h.clock == nil {
		h.clock = time.Now
	}
	if len(h.hosts) == 0 {
		h.hosts = DefaultHosts()
	}
	if h.latency == (Latency{}) {
		h.latency = DefaultLatency()
	}
	if h.iops == nil {
		h.iops = domain.DefaultOffer().Limits.IOPS
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	wrong := h.latency.mistakes()
	if h.documents == nil {
		wrong = append(wrong, errors.New("documents: none given"))
	}
	if !(h.speed >= 0) { // NaN, too
		wrong = append(wrong, fmt.Errorf("speed %g: want 0 or more", h.speed))
	}
	for word, rate := range h.rates {
		if !(rate >= 0 && rate <= 1) {
			wrong = append(wrong, fmt.Errorf("rate of fault %q: %g: want 0 to 1", word, rate))
		}
		if _, unknown := parseFaults(word, ""); len(unknown) > 0 {
			wrong = append(wrong, fmt.Errorf("fault %q: not known", word))
		}
	}
	for _, host := range h.hosts {
		if _, double := h.desks[hostLedger(host.Name)]; double || host.Name == "" {
			wrong = append(wrong, fmt.Errorf("host %q: want names that differ", host.Name))
		}
		if !slices.Contains([]string{domain.HostUp, domain.HostDraining, domain.HostDown}, host.State) {
			wrong = append(wrong, fmt.Errorf("host %q: state %q: want up, draining or down", host.Name, host.State))
		}
		h.desks[hostLedger(host.Name)] = newDesk()
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("simulated hypervisor: %w", err)
	}
	return h, nil
}

// DefaultHosts returns three hosts that are up. Each has 64 cores, overcommitted
// four times, 512 GiB of memory and a pool of each class of disk.
func DefaultHosts() []domain.Host {
	var hosts []domain.Host
	for _, name := range []string{"sim-a", "sim-b", "sim-c"} {
		hosts = append(hosts, domain.Host{
			Name: name, State: domain.HostUp, Cores: 4 * 64, Memory: 512 * domain.GiB,
			Disks: map[domain.DiskType]domain.DiskPool{
				domain.SSD:  {Size: 40 * domain.TiB, IOPS: 200_000},
				domain.HDD:  {Size: 80 * domain.TiB, IOPS: 5_000},
				domain.NVME: {Size: 20 * domain.TiB, IOPS: 800_000},
			},
		})
	}
	return hosts
}

// Capabilities says that nothing is real, which hosts there are, and that
// capacity and addresses are guarded. It never fails.
func (h *Hypervisor) Capabilities(context.Context) (application.Capabilities, error) {
	return application.Capabilities{
		Driver: driver, Simulated: true, Hosts: cloneHosts(h.hosts),
		Guards: application.Guards{Addresses: true, Capacity: true},
	}, nil
}

// now is without the monotonic reading, because it is compared with times that
// were stored.
func (h *Hypervisor) now() time.Time { return h.clock().UTC().Round(0) }

func (h *Hypervisor) host(name string) (domain.Host, bool) {
	i := slices.IndexFunc(h.hosts, func(host domain.Host) bool { return host.Name == name })
	if i < 0 {
		return domain.Host{}, false
	}
	return h.hosts[i], true
}

func cloneHosts(hosts []domain.Host) []domain.Host {
	hosts = slices.Clone(hosts)
	for i := range hosts {
		hosts[i].Disks = maps.Clone(hosts[i].Disks)
	}
	return hosts
}
