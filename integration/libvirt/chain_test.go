//go:build integration

package libvirt

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/libvirt"
	"kbnt.dev/virtualization/infrastructure/libvirt/libvirttest"
)

// TestChain follows a network and a machine on it from the request to the page that the machine
// serves, and to a host on which nothing is left of them.
func TestChain(t *testing.T) {
	s, err := libvirttest.QEMU()
	if errors.Is(err, libvirttest.ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	guest, err := libvirttest.NewGuest(t.Context(), s.Dir(), filepath.Join(cache, "kbnt-guest"))
	if errors.Is(err, libvirttest.ErrMissing) {
		t.Skip(err)
	}
	if err == nil {
		err = s.Pool(t.Context(), "guests")
	}
	if err != nil {
		t.Fatal(err)
	}
	before := links(t, s)
	h, err := libvirt.New(libvirt.Options{
		Hosts: []libvirt.Host{{Name: "kvm-1", Address: s.Address(), Type: "qemu", Pools: map[domain.DiskType]libvirt.Pool{domain.SSD: {Name: "guests"}}}},
		Images: map[string]libvirt.Image{domain.DefaultImage: {
			Kernel: guest.Kernel, Initrd: guest.Initrd, Cmdline: guest.Args, Ports: map[string]int{"ssh": 22, "http": 80},
		}},
		Dial: s.Dial,
	})
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, h)

	network := p.request(t, map[string]any{"type": "CREATE_NETWORK", "specifications": map[string]any{"subnet": "10.94.1.0/24", "vlan": 304, "gateway": "10.94.1.1"}})
	completed(t, network)
	began := time.Now()
	machine := p.request(t, map[string]any{"type": "CREATE_VIRTUAL_MACHINE", "specifications": map[string]any{"cpu": 1, "memory": "256MiB", "disk": "20GB SSD", "network": "vlan-304"}})
	completed(t, machine)
	t.Logf("from the request to its event: %s", time.Since(began).Round(time.Millisecond))
	address := machine.Payload.Endpoints["http"]
	body := get(t, s, address)
	t.Logf("to the answer of %s: %s\n%s", address, time.Since(began).Round(time.Millisecond), body)
	if want := "hostname " + strings.ToLower(machine.Payload.VirtualResourceID); !strings.Contains(body, want) || !strings.Contains(body, "sectors 41943040") {
		t.Errorf("page of the machine: got %q, want %q and 41943040 sectors in it; the event was %s", body, want, machine.raw)
	}

	completed(t, p.request(t, map[string]any{"type": "DELETE_VIRTUAL_MACHINE", "virtualResourceId": machine.Payload.VirtualResourceID}))
	completed(t, p.request(t, map[string]any{"type": "DELETE_NETWORK", "virtualResourceId": network.Payload.VirtualResourceID}))
	for o, err := range h.List(t.Context()) {
		t.Errorf("left on the host: %s, %v", o.Key.Name(), err)
	}
	if files, err := os.ReadDir(filepath.Join(s.Dir(), "guests")); err != nil || len(files) > 0 {
		t.Errorf("left in the pool: %v, %v", files, err)
	}
	if after := links(t, s); after != before {
		t.Errorf("links: got %s, want them as they were, %s", after, before)
	}
}

func completed(t *testing.T, e event) {
	t.Helper()
	if e.Type != "VIRTUALIZATION_COMPLETED" {
		t.Fatalf("event: got %s (%s), want VIRTUALIZATION_COMPLETED: %s", e.Type, e.Payload.Reason, e.raw)
	}
}

// links are the network interfaces of the host, without their counters.
func links(t *testing.T, s *libvirttest.Server) string {
	t.Helper()
	out, err := s.Output(t.Context(), "ip", "-br", "link")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// get asks a machine for its page, from inside the host's network.
func get(t *testing.T, s *libvirttest.Server, address string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	client := http.Client{Transport: &http.Transport{DialContext: s.Dial, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatalf("ask the machine at %s: %v", address, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
