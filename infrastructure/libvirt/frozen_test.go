package libvirt_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/libvirt"
)

// TestFrozenHost holds that a host that takes connections and answers nothing does not hold up
// what is on another, and counts as down after 5 s.
func TestFrozenHost(t *testing.T) {
	t.Parallel()
	want := wantedVolume()
	network := domain.Desired{Key: domain.Key{Resource: "6a08081c", Kind: domain.ThingNetwork}}
	for name, c := range map[string]struct {
		reason string
		call   func(context.Context, application.Hypervisor) (domain.Observation, error)
		have   string // what the other host has
		phase  domain.ThingPhase
		code   string
		within time.Duration
	}{
		"observe, found":     {"a volume is on one host", observing(want.Key), want.Key.Name() + "." + want.Hash() + ".0", domain.ThingReady, "", 0},
		"observe, not found": {"the frozen host may have it", observing(want.Key), "", domain.ThingUnknown, "", 5 * time.Second},
		"ensure there":       {"nothing was done", ensuring(want), "", "", application.CodeHostDown, 5 * time.Second},
		"delete":             {"the frozen host may have it", deleting(want.Key), "", "", application.CodeHostDown, 5 * time.Second},
		"observe a network":  {"one host may not have it", observing(network.Key), "", domain.ThingUnknown, "", 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				frozen, other := &fakeHost{withhold: procOpen}, &fakeHost{volume: c.have, refuse: map[uint32]uint32{procNetworkByName: 43}}
				h := driver(t, func(ctx context.Context, host libvirt.Host) (net.Conn, error) {
					if host.Name == "kvm-1" {
						return frozen.connect(ctx, host)
					}
					return other.connect(ctx, host)
				}, "kvm-1", "kvm-2")
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				began := time.Now()
				seen, err := c.call(ctx, h)
				if took := time.Since(began); took > c.within {
					t.Errorf("took %s, want %s: %s", took, c.within, c.reason)
				}
				if (err != nil) != (c.code != "") || err != nil && domain.CodeOf(err) != c.code || c.phase != "" && seen.Phase != c.phase {
					t.Errorf("got %s, %v, want %s %q: %s", seen.Phase, err, c.phase, c.code, c.reason)
				}
				synctest.Wait()
			})
		})
	}
}

func observing(key domain.Key) func(context.Context, application.Hypervisor) (domain.Observation, error) {
	return func(ctx context.Context, h application.Hypervisor) (domain.Observation, error) {
		return h.Observe(ctx, key)
	}
}

func ensuring(want domain.Desired) func(context.Context, application.Hypervisor) (domain.Observation, error) {
	return func(ctx context.Context, h application.Hypervisor) (domain.Observation, error) {
		return h.Ensure(ctx, want)
	}
}

func deleting(key domain.Key) func(context.Context, application.Hypervisor) (domain.Observation, error) {
	return func(ctx context.Context, h application.Hypervisor) (domain.Observation, error) {
		return h.Delete(ctx, key)
	}
}
