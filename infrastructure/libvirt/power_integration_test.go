//go:build integration

package libvirt_test

import (
	"net/netip"
	"os"
	"testing"
	"time"

	rpc "github.com/digitalocean/go-libvirt"

	"kbnt.dev/virtualization/domain"
)

// wantedOn is a network, a root volume and a machine on a host.
func (w opened) wantedOn(host, resource string) (network, root, machine domain.Desired) {
	spec := w.Networks[0]
	network = domain.Desired{Key: domain.Key{Resource: resource, Kind: domain.ThingNetwork}, VLAN: spec.VLAN, Gateway: spec.Gateway, Spec: domain.Specification{Network: &spec}}
	root = domain.Desired{Key: domain.Key{Resource: resource, Kind: domain.ThingVolume}, Host: host, Image: w.Machine.Image, Spec: domain.Specification{Volume: &domain.VolumeSpec{Size: domain.GiB, Type: domain.SSD}}}
	machine = domain.Desired{Key: domain.Key{Resource: resource, Kind: domain.ThingMachine}, VirtualID: "VM-0909A693", Host: host, On: true, Root: root.Key, Network: network.Key.Name(), VLAN: spec.VLAN, Gateway: spec.Gateway,
		Address: netip.PrefixFrom(spec.Gateway.Next(), spec.Subnet.Bits()), Spec: domain.Specification{Machine: &w.Machine}}
	return network, root, machine
}

// running makes a machine, and returns libvirt's handle of it.
func (w opened) running(t *testing.T, resource string) (domain.Desired, rpc.Domain) {
	t.Helper()
	network, root, machine := w.wantedOn("kvm-1", resource)
	for _, want := range []domain.Desired{network, root, machine} {
		if _, err := w.Hypervisor.Ensure(t.Context(), want); err != nil {
			t.Fatal(err)
		}
	}
	made, err := w.rpc.DomainLookupByName(machine.Key.Name())
	if err != nil {
		t.Fatal(err)
	}
	return machine, made
}

// TestStopTakenBack holds that a machine whose stop was taken back is not ready while its guest may
// still obey, is ready when the guest did not, and is asked anew at the next stop.
func TestStopTakenBack(t *testing.T) {
	w := openDefault(t, unprivileged(t))
	now := time.Now()
	o := w.options
	o.Now = func() time.Time { return now }
	h := w.driver(t, o)
	on, made := w.running(t, "taken-back")
	off := on
	off.On = false
	ensure := func(want domain.Desired, phase domain.ThingPhase, reason string) {
		t.Helper()
		if seen, err := h.Ensure(t.Context(), want); err != nil || seen.Phase != phase || reason != "" && seen.Reason != reason {
			t.Fatalf("ensure(on: %v): got %s %s, %v, want %s %s", want.On, seen.Phase, seen.Reason, err, phase, reason)
		}
	}
	ensure(off, domain.ThingStopped, "")
	if err := w.rpc.DomainCreate(made); err != nil { // stands for a guest that has not obeyed yet
		t.Fatal(err)
	}
	ensure(on, domain.ThingStarting, "ShuttingDown")
	if seen, err := h.Observe(t.Context(), on.Key); err != nil || seen.Phase != domain.ThingStarting || len(seen.Checks) > 0 {
		t.Errorf("observe: got %s with %d checks, %v, want Starting, not examined", seen.Phase, len(seen.Checks), err)
	}
	now = now.Add(time.Minute)
	ensure(on, domain.ThingReady, "")
	if starts, err := w.rpc.DomainGetAutostart(made); err != nil || starts != 1 {
		t.Errorf("starts with its host: got %d, %v, want 1", starts, err)
	}
	now = now.Add(time.Hour)
	ensure(off, domain.ThingStopped, "")
	if _, reason, err := w.rpc.DomainGetState(made, 0); err != nil || reason != int32(rpc.DomainShutoffShutdown) {
		t.Errorf("the next stop: off for reason %d, %v, want that the guest was asked", reason, err)
	}

	// Off when the stop is taken back: it is started, and forgets the stop.
	ensure(on, domain.ThingStarting, "")
	ensure(on, domain.ThingReady, "")
}

// TestCrashed holds that a machine that crashed is Failed while it should be on, and Stopped when
// it is switched off.
func TestCrashed(t *testing.T) {
	w := openDefault(t, unprivileged(t))
	want, made := w.running(t, "crashed")
	const crash = 1 // VIR_DUMP_CRASH
	if err := w.rpc.DomainCoreDump(made, os.DevNull, crash); err != nil {
		t.Fatal(err)
	}
	if seen, err := w.Hypervisor.Observe(t.Context(), want.Key); err != nil || seen.Phase != domain.ThingFailed {
		t.Errorf("observe one that should be on: got %s %s, %v, want Failed", seen.Phase, seen.Reason, err)
	}
	off := want
	off.On = false
	if seen, err := w.Hypervisor.Ensure(t.Context(), off); err != nil || seen.Phase != domain.ThingStopped {
		t.Errorf("ensure off: got %s %s, %v, want Stopped", seen.Phase, seen.Reason, err)
	}
	if seen, err := w.Hypervisor.Observe(t.Context(), want.Key); err != nil || seen.Phase != domain.ThingStopped {
		t.Errorf("observe one that should be off: got %s %s, %v, want Stopped", seen.Phase, seen.Reason, err)
	}
	if starts, err := w.rpc.DomainGetAutostart(made); err != nil || starts != 0 {
		t.Errorf("starts with its host: got %d, %v, want 0", starts, err)
	}
	if seen, err := w.Hypervisor.Ensure(t.Context(), want); err != nil || seen.Phase != domain.ThingStarting {
		t.Errorf("ensure on: got %s %s, %v, want Starting", seen.Phase, seen.Reason, err)
	}
}
