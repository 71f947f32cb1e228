package domain

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Resource is what exists, or is to exist, for a tenant.
type Resource struct {
	UID        string // derived from the creating request, never reused
	VirtualID  string // "VM-0909A693"
	DisplayID  string // "VM-KBNT-20250830-001"; machines only
	Tenant     string
	Owner      string // user it was made for
	ClientName string // the client's own name (resourceId), unique among the live; may be empty
	Kind       ResourceKind
	CreatedBy  string // messageId of the creating request; the key of all its events
	Spec       Specification
	Labels     Labels // of the creating request
	NetworkUID string // a machine's network, when it is one of the tenant's own

	State State
	Live  bool   // counts against quota and budget; true from admission to the observed end
	Cost  Money  // per hour
	Busy  string // messageId of the unfinished request that works on it; empty when settled
	Lease Lease

	Placement Placement
	Facts     Facts

	CreatedAt time.Time
	UpdatedAt time.Time
}

// Lease keeps two deliveries from working on one resource at a time.
type Lease struct {
	Holder string    // one delivery of one instance
	Epoch  int64     // grows with every lease: the fence of every later write
	Until  time.Time // held before, free from then on
}

// Placement is where a resource was put, from the claims made for it.
type Placement struct {
	Host    string       `json:"host,omitempty"`    // empty when the hypervisor places by itself
	Why     string       `json:"why,omitempty"`     // "most free memory of 3 hosts"
	Segment string       `json:"segment,omitempty"` // "bridged", "vlan-100"
	VLAN    int          `json:"vlan,omitempty"`
	Subnet  netip.Prefix `json:"subnet,omitzero"`
	Address netip.Prefix `json:"address,omitzero"` // 198.18.100.2/24
	Gateway netip.Addr   `json:"gateway,omitzero"`
}

// Facts is what was observed of a resource when it became ready.
type Facts struct {
	Driver    string             `json:"driver,omitempty"` // "simulated", "kubevirt", "libvirt"
	Host      string             `json:"host,omitempty"`
	Address   string             `json:"address,omitempty"`   // with prefix length where known
	Endpoints map[string]string  `json:"endpoints,omitempty"` // ssh, http, management
	Baselines map[string]float64 `json:"baselines,omitempty"` // "cpu_ratio" 0.02, "memory_bytes", "disk_iops"
	Checks    []HealthCheck      `json:"healthChecks,omitempty"`
	Timings   Timings            `json:"timings,omitzero"`
}

// Timings splits the making of a machine: provisioning, then boot, and startup
// is the last part of boot. Provisioning and boot do not overlap.
type Timings struct {
	Provisioning time.Duration `json:"provisioning"` // first attempt until the machine was switched on
	Boot         time.Duration `json:"boot"`         // switched on until ready
	Startup      time.Duration `json:"startup"`      // guest reachable until its service answers
}

// HealthCheck is one of the five looks at a machine before it is called ready.
type HealthCheck struct {
	Name      string `json:"name"`
	Passed    bool   `json:"passed"`
	Detail    string `json:"detail,omitempty"`
	Simulated bool   `json:"simulated,omitempty"` // nothing real was asked
}

// Names of the five health checks.
const (
	CheckHypervisor = "hypervisor-state"
	CheckDisk       = "disk-attached"
	CheckAddress    = "address-assigned"
	CheckSSH        = "ssh-port"
	CheckGuest      = "guest-service"
)

// Clone returns a copy that shares nothing.
func (f Facts) Clone() Facts {
	f.Endpoints, f.Baselines, f.Checks = maps.Clone(f.Endpoints), maps.Clone(f.Baselines), slices.Clone(f.Checks)
	return f
}

// Clone returns a copy that shares nothing.
func (r *Resource) Clone() *Resource {
	if r == nil {
		return nil
	}
	c := *r
	c.Spec, c.Labels, c.Facts = r.Spec.Clone(), r.Labels.Clone(), r.Facts.Clone()
	return &c
}

// Acquire takes the lease for holder until the given time and returns its
// epoch. It reports false, and changes nothing, while somebody holds it.
func (r *Resource) Acquire(holder string, now, until time.Time) (epoch int64, ok bool) {
	if r.Lease.Until.After(now) {
		return 0, false
	}
	r.Lease = Lease{Holder: holder, Epoch: r.Lease.Epoch + 1, Until: until}
	return r.Lease.Epoch, true
}

// Holds reports whether the lease of that epoch is still the newest. A holder
// whose time ran out still holds it until another takes it: nothing was done in
// between, so its writes are safe.
func (r *Resource) Holds(epoch int64) bool { return r.Lease.Epoch == epoch && epoch > 0 }

// Release frees the lease of that epoch now; another's is left alone.
func (r *Resource) Release(epoch int64, now time.Time) {
	if r.Holds(epoch) && r.Lease.Until.After(now) {
		r.Lease.Until = now
	}
}

// Settle writes what the observed end of a request means for its resource:
// nobody works on it, and when nothing is left of it, it is not live any more.
// shown is the state to record: the one observed, or Failed for a resource
// whose creation was undone.
func (r *Resource) Settle(shown State, exists bool, now time.Time) {
	r.State, r.Busy, r.Live = shown, "", exists
	r.Lease.Until, r.UpdatedAt = now, now
}
