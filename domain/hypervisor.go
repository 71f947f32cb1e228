package domain

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

// ThingKind is what a hypervisor makes.
type ThingKind string

const (
	ThingMachine ThingKind = "machine"
	ThingVolume  ThingKind = "volume"
	ThingNetwork ThingKind = "network"
)

// Key names one thing on a hypervisor. It is derived from the resource that it
// belongs to, so a repeated delivery finds what an earlier one made. Keys are
// never reused.
type Key struct {
	Resource string    // Resource.UID
	Kind     ThingKind //
	Item     int       // 0 for the only one of its kind
}

// Name is unique, at most 63 characters of a-z, 0-9 and "-", and begins with a
// letter (RFC 1123): "kbnt-volume-0-6a08081c-...".
func (k Key) Name() string {
	return "kbnt-" + string(k.Kind) + "-" + strconv.Itoa(k.Item) + "-" + k.Resource
}

// Short is a hash of Name in 12 hex digits, for names of interfaces.
func (k Key) Short() string {
	sum := sha1.Sum([]byte(k.Name()))
	return hex.EncodeToString(sum[:6])
}

// UUID is the UUIDv5 of Name.
func (k Key) UUID() string { return derive(k.Name()) }

// MAC is a hardware address of the prefix that QEMU guests use (52:54:00).
func (k Key) MAC() string {
	s := k.Short()
	return fmt.Sprintf("52:54:00:%s:%s:%s", s[0:2], s[2:4], s[4:6])
}

// Desired is what a hypervisor is to make sure of.
type Desired struct {
	Key       Key
	Tenant    string
	VirtualID string
	Labels    Labels
	Host      string // where; empty when the hypervisor places by itself
	On        bool   // machines: power. Not part of the hash
	Network   string // machines: name of the segment or of the tenant's network thing
	VLAN      int    //
	Address   netip.Prefix
	Gateway   netip.Addr
	Root      Key    // machines: the volume to boot from
	Image     string `json:",omitempty"` // root volumes: what is on it to begin with, a name in the operator's catalogue; empty: nothing
	Spec      Specification
}

// Hash identifies what was asked, without power and labels: the same key with
// another hash is a conflict.
func (d Desired) Hash() string {
	d.On, d.Labels = false, nil
	b, _ := json.Marshal(d) // plain data: cannot fail
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// ThingPhase is what a hypervisor shows of a thing.
type ThingPhase string

const (
	ThingAbsent   ThingPhase = "Absent"
	ThingPending  ThingPhase = "Pending"  // accepted, waits for room or for another thing
	ThingCreating ThingPhase = "Creating" // being made
	ThingStarting ThingPhase = "Starting" // on, not ready yet
	ThingReady    ThingPhase = "Ready"    // a machine: on and healthy; else: usable
	ThingStopped  ThingPhase = "Stopped"  // a machine: exists, off
	ThingFailed   ThingPhase = "Failed"   // will not become ready by waiting
	ThingDeleting ThingPhase = "Deleting"
	ThingUnknown  ThingPhase = "Unknown" // the hypervisor does not answer for it; never taken for Absent
)

// Observation is what was seen of one thing.
type Observation struct {
	Key        Key
	Phase      ThingPhase
	Reason     string // the hypervisor's word, for the operator: "ErrorUnschedulable"
	Message    string
	ProviderID string // the hypervisor's own id; stays the same while the thing exists
	SpecHash   string // Desired.Hash of what was made
	Host       string
	Addresses  []netip.Addr
	Console    string             // URL of a console, if there is one
	Ports      map[string]int     // services the guest offers by name: "ssh" 22, "http" 80
	Baselines  map[string]float64 // measured at rest
	Checks     []HealthCheck      // machines: the five
	CreatedAt  time.Time          // the hypervisor's clock; zero when unknown, as are the next three
	PoweredAt  time.Time          // last switched on
	GuestAt    time.Time          // guest first reachable since then
	ReadyAt    time.Time          // ready since then
	RetryAfter time.Duration      // when looking again makes sense; 0 when unknown
}
