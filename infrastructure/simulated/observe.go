package simulated

import (
	"context"
	"math"
	"net/netip"
	"time"

	"kbnt.dev/virtualization/domain"
)

// Observe reads one document. A thing on a host that is down is Unknown. A foreign
// one is Absent, with the reason "Foreign": there is none of ours. Unavailable:
// the store did not answer, or ctx ended.
func (h *Hypervisor) Observe(ctx context.Context, key domain.Key) (domain.Observation, error) {
	t, _, err := h.thing(ctx, key)
	if err != nil {
		return domain.Observation{}, annotate("simulated.Observe", err)
	}
	return h.see(key, t, h.now()), nil
}

// see is what a thing shows at a time.
func (h *Hypervisor) see(key domain.Key, t thing, now time.Time) domain.Observation {
	o := domain.Observation{Key: key}
	var until time.Time
	o.Phase, o.Reason, until = t.phase(now)
	if o.Phase == domain.ThingAbsent {
		return o
	}
	o.ProviderID, o.SpecHash, o.Host, o.CreatedAt = t.ID, t.Hash, t.Host, t.Created
	if until.After(now) && until.Before(never) {
		o.RetryAfter = until.Sub(now)
	}
	if h.down(t.Host) {
		return domain.Observation{Key: key, Phase: domain.ThingUnknown, Reason: "HostDown", Message: "the host does not answer",
			ProviderID: t.ID, SpecHash: t.Hash, Host: t.Host}
	}
	if key.Kind == domain.ThingMachine {
		h.seeMachine(&o, t, now)
	} else if o.Phase == domain.ThingReady {
		o.ReadyAt = t.Ready
	}
	return o
}

func (h *Hypervisor) seeMachine(o *domain.Observation, t thing, now time.Time) {
	on := t.On && o.Phase != domain.ThingDeleting && !now.Before(t.Made) && !now.Before(t.Off)
	reached := func(at time.Time) bool { return on && !t.Partial && !now.Before(at) }
	powered, guest, ready := on && !now.Before(t.Powered), reached(t.Guest), reached(t.Ready)
	if powered {
		o.PoweredAt = t.Powered
	}
	if guest {
		o.GuestAt = t.Guest
		if a, err := netip.ParseAddr(t.Address); err == nil {
			o.Addresses = []netip.Addr{a}
		}
	}
	if ready {
		o.ReadyAt = t.Ready
		o.Ports = map[string]int{"ssh": 22, "http": 80}
		o.Baselines = baselines(t)
	}
	if o.Phase == domain.ThingFailed {
		o.Message = "the guest stops as soon as it is started"
	}
	check := func(name string, passed bool, detail string) {
		if !passed {
			detail = "not yet"
		}
		o.Checks = append(o.Checks, domain.HealthCheck{Name: name, Passed: passed, Detail: detail, Simulated: true})
	}
	check(domain.CheckHypervisor, powered && !t.Partial, "running on "+t.Host)
	check(domain.CheckDisk, powered, "root volume attached")
	check(domain.CheckAddress, guest, t.Address)
	check(domain.CheckSSH, guest, "port 22, not asked")
	check(domain.CheckGuest, ready, "port 80, not asked")
}

// baselines are what a guest of that size uses at rest, give or take.
func baselines(t thing) map[string]float64 {
	about := func(v, spread float64, what string) float64 { return v * (1 + spread*(2*draw(t.Key.Name(), what)-1)) }
	return map[string]float64{
		"cpu_ratio":    math.Round(about(0.02, 0.25, "cpu")*1e4) / 1e4,
		"memory_bytes": math.Round(about(0.15, 0.2, "memory") * float64(t.Memory) * (1 << 20)),
		"disk_iops":    math.Round(about(150, 0.1, "iops")),
	}
}

func (h *Hypervisor) down(name string) bool {
	host, ok := h.host(name)
	return ok && host.State == domain.HostDown
}
