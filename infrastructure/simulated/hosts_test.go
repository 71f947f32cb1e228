package simulated_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/simulated"
)

// hosts are small, so that they fill up.
func hosts(states ...string) func(*simulated.Options) {
	return func(o *simulated.Options) {
		for i, state := range states {
			o.Hosts = append(o.Hosts, domain.Host{
				Name: fmt.Sprintf("sim-%d", i), State: state, Cores: 16, Memory: 16 * domain.GiB,
				Disks: map[domain.DiskType]domain.DiskPool{domain.SSD: {Size: 100 * domain.GiB, IOPS: 3000}},
			})
		}
	}
}

func TestRoom(t *testing.T) {
	t.Parallel()
	volume := func(size domain.MiB, class domain.DiskType, iops int) domain.Specification {
		return domain.Specification{Volume: &domain.VolumeSpec{Size: size, Type: class, IOPS: iops}}
	}
	for name, test := range map[string]struct {
		reason string
		spec   domain.Specification
		kind   domain.Kind
		code   string
	}{
		"disk":  {"a pool has so many GiB", volume(101*domain.GiB, domain.SSD, 0), domain.Unavailable, "no-capacity"},
		"IOPS":  {"a pool has so many IOPS", volume(domain.GiB, domain.SSD, 3001), domain.Unavailable, "no-capacity"},
		"class": {"a host may not have a class", volume(domain.GiB, domain.HDD, 0), domain.Unavailable, "no-capacity"},
		"cap":   {"one volume has at most what its class gives, anywhere", volume(domain.GiB, domain.SSD, 20001), domain.Invalid, "invalid-spec"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t, 0, hosts(domain.HostUp))
			want := w.volume("a")
			want.Spec = test.spec
			if _, err := w.Ensure(t.Context(), want); domain.KindOf(err) != test.kind || domain.CodeOf(err) != test.code {
				t.Errorf("%s: got %v (%v, %s), want %v, %s", test.reason, err, domain.KindOf(err), domain.CodeOf(err), test.kind, test.code)
			}
			w.undone(t)
		})
	}
}

// TestRoomIsNeverOversold has many callers of two processes compete for the room
// of eight machines.
func TestRoomIsNeverOversold(t *testing.T) {
	t.Parallel()
	w := open(t, 0, hosts(domain.HostUp))
	other := w.client(t, w.documents)
	var mu sync.Mutex
	made := []domain.Desired{}
	var all sync.WaitGroup
	for i := range 32 {
		uid := strconv.Itoa(i)
		root, machine := w.volume(uid), w.machine(uid, i)
		root.Spec.Volume.Size = domain.GiB
		h := w.Hypervisor
		if i%2 == 0 {
			h = other
		}
		all.Go(func() {
			if _, err := h.Ensure(t.Context(), root); err != nil {
				t.Errorf("volume %s: %v", uid, err)
			}
			_, err := h.Ensure(t.Context(), machine)
			switch {
			case err == nil:
				mu.Lock()
				defer mu.Unlock()
				made = append(made, machine)
			case domain.CodeOf(err) != "no-capacity":
				t.Errorf("machine %s: got %v, want success or no-capacity", uid, err)
			}
		})
	}
	all.Wait()
	if len(made) != 8 {
		t.Errorf("machines of 2 cores and 2 GiB on 16 cores and 16 GiB: got %d, want 8", len(made))
	}
	w.delete(t, made[0])
	if o := w.ensure(t, made[0]); o.Phase != domain.ThingReady {
		t.Errorf("after one was deleted: got %s, want Ready", o.Phase)
	}
}

func TestPlacement(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		reason string
		hosts  []string
		ask    string // Desired.Host
		want   string // where it is put; empty: it is refused
		code   string
	}{
		"first of equals":  {"hosts with the same room come by name", []string{domain.HostUp, domain.HostUp}, "", "sim-0", ""},
		"as asked":         {"a placement made before is respected", []string{domain.HostUp, domain.HostUp}, "sim-1", "sim-1", ""},
		"not on draining":  {"a host that drains takes nothing new", []string{domain.HostDraining, domain.HostUp}, "", "sim-1", ""},
		"asked draining":   {"not even when asked", []string{domain.HostDraining, domain.HostUp}, "sim-0", "", "no-capacity"},
		"asked down":       {"a host may come back", []string{domain.HostDown, domain.HostUp}, "sim-0", "", "host-down"},
		"asked unknown":    {"a host may be added", []string{domain.HostUp}, "sim-7", "", "host-down"},
		"all down":         {"none is up", []string{domain.HostDown, domain.HostDown}, "", "", "no-capacity"},
		"one down, one up": {"down ones are passed over", []string{domain.HostDown, domain.HostUp}, "", "sim-1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t, 0, hosts(test.hosts...))
			volume := w.volume("a")
			volume.Host = test.ask
			o, err := w.Ensure(t.Context(), volume)
			if o.Host != test.want {
				t.Errorf("%s: got host %q, %v, want %q", test.reason, o.Host, err, test.want)
			}
			if test.code != "" && (domain.KindOf(err) != domain.Unavailable || domain.CodeOf(err) != test.code) {
				t.Errorf("%s: got %v, want Unavailable, %s", test.reason, err, test.code)
			}
		})
	}
}

// TestHostGoes changes the state of a host under its machine.
func TestHostGoes(t *testing.T) {
	t.Parallel()
	w := open(t, 0, hosts(domain.HostUp, domain.HostUp))
	root, machine := w.volume("a"), w.machine("a", 0)
	w.ensure(t, root)
	if o := w.ensure(t, machine); o.Host != "sim-0" {
		t.Fatalf("machine: got host %q, want its volume's, sim-0", o.Host)
	}

	w.options.Hosts[0].State = domain.HostDown
	down := w.client(t, w.documents)
	if o, err := down.Observe(t.Context(), machine.Key); o.Phase != domain.ThingUnknown || err != nil {
		t.Errorf("observe on a host that is down: got %s, %v, want Unknown", o.Phase, err)
	}
	if _, err := down.Ensure(t.Context(), machine); domain.CodeOf(err) != "host-down" {
		t.Errorf("ensure on a host that is down: got %v, want host-down", err)
	}
	if _, err := down.Delete(t.Context(), machine.Key); domain.KindOf(err) != domain.Unavailable || err == nil {
		t.Errorf("delete on a host that is down: got %v, want Unavailable", err)
	}

	w.options.Hosts[0].State = domain.HostDraining
	draining := w.client(t, w.documents)
	if o, err := draining.Ensure(t.Context(), machine); o.Phase != domain.ThingReady || err != nil {
		t.Errorf("ensure on a host that drains: got %s, %v, want the machine that is there", o.Phase, err)
	}

	w.options.Hosts = w.options.Hosts[1:]
	without := w.client(t, w.documents)
	if _, err := without.Delete(t.Context(), machine.Key); err != nil {
		t.Errorf("delete on a host that was taken away: %v", err)
	}
	if _, err := without.Delete(t.Context(), root.Key); err != nil {
		t.Errorf("delete on a host that was taken away: %v", err)
	}
	w.undone(t)
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	w := open(t, 1)
	first := w.network("a", 0)
	w.ensure(t, first)

	overlap := w.network("b", 1)
	overlap.Spec.Network.Subnet = first.Spec.Network.Subnet
	overlap.Spec.Network.Gateway = first.Spec.Network.Gateway
	if _, err := w.Ensure(t.Context(), overlap); domain.CodeOf(err) != "subnet-overlap" || domain.KindOf(err) != domain.Conflict {
		t.Errorf("the same subnet twice in a tenant: got %v, want a conflict, subnet-overlap", err)
	}
	overlap.Tenant = "other"
	w.ensure(t, overlap) // VLANs keep tenants apart

	again := w.network("c", 0)
	again.Tenant = "third"
	if _, err := w.Ensure(t.Context(), again); domain.CodeOf(err) != "vlan-taken" || domain.KindOf(err) != domain.Conflict {
		t.Errorf("the same VLAN twice: got %v, want a conflict, vlan-taken", err)
	}
	w.delete(t, first)
	if _, err := w.Ensure(t.Context(), again); domain.CodeOf(err) != "vlan-busy" || domain.KindOf(err) != domain.Unavailable {
		t.Errorf("a VLAN whose network is just going: got %v, want Unavailable, vlan-busy", err)
	}
	w.clock.advance(time.Minute)
	w.ensure(t, again)
	w.undone(t, again, overlap)
}
