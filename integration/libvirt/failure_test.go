//go:build integration

package libvirt

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/libvirt"
	"kbnt.dev/virtualization/infrastructure/libvirt/libvirttest"
)

// failing is a hypervisor that refuses, for good, the n-th call that makes
// something: before it has done it or after.
type failing struct {
	application.Hypervisor

	mu    sync.Mutex
	n     int // which call; 0: none
	after bool
	calls int
}

var errInjected = &domain.Error{Op: "test", Kind: domain.Invalid, Code: "injected", Detail: "a failure of the test's"}

func (f *failing) Ensure(ctx context.Context, want domain.Desired) (domain.Observation, error) {
	f.mu.Lock()
	f.calls++
	now, after := f.calls == f.n, f.after
	f.mu.Unlock()
	if now && !after {
		return domain.Observation{}, errInjected
	}
	seen, err := f.Hypervisor.Ensure(ctx, want)
	if now {
		return domain.Observation{}, errInjected
	}
	return seen, err
}

// Observe says that what was to be made has failed: the last thing a step may hear.
func (f *failing) Observe(ctx context.Context, key domain.Key) (domain.Observation, error) {
	seen, err := f.Hypervisor.Observe(ctx, key)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n < 0 && key.Kind == domain.ThingMachine && seen.Phase != domain.ThingAbsent && seen.Phase != domain.ThingDeleting {
		seen.Phase, seen.Reason = domain.ThingFailed, "Injected"
	}
	return seen, err
}

// next has the n-th call from now on fail, before or after its effect; -1: the
// machine is made, and seen to have failed.
func (f *failing) next(n int, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n, f.after, f.calls = n, after, 0
}

// TestFailureAtEveryStep fails the creation of a machine, and of a network, at every
// call that makes something, on a real host: the request fails, and the host is as
// it was, without a domain, a volume, a lease, a network or a file.
func TestFailureAtEveryStep(t *testing.T) {
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
	base := filepath.Join(s.Dir(), "images", "base.img") // boots nothing, which no step waits for here
	err = errors.Join(os.MkdirAll(filepath.Dir(base), 0o755), os.WriteFile(base, make([]byte, 1<<20), 0o644), s.Pool(t.Context(), "images"), s.Pool(t.Context(), "guests"))
	if err != nil {
		t.Fatal(err)
	}
	h, err := libvirt.New(libvirt.Options{
		Hosts:  []libvirt.Host{{Name: "kvm-1", Address: s.Address(), Type: "qemu", Pools: map[domain.DiskType]libvirt.Pool{domain.SSD: {Name: "guests"}}}},
		Images: map[string]libvirt.Image{domain.DefaultImage: {Pool: "images", Volume: "base.img"}},
		Dial:   s.Dial,
	})
	if err != nil {
		t.Fatal(err)
	}
	empty := residue(t, s, h)
	f := &failing{Hypervisor: h}
	p := start(t, f)

	newNetwork := map[string]any{"type": "CREATE_NETWORK", "specifications": map[string]any{"subnet": "10.94.2.0/24", "vlan": 305, "gateway": "10.94.2.1"}}
	for _, after := range []bool{false, true} {
		f.next(1, after)
		failed(t, p.request(t, newNetwork))
		if got := residue(t, s, h); got != empty {
			t.Errorf("a network that failed, after its effect: %t, left\n%s\nwant the host as it was\n%s", after, got, empty)
		}
	}
	f.next(0, false)
	network := p.request(t, newNetwork)
	completed(t, network)
	before := residue(t, s, h)

	newMachine := map[string]any{"type": "CREATE_VIRTUAL_MACHINE", "specifications": map[string]any{"cpu": 1, "memory": "256MiB", "disk": "1GB SSD", "network": "vlan-305"}}
	f.next(-1, false)
	failed(t, p.request(t, newMachine))
	makes := f.calls
	if makes < 2 {
		t.Fatalf("a machine took %d calls that make something, want one for its volume and one for itself at least", makes)
	}
	if got := residue(t, s, h); got != before {
		t.Errorf("a machine that was made and failed left\n%s\nwant the host as it was\n%s", got, before)
	}
	for n := 1; n <= makes; n++ {
		for _, after := range []bool{false, true} {
			f.next(n, after)
			failed(t, p.request(t, newMachine))
			if got := residue(t, s, h); got != before {
				t.Errorf("a machine that failed at call %d of %d, after its effect: %t, left\n%s\nwant the host as it was\n%s", n, makes, after, got, before)
			}
		}
	}
	f.next(0, false)
	completed(t, p.request(t, map[string]any{"type": "DELETE_NETWORK", "virtualResourceId": network.Payload.VirtualResourceID}))
	if got := residue(t, s, h); got != empty {
		t.Errorf("in the end the host has\n%s\nwant it as it was\n%s", got, empty)
	}
}

func failed(t *testing.T, e event) {
	t.Helper()
	if e.Type != "VIRTUALIZATION_FAILED" {
		t.Fatalf("event: got %s, want VIRTUALIZATION_FAILED: %s", e.Type, e.raw)
	}
}

// residue is all that a host has: what the driver lists, interfaces, files of the
// pool, and what the daemon keeps of domains and networks in its own folders. The
// daemon leaves the pid file of a network's dnsmasq that has ended; no call of its
// API reaches that.
func residue(t *testing.T, s *libvirttest.Server, h application.Hypervisor) string {
	t.Helper()
	var all []string
	for o, err := range h.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, "thing "+o.Key.Name())
	}
	for line := range strings.Lines(links(t, s)) {
		name, _, _ := strings.Cut(line, " ")
		all = append(all, "link "+name)
	}
	err := filepath.WalkDir(s.Dir(), func(path string, d os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil // gone meanwhile
		}
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, s.Dir())
		if !d.IsDir() && (strings.Contains(name, "kbnt-") || strings.HasPrefix(name, "/guests/")) && !strings.Contains(name, "/log/") && !strings.HasSuffix(name, ".pid") {
			all = append(all, "file "+name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "\n")
}
