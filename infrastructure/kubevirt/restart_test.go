package kubevirt_test

import (
	"testing"

	"kbnt.dev/virtualization/domain"
)

// TestRestartOfACrashLoop holds that a machine which is started again is not called
// Failed, which is final, by what KubeVirt printed before anybody looked at the start.
func TestRestartOfACrashLoop(t *testing.T) {
	t.Parallel()
	w, s := bare(t)
	w.ready(t, w.volume("a"))
	machine := w.machine("a")
	w.ready(t, machine)
	name := machine.Key.Name()
	delete(s.objects, w.controllers.in(vmisPath)+"/"+name) // between two tries
	generation := func() int { return number(at(s.objects[w.controllers.in(vmsPath)+"/"+name], "metadata", "generation")) }
	looked := func() { // KubeVirt notes the generation that it looked at
		w.controllers.status(t, vmsPath, name, fields{"printableStatus": "CrashLoopBackOff", "desiredGeneration": generation(),
			"conditions": []fields{{"type": "Failure", "status": "True", "reason": "FailedCreate", "message": "no"}}})
	}
	see := func(when string, want domain.ThingPhase) {
		t.Helper()
		if o, err := w.Observe(t.Context(), machine.Key); err != nil || o.Phase != want {
			t.Errorf("observe %s: got %s (%s), %v, want %s", when, o.Phase, o.Reason, err, want)
		}
		for o, err := range w.List(t.Context()) {
			if o.Key == machine.Key && (err != nil || o.Phase != want) {
				t.Errorf("list %s: got %s (%s), %v, want %s", when, o.Phase, o.Reason, err, want)
			}
		}
	}
	looked()
	see("while it crashes", domain.ThingFailed)

	off := machine
	off.On = false
	if o, err := w.Ensure(t.Context(), off); err != nil || o.Phase != domain.ThingStopped {
		t.Fatalf("off: got %s (%s), %v, want Stopped", o.Phase, o.Reason, err)
	}
	for _, when := range []string{"on", "on, delivered again"} {
		if o, err := w.Ensure(t.Context(), machine); err != nil || o.Phase != domain.ThingPending {
			t.Errorf("%s: got %s (%s), %v, want Pending: KubeVirt has not looked yet", when, o.Phase, o.Reason, err)
		}
	}
	see("before KubeVirt looked", domain.ThingPending)
	looked()
	see("when it crashed again", domain.ThingFailed)
}

// TestPowerIsNotJudgedByTheStatusOfBefore is the same for a KubeVirt that notes no
// generation: the answer to the change itself shows the status of before.
func TestPowerIsNotJudgedByTheStatusOfBefore(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"CrashLoopBackOff", "ErrImagePull", "ErrorPvcNotFound", "Unknown"} {
		w, _ := bare(t)
		w.ready(t, w.volume("a"))
		machine := w.machine("a")
		off := machine
		off.On = false
		if _, err := w.Ensure(t.Context(), off); err != nil {
			t.Fatal(err)
		}
		w.controllers.status(t, vmsPath, machine.Key.Name(), fields{"printableStatus": word})
		if o, err := w.Ensure(t.Context(), machine); err != nil || o.Phase != domain.ThingPending || o.Reason != "" {
			t.Errorf("on after %s: got %s (%s), %v, want Pending without a word", word, o.Phase, o.Reason, err)
		}
	}
}
