package simulated

import (
	"time"

	"kbnt.dev/virtualization/domain"
)

// ours marks what this product made. A document under the name of one of our keys
// without it belongs to somebody else.
const ours = "kbnt"

// never is later than anything, and still a time that JSON can hold.
var never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// thing is the document of one machine, volume or network. One that is not made
// only counts the faults of the attempts to make it.
type thing struct {
	Owner   string     `json:"owner"`
	Key     domain.Key `json:"key"`
	ID      string     `json:"id,omitempty"`
	Hash    string     `json:"hash,omitempty"`
	Host    string     `json:"host,omitempty"`
	Network string     `json:"network,omitempty"`
	Address string     `json:"address,omitempty"`
	Memory  domain.MiB `json:"memoryMiB,omitempty"`
	Fault   string     `json:"fault,omitempty"`
	Tried   tried      `json:"tried,omitzero"`
	On      bool       `json:"on,omitempty"`
	Partial bool       `json:"partial,omitempty"` // failed when it was switched on
	Created time.Time  `json:"created,omitzero"`  // zero: not made
	Due     time.Time  `json:"due,omitzero"`      // what it needs is there
	Made    time.Time  `json:"made,omitzero"`
	Powered time.Time  `json:"powered,omitzero"`
	Guest   time.Time  `json:"guest,omitzero"`
	Ready   time.Time  `json:"ready,omitzero"`
	Off     time.Time  `json:"off,omitzero"`
	Gone    time.Time  `json:"gone,omitzero"` // zero: not deleted
}

// tried counts the faults that were injected.
type tried struct {
	Transient int `json:"transient,omitempty"`
	Lost      int `json:"lost,omitempty"`
	Delete    int `json:"delete,omitempty"`
}

func (t *thing) missing() bool { return t.Owner == "" }
func (t *thing) foreign() bool { return t.Owner != "" && t.Owner != ours }
func (t *thing) made() bool    { return !t.Created.IsZero() }

// gone reports that the thing was deleted and its time is over.
func (t *thing) gone(now time.Time) bool { return !t.Gone.IsZero() && !now.Before(t.Gone) }

// phase is a function of the times in the document and of now. until is when the
// next look makes sense; zero or never when it does not.
func (t *thing) phase(now time.Time) (p domain.ThingPhase, reason string, until time.Time) {
	before := now.Before
	switch {
	case t.missing(), t.gone(now):
		return domain.ThingAbsent, "", time.Time{}
	case t.foreign():
		return domain.ThingAbsent, "Foreign", time.Time{}
	case !t.Gone.IsZero():
		return domain.ThingDeleting, "Deleting", t.Gone
	case !t.made():
		return domain.ThingAbsent, "", time.Time{}
	case before(t.Due):
		return domain.ThingPending, "WaitingForVolume", t.Ready
	case before(t.Made):
		return domain.ThingCreating, "Creating", t.Ready
	case t.Key.Kind != domain.ThingMachine:
		return domain.ThingReady, "", time.Time{}
	case !t.On && before(t.Off):
		return domain.ThingPending, "Stopping", t.Off
	case !t.On:
		return domain.ThingStopped, "", time.Time{}
	case before(t.Off):
		return domain.ThingPending, "Stopping", t.Ready
	case t.Partial && !before(t.Powered):
		return domain.ThingFailed, "CrashLoopBackOff", time.Time{}
	case before(t.Ready):
		return domain.ThingStarting, "Booting", t.Ready
	}
	return domain.ThingReady, "Running", time.Time{}
}

// make sets the times of a new thing whose needs are there from due on.
func (h *Hypervisor) make(t *thing, now, due time.Time, on bool, f faults) {
	name := t.Key.Name()
	t.Created, t.Due = now, later(now, due)
	takes := h.latency.Volume
	switch t.Key.Kind {
	case domain.ThingNetwork:
		takes = h.latency.Network
	case domain.ThingMachine:
		takes = h.latency.Start
	}
	t.Made = after(t.Due, f.slow+h.took(takes, name, "made"))
	if t.Key.Kind != domain.ThingMachine {
		if f.stuck {
			t.Made = never
		}
		t.Ready = t.Made
		return
	}
	t.On, t.Ready = on, t.Made
	if on {
		h.boot(t, t.Made, f)
	}
}

// boot sets the times of a machine that is switched on at a time.
func (h *Hypervisor) boot(t *thing, powered time.Time, f faults) {
	boot := h.took(h.latency.Boot, t.Key.Name(), "boot")
	t.Powered, t.Partial = powered, f.partial
	t.Guest = after(powered, time.Duration(float64(boot)*(0.6+0.2*draw(t.Key.Name(), "guest"))))
	t.Ready = after(powered, boot)
	if f.stuck {
		t.Guest, t.Ready = never, never
	}
}

// power switches a machine, if it is not so already, and reports whether it did.
// A change waits for the one before it.
func (h *Hypervisor) power(t *thing, on bool, now time.Time, f faults) bool {
	if t.Key.Kind != domain.ThingMachine || t.On == on {
		return false
	}
	t.On = on
	free := later(later(now, t.Made), t.Off)
	if on {
		h.boot(t, after(free, f.slow+h.took(h.latency.Start, t.Key.Name(), "start")), f)
	} else {
		t.Off = after(free, f.slow+h.took(h.latency.Stop, t.Key.Name(), "stop"))
	}
	return true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// after adds, and stays at never.
func after(t time.Time, d time.Duration) time.Time {
	if !t.Before(never) {
		return never
	}
	return t.Add(d)
}
