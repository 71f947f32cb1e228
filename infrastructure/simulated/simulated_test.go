package simulated_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/memory"
	"kbnt.dev/virtualization/infrastructure/simulated"
)

func TestNewNamesEveryMistake(t *testing.T) {
	t.Parallel()
	_, err := simulated.New(simulated.Options{
		Speed:   math.NaN(),
		Hosts:   []domain.Host{{Name: "a", State: domain.HostUp}, {Name: "a", State: "asleep"}},
		Latency: simulated.Latency{Boot: simulated.Range{Min: 2, Max: 1}},
		Faults:  map[string]float64{"coffee": 0.1, "stuck": 2},
	})
	if err == nil {
		t.Fatal("wrong options: got no error")
	}
	for _, mistake := range []string{"documents", "speed", "names that differ", "asleep", "boot", "coffee", `"stuck"`} {
		if !strings.Contains(err.Error(), mistake) {
			t.Errorf("wrong options: got %q, want %q among it", err, mistake)
		}
	}
}

func TestItSaysThatNothingIsReal(t *testing.T) {
	t.Parallel()
	w := open(t, 0)
	c, err := w.Capabilities(t.Context())
	if err != nil || !c.Simulated || c.Driver != "simulated" || !c.Guards.Addresses || !c.Guards.Capacity || len(c.Hosts) != 3 {
		t.Errorf("capabilities: got %+v, %v", c, err)
	}
	w.ensure(t, w.volume("a"))
	o := w.ensure(t, w.machine("a", 0))
	if !strings.HasPrefix(o.ProviderID, "sim-") || !strings.HasPrefix(o.Host, "sim-") || o.Console != "" {
		t.Errorf("machine: got id %q, host %q, console %q, want sim-, sim- and none", o.ProviderID, o.Host, o.Console)
	}
	if len(o.Checks) != 5 {
		t.Errorf("health checks: got %d, want 5", len(o.Checks))
	}
	for _, c := range o.Checks {
		if !c.Simulated {
			t.Errorf("health check %s: does not say that it is simulated", c.Name)
		}
	}
}

// TestLife follows a machine through its phases, and a second process sees them,
// too: nothing is kept but in the documents.
func TestLife(t *testing.T) {
	t.Parallel()
	latency := simulated.Latency{
		Volume: simulated.Range{Min: time.Second, Max: time.Second},
		Start:  simulated.Range{Min: 2 * time.Second, Max: 2 * time.Second},
		Boot:   simulated.Range{Min: 10 * time.Second, Max: 10 * time.Second},
		Stop:   simulated.Range{Min: time.Second, Max: time.Second},
		Delete: simulated.Range{Min: time.Second, Max: time.Second},
	}
	w := open(t, 2, func(o *simulated.Options) { o.Latency = latency }) // everything takes half of that
	machine := w.machine("a", 0)
	begun := w.clock.now()
	w.ensure(t, w.volume("a"))
	w.ensure(t, machine)

	type look struct {
		at    time.Duration // since begun
		phase domain.ThingPhase
		retry time.Duration
	}
	follow := func(looks ...look) domain.Observation {
		t.Helper()
		var o domain.Observation
		for _, l := range looks {
			w.clock.advance(begun.Add(l.at).Sub(w.clock.now()))
			var err error
			if o, err = w.client(t, w.documents).Observe(t.Context(), machine.Key); err != nil || o.Phase != l.phase || o.RetryAfter != l.retry {
				t.Errorf("after %s: got %s, again in %s, %v, want %s in %s", l.at, o.Phase, o.RetryAfter, err, l.phase, l.retry)
			}
		}
		return o
	}
	o := follow(
		look{0, domain.ThingPending, 6500 * time.Millisecond},
		look{500 * time.Millisecond, domain.ThingCreating, 6 * time.Second},
		look{1500 * time.Millisecond, domain.ThingStarting, 5 * time.Second},
		look{6500 * time.Millisecond, domain.ThingReady, 0},
	)
	if !o.CreatedAt.Equal(begun) || o.PoweredAt.Sub(begun) != 1500*time.Millisecond || o.ReadyAt.Sub(begun) != 6500*time.Millisecond ||
		o.GuestAt.Before(o.PoweredAt) || o.GuestAt.After(o.ReadyAt) {
		t.Errorf("times of %s: got created %s, powered %s, guest %s, ready %s", begun, o.CreatedAt, o.PoweredAt, o.GuestAt, o.ReadyAt)
	}
	if o.Ports["ssh"] != 22 || o.Ports["http"] != 80 {
		t.Errorf("ports: got %v, want ssh 22 and http 80", o.Ports)
	}
	memory := o.Baselines["memory_bytes"] / float64(2<<30)
	if cpu, iops := o.Baselines["cpu_ratio"], o.Baselines["disk_iops"]; cpu < 0.015 || cpu > 0.025 || memory < 0.12 || memory > 0.18 || iops < 135 || iops > 165 {
		t.Errorf("baselines: got %v, want about 0.02, 15%% of 2 GiB and 150", o.Baselines)
	}

	machine.On = false
	w.ensure(t, machine)
	machine.On = true
	w.ensure(t, machine) // before it is off: it goes off first
	follow(
		look{6600 * time.Millisecond, domain.ThingPending, 6400 * time.Millisecond},
		look{7000 * time.Millisecond, domain.ThingStarting, 6 * time.Second},
		look{13 * time.Second, domain.ThingReady, 0},
	)

	if _, err := w.Delete(t.Context(), machine.Key); err != nil {
		t.Fatalf("delete: %v", err)
	}
	o = follow(look{13 * time.Second, domain.ThingDeleting, 500 * time.Millisecond})
	if _, err := w.Ensure(t.Context(), machine); domain.CodeOf(err) != "deleting" || domain.KindOf(err) != domain.Unavailable {
		t.Errorf("ensure while it goes: got %v, want Unavailable, deleting", err)
	}
	if len(o.Addresses) > 0 || o.Ports != nil {
		t.Errorf("going: got addresses %v and ports %v, want none", o.Addresses, o.Ports)
	}
	follow(look{13500 * time.Millisecond, domain.ThingAbsent, 0})
}

func TestDefaultLatencyIsLifeLike(t *testing.T) {
	t.Parallel()
	w := open(t, 1)
	for i := range 20 {
		uid := strings.Repeat("x", i+1)
		w.ensure(t, w.volume(uid))
		o := w.ensure(t, w.machine(uid, i))
		if o.RetryAfter < 7700*time.Millisecond || o.RetryAfter > 14300*time.Millisecond {
			t.Errorf("machine %d: ready in %s, want 7.7 s to 14.3 s", i, o.RetryAfter)
		}
	}
}

// TestDamage holds that a document that cannot be read is neither taken for a
// missing one nor written over.
func TestDamage(t *testing.T) {
	t.Parallel()
	w := open(t, 0)
	volume := w.volume("a")
	if _, err := w.documents.Write(t.Context(), w.document(volume.Key), []byte("{"), 0); err != nil {
		t.Fatal(err)
	}
	_, ensured := w.Ensure(t.Context(), volume)
	_, observed := w.Observe(t.Context(), volume.Key)
	_, deleted := w.Delete(t.Context(), volume.Key)
	for what, err := range map[string]error{"ensure": ensured, "observe": observed, "delete": deleted} {
		if err == nil || domain.KindOf(err) != domain.Internal {
			t.Errorf("%s a damaged document: got %v, want an internal error", what, err)
		}
	}
	if data, _, _ := w.documents.Read(t.Context(), w.document(volume.Key)); string(data) != "{" {
		t.Errorf("damaged document: got %q, want it left for the operator", data)
	}
}

func TestZeroOptionsButDocuments(t *testing.T) {
	t.Parallel()
	h, err := simulated.New(simulated.Options{Documents: new(memory.Documents)})
	if err != nil {
		t.Fatalf("new: %v", err)
	}
	o, err := h.Ensure(t.Context(), open(t, 0).volume("a"))
	if err != nil || o.Phase != domain.ThingReady {
		t.Errorf("volume by the real clock, without latency: got %s, %v, want Ready", o.Phase, err)
	}
}
