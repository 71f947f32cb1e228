package simulated_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/simulated"
)

// TestFaults ensures a volume and then a machine, each as often as one would, and
// looks at what the label makes of it.
func TestFaults(t *testing.T) {
	t.Parallel()
	for label, test := range map[string]struct {
		reason  string
		volume  []domain.Kind // of the errors before it works; the last one for ever if final
		machine []domain.Kind
		final   bool
		phase   domain.ThingPhase // of the machine in the end
	}{
		"": {
			reason: "without a label nothing fails",
			phase:  domain.ThingReady,
		},
		"transient=2": {
			reason:  "each thing fails twice and does nothing",
			volume:  []domain.Kind{domain.Unavailable, domain.Unavailable},
			machine: []domain.Kind{domain.Unavailable, domain.Unavailable},
			phase:   domain.ThingReady,
		},
		"transient@machine": {
			reason:  "a fault can be limited to a kind, and one is the default",
			machine: []domain.Kind{domain.Unavailable},
			phase:   domain.ThingReady,
		},
		"lost=2, transient": {
			reason:  "faults add up: nothing is done first, then answers are lost",
			volume:  []domain.Kind{domain.Unavailable, domain.Unavailable, domain.Unavailable},
			machine: []domain.Kind{domain.Unavailable, domain.Unavailable, domain.Unavailable},
			phase:   domain.ThingReady,
		},
		"terminal": {
			reason: "the first thing of a request is refused",
			volume: []domain.Kind{domain.Invalid, domain.Invalid}, final: true,
			phase: domain.ThingAbsent,
		},
		"terminal-at=machine": {
			reason:  "the volume is made, the machine is refused",
			machine: []domain.Kind{domain.Invalid, domain.Invalid}, final: true,
			phase: domain.ThingAbsent,
		},
		"denied@machine": {
			reason:  "our own permissions do not suffice",
			machine: []domain.Kind{domain.Forbidden, domain.Forbidden}, final: true,
			phase: domain.ThingAbsent,
		},
		"quota@machine": {
			reason:  "a quota of the hypervisor",
			machine: []domain.Kind{domain.Exhausted, domain.Exhausted}, final: true,
			phase: domain.ThingAbsent,
		},
		"capacity@machine": {
			reason:  "no room, however often one asks",
			machine: []domain.Kind{domain.Unavailable, domain.Unavailable, domain.Unavailable}, final: true,
			phase: domain.ThingAbsent,
		},
		"host-down@volume": {
			reason: "as if the host were down",
			volume: []domain.Kind{domain.Unavailable, domain.Unavailable}, final: true,
			phase: domain.ThingAbsent,
		},
		"stuck@machine": {
			reason: "made and never ready",
			phase:  domain.ThingStarting,
		},
		"stuck@volume": {
			reason: "a machine waits for its volume",
			phase:  domain.ThingPending,
		},
		"partial": {
			reason: "the machine fails when it is switched on; the volume is fine",
			phase:  domain.ThingFailed,
		},
		"slow=2h": {
			reason: "not ready within the hour that this test waits",
			phase:  domain.ThingPending,
		},
		"coffee=2,transient=x,stuck@moon,terminal-at=,,slow=-1s": {
			reason: "words that are not known do nothing",
			phase:  domain.ThingReady,
		},
	} {
		t.Run(label, func(t *testing.T) {
			t.Parallel()
			w := open(t, 1)
			root, machine := w.volume("a"), w.machine("a", 0)
			root.Labels = domain.Labels{simulated.FaultLabel: label}
			machine.Labels = root.Labels

			done := w.tries(t, root, test.volume, test.final)
			if done {
				w.tries(t, machine, test.machine, test.final)
			}
			w.clock.advance(time.Hour)
			o, err := w.Observe(t.Context(), machine.Key)
			if o.Phase != test.phase || err != nil {
				t.Errorf("%s: machine: got %s, %v, want %s", test.reason, o.Phase, err, test.phase)
			}
			w.undone(t, machine, root)
		})
	}
}

// tries ensures until it works, and wants errors of these kinds on the way. It
// reports whether it worked in the end.
func (w *world) tries(t *testing.T, want domain.Desired, kinds []domain.Kind, final bool) bool {
	t.Helper()
	for i, kind := range kinds {
		if o, err := w.Ensure(t.Context(), want); err == nil || domain.KindOf(err) != kind {
			t.Errorf("ensure %s, call %d: got %s, %v, want %v", want.Key.Kind, i+1, o.Phase, err, kind)
		}
	}
	if final && len(kinds) > 0 {
		return false
	}
	if _, err := w.Ensure(t.Context(), want); err != nil {
		t.Errorf("ensure %s, call %d: got %v, want success", want.Key.Kind, len(kinds)+1, err)
	}
	return true
}

// undone deletes things and wants the world to be empty after it.
func (w *world) undone(t *testing.T, things ...domain.Desired) {
	t.Helper()
	for _, thing := range things {
		if _, err := w.Delete(t.Context(), thing.Key); err != nil {
			t.Errorf("delete %s: %v", thing.Key.Kind, err)
		}
	}
	w.clock.advance(time.Minute)
	for o, err := range w.List(t.Context()) {
		t.Errorf("left over: %s, %v", o.Key.Name(), err)
	}
	for _, name := range w.residue(t) {
		t.Errorf("left over: %s", name)
	}
}

func TestFaultsOfDelete(t *testing.T) {
	t.Parallel()
	w := open(t, 0)
	volume := w.volume("a")
	volume.Labels = domain.Labels{simulated.FaultLabel: "delete-transient=2"}
	w.ensure(t, volume)
	for i := range 2 {
		if o, err := w.Delete(t.Context(), volume.Key); err == nil || domain.KindOf(err) != domain.Unavailable {
			t.Errorf("delete, call %d: got %s, %v, want Unavailable", i+1, o.Phase, err)
		}
	}
	w.undone(t, volume)
}

// TestFaultsAreCountedInTheWorld asks another process for each call.
func TestFaultsAreCountedInTheWorld(t *testing.T) {
	t.Parallel()
	w := open(t, 0)
	volume := w.volume("a")
	volume.Labels = domain.Labels{simulated.FaultLabel: "transient=2,lost=1"}
	failed := 0
	for ; failed < 10; failed++ {
		if _, err := w.client(t, w.documents).Ensure(t.Context(), volume); err == nil {
			break
		}
	}
	if failed != 3 {
		t.Errorf("calls that failed: got %d, want 3", failed)
	}
}

// TestFaultsSpareWhatExists holds that a request's undo, which powers a machine
// with the same labels, is not refused.
func TestFaultsSpareWhatExists(t *testing.T) {
	t.Parallel()
	w := open(t, 0)
	w.ensure(t, w.volume("a"))
	machine := w.machine("a", 0)
	w.ensure(t, machine)
	machine.Labels = domain.Labels{simulated.FaultLabel: "terminal,denied,capacity,quota"}
	for _, machine.On = range []bool{false, true} {
		if _, err := w.Ensure(t.Context(), machine); err != nil {
			t.Errorf("power %v: got %v, want success", machine.On, err)
		}
	}
}

func TestFaultsByRate(t *testing.T) {
	t.Parallel()
	const machines, rate = 400, 0.25
	w := open(t, 0, func(o *simulated.Options) { o.Faults = map[string]float64{"terminal@volume": rate, "stuck": 0} })
	failed := 0
	for i := range machines {
		volume := w.volume(strings.Repeat("x", i+1))
		_, err := w.Ensure(t.Context(), volume)
		_, again := w.Ensure(t.Context(), volume)
		if (err == nil) != (again == nil) {
			t.Errorf("%s: got %v, then %v, want the same fate", volume.Key.Resource, err, again)
		}
		if err != nil {
			failed++
		}
	}
	if got := float64(failed) / machines; got < rate-0.1 || got > rate+0.1 {
		t.Errorf("share of failed volumes: got %.2f, want about %.2f", got, rate)
	}
}

func TestUnknownFaultsAreLogged(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	w := open(t, 0, func(o *simulated.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	volume := w.volume("a")
	volume.Labels = domain.Labels{simulated.FaultLabel: "coffee=2"}
	w.ensure(t, volume)
	w.ensure(t, volume)
	if got := strings.Count(log.String(), "coffee=2"); got != 1 {
		t.Errorf("log: got the unknown word %d times, want 1:\n%s", got, &log)
	}
}
