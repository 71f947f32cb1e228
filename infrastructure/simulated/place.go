package simulated

import (
	"context"
	"fmt"
	"slices"

	"kbnt.dev/virtualization/domain"
)

// place finds room on a host and holds it. prefer is tried first when the caller
// leaves the choice to the hypervisor; may be empty.
func (h *Hypervisor) place(ctx context.Context, want domain.Desired, mine line, prefer string) (host string, err error) {
	if want.Host != "" {
		return want.Host, h.claim(ctx, want.Host, mine)
	}
	err = retry(ctx, func() error {
		host, err = h.choose(ctx, mine, prefer)
		if err != nil {
			return err
		}
		if err = h.claim(ctx, host, mine); domain.CodeOf(err) == noCapacity {
			return errRaced // another took the room: choose again
		}
		return err
	})
	return host, err
}

const noCapacity = "no-capacity"

// choose looks at all hosts: where the thing holds room already, else the
// preferred one, else where domain.Place would put it.
func (h *Hypervisor) choose(ctx context.Context, mine line, prefer string) (string, error) {
	held := map[string][]domain.Claim{}
	for _, host := range h.hosts {
		l, _, err := h.ledger(ctx, hostLedger(host.Name))
		if err != nil {
			return "", err
		}
		if i, found := l.find(mine.Name); found && l.Lines[i].Until.IsZero() {
			return host.Name, nil
		}
		l.prune(h.now())
		held[domain.HostPool(host.Name)] = sum(l.Lines)
	}
	if host, ok := h.host(prefer); ok {
		if _, _, _, err := domain.Place([]domain.Host{host}, held, mine.need()); err == nil {
			return prefer, nil
		}
	}
	host, _, _, err := domain.Place(h.hosts, held, mine.need())
	return host, err
}

// claim holds room on one host. What holds it already may stay on a host that is
// draining.
func (h *Hypervisor) claim(ctx context.Context, name string, mine line) error {
	host, ok := h.host(name)
	if !ok || host.State == domain.HostDown {
		return &domain.Error{Kind: domain.Unavailable, Code: "host-down", Detail: "the host is down", Err: fmt.Errorf("host %q", name)}
	}
	return h.hold(ctx, hostLedger(name), mine, func(others []line) error {
		held := map[string][]domain.Claim{domain.HostPool(name): sum(others)}
		_, _, _, err := domain.Place([]domain.Host{host}, held, mine.need())
		return err
	})
}

// need is what a line takes of a host.
func (x line) need() domain.Need {
	return domain.Need{Resource: x.Name, Cores: x.Cores, Memory: x.Memory, Disk: x.Disk, DiskType: x.Type, IOPS: x.IOPS}
}

// sum adds lines up to one claim for each thing that a host has, which is all that
// the rule of placement looks at here.
func sum(lines []line) []domain.Claim {
	total := map[string]int64{}
	for _, x := range lines {
		total["cores"] += int64(x.Cores)
		total["memory"] += int64(x.Memory)
		if x.Type != "" {
			total["disk-"+string(x.Type)] += int64(x.Disk)
			total["iops-"+string(x.Type)] += int64(x.IOPS)
		}
	}
	claims := make([]domain.Claim, 0, len(total))
	for what, amount := range total {
		claims = append(claims, domain.Claim{Value: "all/" + what, Resource: "all", Amount: amount})
	}
	return slices.Clip(claims)
}
