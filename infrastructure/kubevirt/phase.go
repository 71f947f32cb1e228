package kubevirt

import "kbnt.dev/virtualization/domain"

// printed says what a machine that is to run, and does not, is doing, by the word that
// KubeVirt prints for it. Words not in the table mean that it is on its way.
func printed(word string) (domain.ThingPhase, bool) {
	p, known := map[string]domain.ThingPhase{
		"Stopped":                 domain.ThingPending, // not noticed yet that it is to run
		"Stopping":                domain.ThingPending,
		"Provisioning":            domain.ThingPending, // its volumes are filled
		"WaitingForVolumeBinding": domain.ThingPending,
		"WaitingForReceiver":      domain.ThingPending,
		"ErrorUnschedulable":      domain.ThingPending, // no room just now: somebody may leave
		"Starting":                domain.ThingCreating,
		"Running":                 domain.ThingStarting,
		"Migrating":               domain.ThingStarting,
		"Paused":                  domain.ThingStarting, // by somebody, or by the host: a disk is full
		"Terminating":             domain.ThingDeleting,
		"Unknown":                 domain.ThingUnknown, // its host does not answer
		"CrashLoopBackOff":        domain.ThingFailed,
		"ErrImagePull":            domain.ThingFailed,
		"ImagePullBackOff":        domain.ThingFailed,
		"DataVolumeError":         domain.ThingFailed,
		"ErrorPvcNotFound":        domain.ThingFailed,
		"ErrorDataVolumeNotFound": domain.ThingFailed,
	}[word]
	return p, known
}

// printed is what the word for a machine means. A stale one decides nothing for good:
// it is shown, and the deadline judges if no other follows.
func (vm *virtualMachine) printed() (domain.ThingPhase, bool) {
	p, known := printed(vm.Seen.Printable)
	if p == domain.ThingFailed && vm.stale() {
		p = domain.ThingPending
	}
	return p, known
}

// machinePhase says what a machine is doing, and KubeVirt's word and message for it.
// Starting means that it runs; whether it is ready, its health says. vm is there.
func machinePhase(vm *virtualMachine, vmi *instance) (phase domain.ThingPhase, reason, message string) {
	word := vm.Seen.Printable
	by := func(otherwise domain.ThingPhase) (domain.ThingPhase, string, string) {
		if p, known := vm.printed(); known && (p == domain.ThingFailed || p == domain.ThingUnknown || p == domain.ThingPending) {
			return p, word, why(vm, vmi)
		}
		return otherwise, word, why(vm, vmi)
	}
	switch {
	case vm.Meta.Deleting != nil:
		return domain.ThingDeleting, word, ""
	case vm.Spec.Run == halted && vmi != nil:
		return domain.ThingPending, "Stopping", ""
	case vm.Spec.Run == halted:
		return domain.ThingStopped, word, ""
	case vmi == nil:
		if c, failed := has(vm.Seen.Conditions, "Failure", "True"); failed && !vm.stale() {
			return domain.ThingFailed, c.Reason, c.Message
		}
		return by(domain.ThingPending)
	case vmi.Meta.Deleting != nil:
		return domain.ThingPending, "Stopping", ""
	}
	switch vmi.Seen.Phase {
	case "Running":
		return domain.ThingStarting, "Running", ""
	case "Scheduling", "Scheduled":
		return by(domain.ThingCreating)
	case "Unknown":
		return domain.ThingUnknown, "Unknown", why(vm, vmi)
	}
	return by(domain.ThingPending) // "", Pending; Succeeded and Failed are started again
}

// why is the first message of a condition that holds a machine up.
func why(vm *virtualMachine, vmi *instance) string {
	var all []condition
	if vmi != nil {
		all = append(all, vmi.Seen.Conditions...)
	}
	all = append(all, vm.Seen.Conditions...)
	for _, kind := range []string{"PodScheduled", "Synchronized", "DataVolumesReady", "Ready"} {
		if c, held := has(all, kind, "False"); held && c.Message != "" {
			return c.Message
		}
	}
	return ""
}

// importPhase says what a DataVolume shows. Words not named are stages of an import.
func importPhase(word string) domain.ThingPhase {
	switch word {
	case "Succeeded", "WaitForFirstConsumer", "PendingPopulation": // the last two wait for the machine
		return domain.ThingReady
	case "Failed":
		return domain.ThingFailed
	case "Unknown":
		return domain.ThingUnknown
	case "", "Pending":
		return domain.ThingPending
	}
	return domain.ThingCreating
}

// claimPhase says what a PersistentVolumeClaim shows.
func claimPhase(word string) domain.ThingPhase {
	switch word {
	case "Bound":
		return domain.ThingReady
	case "Lost":
		return domain.ThingFailed
	}
	return domain.ThingCreating // Pending
}
