//go:build integration

package libvirt_test

import (
	"strings"
	"testing"
	"time"

	rpc "github.com/digitalocean/go-libvirt"

	"kbnt.dev/virtualization/domain"
)

// TestReservationHalfLost has a network defined again, without reservations, behind the back of a
// machine, as the slower of two callers that bring it to a host does.
func TestReservationHalfLost(t *testing.T) {
	w := openDefault(t, unprivileged(t))
	want, _ := w.running(t, "half-lost")
	w.redefine(t, want.Network)
	w.deletes(t, want)
}

// TestReservationHalfLostQEMU does the same on real networks, where both documents can be read.
func TestReservationHalfLostQEMU(t *testing.T) {
	q := qemu(t)
	q.options.Dial = everybody
	w := opened{world: q, World: q.openQEMU(t)}
	want, made := w.running(t, "half-lost")
	for o, err := range w.Hypervisor.List(t.Context()) {
		if err != nil || time.Since(o.CreatedAt) > time.Hour { // the file of a volume says when
			t.Errorf("list: got %s made at %s, %v, want it made now", o.Key.Name(), o.CreatedAt, err)
		}
	}
	w.redefine(t, want.Network)
	if got := w.reserved(t, want.Network); got != [2]int{1, 0} {
		t.Fatalf("reservations in the running and in the defined network: got %v, want 1 and 0", got)
	}
	// As it was when the machine was prepared and not switched on.
	if err := w.rpc.DomainDestroy(made); err != nil {
		t.Fatal(err)
	}
	document, err := w.rpc.DomainGetMetadata(made, 2, rpc.OptString{namespace}, 2)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(document, ` powered="`)
	_, after, _ := strings.Cut(rest, `"`)
	if err := w.rpc.DomainSetMetadata(made, 2, rpc.OptString{before + after}, rpc.OptString{"kbnt"}, rpc.OptString{namespace}, rpc.DomainAffectConfig); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Hypervisor.Ensure(t.Context(), want); err != nil {
		t.Errorf("ensure: %v", err)
	}
	if got := w.reserved(t, want.Network); got != [2]int{1, 1} {
		t.Errorf("reservations when it is made again: got %v, want 1 and 1", got)
	}
	w.redefine(t, want.Network)
	w.deletes(t, want)
	if got := w.reserved(t, want.Network); got != [2]int{} {
		t.Errorf("reservations when the machine is deleted: got %v, want none", got)
	}
}

const namespace = "https://kbnt.dev/virtualization/libvirt/1"

func (w opened) deletes(t *testing.T, want domain.Desired) {
	t.Helper()
	for range 2 {
		if _, err := w.Hypervisor.Delete(t.Context(), want.Key); err != nil {
			t.Errorf("delete: %v", err)
		}
	}
}

// redefine defines a network again, without its reservations. What runs stays as it is.
func (w opened) redefine(t *testing.T, name string) {
	t.Helper()
	network, err := w.rpc.NetworkLookupByName(name)
	if err != nil {
		t.Fatal(err)
	}
	document, err := w.rpc.NetworkGetXMLDesc(network, 0)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(document, "<dhcp>")
	_, after, _ := strings.Cut(rest, "</dhcp>")
	if !found {
		t.Fatalf("%s: got no reservation, want one", document)
	}
	if _, err := w.rpc.NetworkDefineXML(before + after); err != nil {
		t.Fatal(err)
	}
}

// reserved counts the reservations in what runs and in what is defined.
func (w opened) reserved(t *testing.T, name string) (n [2]int) {
	t.Helper()
	network, err := w.rpc.NetworkLookupByName(name)
	if err != nil {
		t.Fatal(err)
	}
	for flags := range uint32(2) {
		document, err := w.rpc.NetworkGetXMLDesc(network, flags)
		if err != nil {
			t.Fatal(err)
		}
		n[flags] = strings.Count(document, "<host ")
	}
	return n
}
