package libvirt_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/libvirt"
)

// Procedures of the protocol that making a volume takes.
const (
	procOpen          = 1
	procClose         = 2
	procAuthList      = 66
	procNetworkByName = 46
	procPoolByName    = 84
	procVolCreate     = 93
	procVolList       = 282
)

// fakeHost answers the calls that making a volume takes, with nothing in its pool.
// What libvirt itself says is the integration test's; here an answer can be lost,
// or withheld, at a certain call.
type fakeHost struct {
	lose, withhold uint32 // procedure
	refuse         map[uint32]uint32
	volume         string // that the pool holds; empty: none

	mu    sync.Mutex
	calls []uint32
}

func (f *fakeHost) connect(context.Context, libvirt.Host) (net.Conn, error) {
	ours, theirs := net.Pipe()
	go f.serve(theirs)
	return ours, nil
}

func (f *fakeHost) serve(conn net.Conn) {
	defer conn.Close()
	for {
		var header [28]byte
		if _, err := io.ReadFull(conn, header[:]); err != nil {
			return
		}
		payload := make([]byte, binary.BigEndian.Uint32(header[:])-28)
		if _, err := io.ReadFull(conn, payload); err != nil {
			return
		}
		procedure := binary.BigEndian.Uint32(header[12:])
		f.mu.Lock()
		f.calls = append(f.calls, procedure)
		f.mu.Unlock()
		switch procedure {
		case f.lose:
			return
		case f.withhold:
			continue
		}
		status, reply := uint32(0), f.reply(procedure)
		if code, ok := f.refuse[procedure]; ok {
			status, reply = 1, words(code, 0, 1, 0, 2)
		}
		binary.BigEndian.PutUint32(header[:], uint32(28+len(reply)))
		binary.BigEndian.PutUint32(header[16:], 1) // a reply
		binary.BigEndian.PutUint32(header[24:], status)
		if _, err := conn.Write(append(header[:], reply...)); err != nil {
			return
		}
	}
}

func (f *fakeHost) reply(procedure uint32) []byte {
	name := append(words(4), "pool"...)
	switch procedure {
	case procAuthList:
		return words(1, 0)
	case procPoolByName:
		return append(name, make([]byte, 16)...) // and a UUID
	case procVolList:
		if f.volume != "" {
			volume := append(words(uint32(len(f.volume))), f.volume...)
			volume = append(volume, make([]byte, -len(f.volume)&3)...)
			return slices.Concat(words(1), name, volume, name, words(1))
		}
		return words(0, 0)
	case procVolCreate:
		return bytes.Repeat(name, 3)
	}
	return nil
}

// made reports whether the volume was asked for.
func (f *fakeHost) made() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.calls, procVolCreate)
}

func words(all ...uint32) []byte {
	var b []byte
	for _, w := range all {
		b = binary.BigEndian.AppendUint32(b, w)
	}
	return b
}

// TestLanding holds that an error says whether anything of the call may still come:
// only if something that changes things was sent and not answered.
func TestLanding(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason string
		host   *fakeHost
		kind   domain.Kind
		code   string
		made   bool
	}{
		"line breaks while opening":   {"nothing was asked", &fakeHost{lose: procOpen}, domain.Unavailable, application.CodeTryAgain, false},
		"line breaks at a look":       {"a look leaves nothing behind", &fakeHost{lose: procVolList}, domain.Unavailable, application.CodeTryAgain, false},
		"line breaks at the change":   {"the volume may be made yet", &fakeHost{lose: procVolCreate}, domain.Unavailable, "no-answer", true},
		"line breaks at the farewell": {"all is done", &fakeHost{lose: procClose}, 0, "", true},
		"time is up at a look":        {"a look leaves nothing behind", &fakeHost{withhold: procVolList}, domain.Unavailable, application.CodeTryAgain, false},
		"time is up at the change":    {"the volume may be made yet", &fakeHost{withhold: procVolCreate}, domain.Unavailable, "no-answer", true},
		"the host refuses for now":    {"refused is answered", &fakeHost{refuse: map[uint32]uint32{procVolCreate: 38}}, domain.Unavailable, application.CodeTryAgain, true},
		"the host refuses for good":   {"refused is answered", &fakeHost{refuse: map[uint32]uint32{procVolCreate: 67}}, domain.Invalid, "unsupported", true},
		"the host denies the opening": {"our user may not", &fakeHost{refuse: map[uint32]uint32{procOpen: 45}}, domain.Forbidden, "host-denies", false},
		"everything is answered":      {"it is made", &fakeHost{}, 0, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			if c.host.withhold != 0 {
				short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
				defer cancel()
				ctx = short
			}
			o, err := driver(t, c.host.connect).Ensure(ctx, wantedVolume())
			if c.code == "" {
				if err != nil || o.Phase != domain.ThingReady {
					t.Fatalf("ensure: got %s, %v, want Ready: %s", o.Phase, err, c.reason)
				}
			} else if err == nil || domain.KindOf(err) != c.kind || domain.CodeOf(err) != c.code {
				t.Errorf("ensure: got %v (%v %q), want %v %q: %s", err, domain.KindOf(err), domain.CodeOf(err), c.kind, c.code, c.reason)
			}
			if c.host.made() != c.made {
				t.Errorf("asked to make it: got %v, want %v", c.host.made(), c.made)
			}
		})
	}
}

// TestHostAway holds that a host without a connection is down, and what is on it
// unknown, never absent.
func TestHostAway(t *testing.T) {
	t.Parallel()
	away := func(_ context.Context, host libvirt.Host) (net.Conn, error) {
		if host.Name == "kvm-2" {
			return new(fakeHost).connect(t.Context(), host)
		}
		return nil, io.ErrUnexpectedEOF
	}
	h := driver(t, away, "kvm-1", "kvm-2")
	want := wantedVolume()
	if _, err := h.Ensure(t.Context(), want); domain.CodeOf(err) != application.CodeHostDown {
		t.Errorf("ensure: got %v, want the code host-down", err)
	}
	if o, err := h.Observe(t.Context(), want.Key); err != nil || o.Phase != domain.ThingUnknown {
		t.Errorf("observe: got %s, %v, want Unknown: one host did not answer", o.Phase, err)
	}
	if _, err := h.Delete(t.Context(), want.Key); domain.CodeOf(err) != application.CodeHostDown {
		t.Errorf("delete: got %v, want the code host-down", err)
	}
	var listed error
	for _, err := range h.List(t.Context()) {
		listed = err
	}
	if domain.KindOf(listed) != domain.Unavailable || listed == nil {
		t.Errorf("list: got %v, want it to end with an error", listed)
	}
	caps, err := h.Capabilities(t.Context())
	if err != nil || len(caps.Hosts) != 2 || caps.Hosts[0].State != domain.HostDown {
		t.Errorf("capabilities: got %+v, %v, want two hosts, the first down", caps.Hosts, err)
	}
}

func driver(t *testing.T, connect func(context.Context, libvirt.Host) (net.Conn, error), names ...string) application.Hypervisor {
	t.Helper()
	if len(names) == 0 {
		names = []string{"kvm-1"}
	}
	o := libvirt.Options{Images: map[string]libvirt.Image{"x": {Kernel: "/vmlinuz"}}, Connect: connect}
	for _, name := range names {
		o.Hosts = append(o.Hosts, libvirt.Host{Name: name, Address: "unix:///x", Pools: map[domain.DiskType]libvirt.Pool{domain.SSD: {Name: "pool"}}})
	}
	h, err := libvirt.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func wantedVolume() domain.Desired {
	return domain.Desired{Key: domain.Key{Resource: "6a08081c", Kind: domain.ThingVolume}, Tenant: "acme", VirtualID: "STOR-0909A693", Host: "kvm-1",
		Spec: domain.Specification{Volume: &domain.VolumeSpec{Size: domain.GiB, Type: domain.SSD}}}
}
