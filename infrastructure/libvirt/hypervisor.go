package libvirt

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

var _ application.Hypervisor = (*Hypervisor)(nil)

// driver is the name that results carry.
const driver = "libvirt"

// Hypervisor is the driver. Its methods are safe for concurrent use; it holds no
// connection and no state of its own.
type Hypervisor struct {
	options Options
}

// New returns a driver. It does no I/O. The error names every mistake in the options.
func New(o Options) (*Hypervisor, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("libvirt: %w", err)
	}
	return &Hypervisor{options: o}, nil
}

// surveyed is how long one host may take to say what it has, or to be looked at, before it counts as down.
const surveyed = 5 * time.Second

// Capabilities asks each host what it has, all at the same time. A host that does
// not answer within 5 s is listed as down. Addresses are guarded on networks of
// libvirt's with DHCP; on bridges nobody sees them. It does not fail.
func (h *Hypervisor) Capabilities(ctx context.Context) (application.Capabilities, error) {
	hosts := make([]domain.Host, len(h.options.Hosts))
	var all sync.WaitGroup
	for i := range h.options.Hosts {
		all.Go(func() { hosts[i] = h.survey(ctx, h.options.Hosts[i]) })
	}
	all.Wait()
	return application.Capabilities{Driver: driver, Hosts: hosts, Guards: application.Guards{Addresses: true}}, nil
}

func (h *Hypervisor) survey(ctx context.Context, host Host) domain.Host {
	have := domain.Host{Name: host.Name, State: host.State, Cores: host.Cores, Memory: host.Memory, Disks: map[domain.DiskType]domain.DiskPool{}}
	for class, pool := range host.Pools {
		have.Disks[class] = domain.DiskPool{Size: pool.Size, IOPS: pool.IOPS}
	}
	if host.State == domain.HostDown {
		return have
	}
	ctx, cancel := context.WithTimeout(ctx, surveyed)
	defer cancel()
	err := h.with(ctx, host, func(s *session) error {
		memory, cores, err := s.node()
		if err != nil {
			return err
		}
		if have.Cores == 0 {
			have.Cores = cores * host.Overcommit
		}
		if have.Memory == 0 {
			have.Memory = memory - memory/8
		}
		for class, pool := range host.Pools {
			size, err := s.capacity(pool.Name)
			if err != nil {
				return err
			}
			if pool.Size == 0 {
				have.Disks[class] = domain.DiskPool{Size: size, IOPS: pool.IOPS}
			}
		}
		return nil
	})
	if err != nil {
		h.options.Log.WarnContext(ctx, "host does not answer", "driver", driver, "host", host.Name, "error", err)
		have.State = domain.HostDown
	}
	return have
}

// host finds the host that something is to be on.
func (h *Hypervisor) host(name string) (Host, error) {
	if name == "" && len(h.options.Hosts) == 1 {
		return h.options.Hosts[0], nil
	}
	i := slices.IndexFunc(h.options.Hosts, func(host Host) bool { return host.Name == name })
	if i < 0 {
		return Host{}, &domain.Error{Kind: domain.Unavailable, Code: application.CodeHostDown, Detail: "the host is not there", Err: fmt.Errorf("no host %q is configured", name)}
	}
	if h.options.Hosts[i].State == domain.HostDown {
		return Host{}, downError(h.options.Hosts[i])
	}
	return h.options.Hosts[i], nil
}

func downError(host Host) error {
	return &domain.Error{Kind: domain.Unavailable, Code: application.CodeHostDown, Detail: "the host is down", Err: fmt.Errorf("host %q is set down", host.Name)}
}

// found is what one host says about a key.
type found struct {
	host string
	seen domain.Observation
	err  error
}

// everywhere asks all hosts at the same time. It ends with the slowest.
func (h *Hypervisor) everywhere(ctx context.Context, ask func(*session) (domain.Observation, error)) []found {
	all := make([]found, len(h.options.Hosts))
	var wait sync.WaitGroup
	for i, host := range h.options.Hosts {
		all[i].host = host.Name
		if host.State == domain.HostDown {
			all[i].err = downError(host)
			continue
		}
		wait.Go(func() {
			all[i].err = h.with(ctx, host, func(s *session) (err error) {
				all[i].seen, err = ask(s)
				return err
			})
		})
	}
	wait.Wait()
	return all
}

// lookEverywhere asks all hosts at the same time, none of them longer than 5 s. Of what is on one
// host only, it ends with the host that has it: a look changes nothing, so the others are let go.
func (h *Hypervisor) lookEverywhere(ctx context.Context, kind domain.ThingKind, look func(*session) (domain.Observation, error)) []found {
	ctx, cancel := context.WithTimeout(ctx, surveyed)
	defer cancel()
	return h.everywhere(ctx, func(s *session) (domain.Observation, error) {
		seen, err := look(s)
		if err == nil && seen.Phase != domain.ThingAbsent && kind != domain.ThingNetwork {
			cancel()
		}
		return seen, err
	})
}
