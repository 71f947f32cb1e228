package kubevirt_test

import (
	"net/http"
	"testing"

	"kbnt.dev/virtualization/domain"
)

// TestWords maps every word that KubeVirt, CDI and Kubernetes print.
func TestWords(t *testing.T) {
	t.Parallel()
	running := fields{"phase": "Running", "nodeName": "node-1", "volumeStatus": []any{fields{"name": "root", "target": "vda"}}}
	for name, c := range map[string]struct {
		reason  string
		printed string
		run     string // default Always
		vmi     fields // its status; nil: there is none
		more    fields // of the machine's status
		want    domain.ThingPhase
		shown   string // Observation.Reason; default printed
	}{
		"new":                     {"nobody has looked at it", "", "", nil, nil, domain.ThingPending, ""},
		"Stopped":                 {"not noticed yet that it is to run", "Stopped", "", nil, nil, domain.ThingPending, ""},
		"Provisioning":            {"its volumes are filled", "Provisioning", "", nil, nil, domain.ThingPending, ""},
		"WaitingForVolumeBinding": {"it waits for its volume", "WaitingForVolumeBinding", "", nil, nil, domain.ThingPending, ""},
		"WaitingForReceiver":      {"it waits for a migration", "WaitingForReceiver", "", nil, nil, domain.ThingPending, ""},
		"ErrorUnschedulable":      {"there is no room just now", "ErrorUnschedulable", "", fields{"phase": "Scheduling"}, nil, domain.ThingPending, ""},
		"Starting":                {"the pod is being made", "Starting", "", fields{"phase": "Scheduling"}, nil, domain.ThingCreating, ""},
		"Scheduled":               {"the host has it", "Starting", "", fields{"phase": "Scheduled"}, nil, domain.ThingCreating, ""},
		"Running":                 {"on, and its guest is not seen yet", "Running", "", running, nil, domain.ThingStarting, ""},
		"Migrating":               {"it runs meanwhile", "Migrating", "", running, nil, domain.ThingStarting, "Running"},
		"Paused":                  {"on, but not healthy", "Paused", "", fields{"phase": "Running", "nodeName": "node-1", "conditions": []any{fields{"type": "Paused", "status": "True"}}}, nil, domain.ThingStarting, ""},
		"CrashLoopBackOff":        {"waiting does not help", "CrashLoopBackOff", "", nil, nil, domain.ThingFailed, ""},
		"CrashLoopBackOff again":  {"between two tries, too", "CrashLoopBackOff", "", fields{"phase": "Failed"}, nil, domain.ThingFailed, ""},
		"ErrImagePull":            {"waiting does not help", "ErrImagePull", "", fields{"phase": "Scheduling"}, nil, domain.ThingFailed, ""},
		"ImagePullBackOff":        {"waiting does not help", "ImagePullBackOff", "", fields{"phase": "Scheduling"}, nil, domain.ThingFailed, ""},
		"DataVolumeError":         {"the import failed", "DataVolumeError", "", nil, nil, domain.ThingFailed, ""},
		"ErrorPvcNotFound":        {"its volume has gone", "ErrorPvcNotFound", "", nil, nil, domain.ThingFailed, ""},
		"ErrorDataVolumeNotFound": {"its volume has gone", "ErrorDataVolumeNotFound", "", nil, nil, domain.ThingFailed, ""},
		"Failure":                 {"KubeVirt could not make what runs", "Starting", "", nil, fields{"conditions": []any{fields{"type": "Failure", "status": "True", "reason": "FailedCreate", "message": "no"}}}, domain.ThingFailed, "FailedCreate"},
		"Unknown":                 {"the host does not answer: not absent, not failed", "Unknown", "", fields{"phase": "Unknown"}, nil, domain.ThingUnknown, ""},
		"a word of tomorrow":      {"it is on its way", "Levitating", "", nil, nil, domain.ThingPending, ""},
		"ended":                   {"a machine that is to run is started again", "Starting", "", fields{"phase": "Succeeded"}, nil, domain.ThingPending, ""},
		"halted":                  {"nothing runs", "Stopped", "Halted", nil, nil, domain.ThingStopped, ""},
		"halted, new":             {"nothing will run", "", "Halted", nil, nil, domain.ThingStopped, ""},
		"halted, and runs":        {"it goes off first", "Running", "Halted", running, nil, domain.ThingPending, "Stopping"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, s := bare(t)
			w.ready(t, w.volume("a"))
			machine := w.machine("a")
			machine.On = c.run != "Halted"
			if _, err := w.Ensure(t.Context(), machine); err != nil {
				t.Fatal(err)
			}
			vm := s.objects[w.controllers.in(vmsPath)+"/"+machine.Key.Name()]
			status := fields{"printableStatus": c.printed}
			mergeInto(status, c.more)
			vm["status"] = status
			if c.vmi != nil {
				w.controllers.create(t, w.controllers.in(vmisPath), fields{"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "spec": fields{},
					"metadata": fields{"name": machine.Key.Name(), "labels": at(vm, "metadata", "labels"), "ownerReferences": ownedBy(vm)}})
				w.controllers.status(t, vmisPath, machine.Key.Name(), c.vmi)
			}
			shown := c.shown
			if shown == "" {
				shown = c.printed
			}
			o, err := w.Observe(t.Context(), machine.Key)
			if err != nil || o.Phase != c.want || o.Reason != shown {
				t.Errorf("%s: got %s (%s), %v, want %s (%s): %s", c.printed, o.Phase, o.Reason, err, c.want, shown, c.reason)
			}
		})
	}
}

// TestWhatRunsOfAnother holds that an instance of the machine's name which belongs to
// another machine is not shown as its own.
func TestWhatRunsOfAnother(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason, uid string
		exists      bool // the machine
		ours        bool // the labels of the instance
		phase       domain.ThingPhase
		ensure      string
	}{
		"of the one before":               {"it still goes", "before", true, true, domain.ThingPending, ""},
		"of the one before, which went":   {"the name is not free", "before", false, true, domain.ThingDeleting, "unavailable/deleting"},
		"of somebody":                     {"it is not touched", "theirs", false, false, domain.ThingAbsent, "conflict/foreign"},
		"of somebody, beside the machine": {"it is not shown", "theirs", true, false, domain.ThingPending, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, s := bare(t)
			w.ready(t, w.volume("a"))
			machine := w.machine("a")
			w.ready(t, machine)
			vm, vmi := w.controllers.in(vmsPath)+"/"+machine.Key.Name(), w.controllers.in(vmisPath)+"/"+machine.Key.Name()
			at(s.objects[vmi], "metadata", "ownerReferences").([]any)[0].(fields)["uid"] = c.uid
			if !c.ours {
				delete(s.objects[vmi]["metadata"].(fields), "labels")
			}
			if !c.exists {
				delete(s.objects, vm)
			}
			if o, err := w.Observe(t.Context(), machine.Key); err != nil || o.Phase != c.phase {
				t.Errorf("observe: got %s, %v, want %s: %s", o.Phase, err, c.phase, c.reason)
			}
			if _, err := w.Ensure(t.Context(), machine); verdict(err) != c.ensure {
				t.Errorf("ensure: got %v, want %q: %s", err, c.ensure, c.reason)
			}
		})
	}
}

func TestWordsOfVolumes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		word    string
		imports bool
		class   domain.DiskType
		want    domain.ThingPhase
	}{
		{"", true, domain.SSD, domain.ThingPending},
		{"Pending", true, domain.SSD, domain.ThingPending},
		{"WaitForFirstConsumer", true, domain.SSD, domain.ThingReady},
		{"PendingPopulation", true, domain.SSD, domain.ThingReady},
		{"PVCBound", true, domain.SSD, domain.ThingCreating},
		{"ImportScheduled", true, domain.SSD, domain.ThingCreating},
		{"ImportInProgress", true, domain.SSD, domain.ThingCreating},
		{"Paused", true, domain.SSD, domain.ThingCreating},
		{"Succeeded", true, domain.SSD, domain.ThingReady},
		{"Failed", true, domain.SSD, domain.ThingFailed},
		{"Unknown", true, domain.SSD, domain.ThingUnknown},
		{"Pending", false, domain.SSD, domain.ThingCreating}, // its class binds at once
		{"Pending", false, domain.HDD, domain.ThingReady},    // its class waits for a machine
		{"Pending", false, domain.NVME, domain.ThingCreating},
		{"Bound", false, domain.SSD, domain.ThingReady},
		{"Lost", false, domain.SSD, domain.ThingFailed},
	} {
		w, _ := bare(t, withoutClass)
		volume, path := w.volume("a"), dvsPath
		volume.Spec.Volume.Type = c.class
		if !c.imports {
			volume.Image, path = "", claimsPath
		}
		if _, err := w.Ensure(t.Context(), volume); err != nil {
			t.Fatal(err)
		}
		w.controllers.status(t, path, volume.Key.Name(), fields{"phase": c.word})
		if o, err := w.Observe(t.Context(), volume.Key); err != nil || o.Phase != c.want {
			t.Errorf("volume of %s, image %v, %q: got %s, %v, want %s", c.class, c.imports, c.word, o.Phase, err, c.want)
		}
	}
}

// TestDataVolumeLeavesItsClaim holds that a volume has gone when its claim has.
func TestDataVolumeLeavesItsClaim(t *testing.T) {
	t.Parallel()
	w, s := bare(t)
	volume := w.volume("a")
	w.ready(t, volume)
	delete(s.objects, w.controllers.in(dvsPath)+"/"+volume.Key.Name())
	if o, err := w.Observe(t.Context(), volume.Key); err != nil || o.Phase != domain.ThingDeleting {
		t.Errorf("observe: got %s, %v, want Deleting while the claim is there", o.Phase, err)
	}
	if _, err := w.Ensure(t.Context(), volume); verdict(err) != "unavailable/deleting" {
		t.Errorf("ensure: got %v, want unavailable/deleting", err)
	}
	s.asked = nil
	if o, err := w.Delete(t.Context(), volume.Key); err != nil || o.Phase != domain.ThingDeleting {
		t.Errorf("delete: got %s, %v, want Deleting", o.Phase, err)
	}
	for _, call := range s.asked {
		if call[:len(http.MethodGet)] != http.MethodGet {
			t.Errorf("delete: got %s, want nothing touched: the claim is CDI's", call)
		}
	}
}
