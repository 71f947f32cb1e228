package simulated_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/application/applicationtest"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/memory"
	"kbnt.dev/virtualization/infrastructure/simulated"
)

func TestHypervisor(t *testing.T) {
	for name, speed := range map[string]float64{"as fast as life": 1, "without latency": 0} {
		t.Run(name, func(t *testing.T) {
			applicationtest.TestHypervisor(t, applicationtest.Harness{
				Parallel: true,
				Open: func(t *testing.T) applicationtest.World {
					w := open(t, speed)
					w.clock.tick = 1 // so that making a thing twice shows in its provider id
					return w.contract()
				},
			})
		})
	}
}

// clock is moved by hand, and by tick whenever somebody looks.
type clock struct {
	ns   atomic.Int64
	tick int64
}

func (c *clock) now() time.Time          { return time.Unix(0, c.ns.Add(c.tick)) }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }

// world is a simulated hypervisor with its store and clock.
type world struct {
	*simulated.Hypervisor
	documents application.Documents
	clock     *clock
	options   simulated.Options
}

// open returns an empty world. Options may be changed before it is made.
func open(t testing.TB, speed float64, change ...func(*simulated.Options)) *world {
	t.Helper()
	w := &world{documents: new(memory.Documents), clock: new(clock)}
	w.clock.ns.Store(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	w.options = simulated.Options{Documents: w.documents, Now: w.clock.now, Speed: speed}
	for _, c := range change {
		c(&w.options)
	}
	w.Hypervisor = w.client(t, w.options.Documents)
	return w
}

// client is another process on the same world.
func (w *world) client(t testing.TB, d application.Documents) *simulated.Hypervisor {
	t.Helper()
	o := w.options
	o.Documents = d
	h, err := simulated.New(o)
	if err != nil {
		t.Fatalf("new: %v", err)
	}
	return h
}

func (w *world) contract() applicationtest.World {
	return applicationtest.World{
		Hypervisor: w.Hypervisor,
		Machine:    domain.MachineSpec{Cores: 2, Memory: 2 * domain.GiB, Disk: 10 * domain.GiB, DiskType: domain.SSD, Image: domain.DefaultImage},
		Segment: applicationtest.Segment{Name: "vlan-100", Network: domain.NetworkSpec{
			Subnet: netip.MustParsePrefix("198.18.100.0/24"), VLAN: 100, Gateway: netip.MustParseAddr("198.18.100.1")}},
		Networks: [2]domain.NetworkSpec{
			{Subnet: netip.MustParsePrefix("10.0.1.0/24"), VLAN: 200, Gateway: netip.MustParseAddr("10.0.1.1")},
			{Subnet: netip.MustParsePrefix("10.0.2.0/24"), VLAN: 201, Gateway: netip.MustParseAddr("10.0.2.1")},
		},
		Patience: time.Minute,
		Pass:     func(_ *testing.T, d time.Duration) { w.clock.advance(d) },
		Foreign:  w.foreign,
		Cut: func(t *testing.T, n int) (application.Hypervisor, func() bool) {
			line := &cutLine{Documents: w.documents, left: n}
			return w.client(t, line), func() bool { return line.left <= 0 }
		},
		Hang: func(t *testing.T) application.Hypervisor { return w.client(t, hanging{}) },
		Crowded: func() domain.MachineSpec {
			return domain.MachineSpec{Cores: 4, Memory: domain.TiB, Disk: 10 * domain.GiB, DiskType: domain.SSD, Image: domain.DefaultImage}
		},
		UseUp: func(_ *testing.T, want domain.Desired) domain.Desired {
			want.Labels = domain.Labels{simulated.FaultLabel: "quota"}
			return want
		},
		Residue: w.residue,
	}
}

// volume, machine and network are things that are wanted. Names of resources need
// only differ.
func (w *world) volume(uid string) domain.Desired {
	m := w.contract().Machine
	return domain.Desired{Key: domain.Key{Resource: uid, Kind: domain.ThingVolume}, Tenant: "acme",
		Spec: domain.Specification{Volume: &domain.VolumeSpec{Size: m.Disk, Type: m.DiskType}}}
}

func (w *world) machine(uid string, n int) domain.Desired {
	c := w.contract()
	address := netip.AddrFrom4([4]byte{198, 18, byte(n / 250), byte(1 + n%250)})
	return domain.Desired{Key: domain.Key{Resource: uid, Kind: domain.ThingMachine}, Tenant: "acme", On: true,
		Network: "bridged", Address: netip.PrefixFrom(address, 15), Root: w.volume(uid).Key,
		Spec: domain.Specification{Machine: &c.Machine}}
}

func (w *world) network(uid string, n int) domain.Desired {
	spec := w.contract().Networks[n]
	return domain.Desired{Key: domain.Key{Resource: uid, Kind: domain.ThingNetwork}, Tenant: "acme",
		VLAN: spec.VLAN, Gateway: spec.Gateway, Spec: domain.Specification{Network: &spec}}
}

func (w *world) ensure(t testing.TB, want domain.Desired) domain.Observation {
	t.Helper()
	o, err := w.Ensure(t.Context(), want)
	if err != nil {
		t.Fatalf("ensure %s: %v", want.Key.Name(), err)
	}
	return o
}

func (w *world) delete(t testing.TB, thing domain.Desired) {
	t.Helper()
	if _, err := w.Delete(t.Context(), thing.Key); err != nil {
		t.Fatalf("delete %s: %v", thing.Key.Name(), err)
	}
}

// document finds the document of a thing; its name ends in the key's.
func (w *world) document(key domain.Key) string {
	return "sim/thing/" + key.Short()[:1] + "/" + key.Name()
}

func (w *world) foreign(t *testing.T, key domain.Key) func(*testing.T) {
	made := []byte(`{"owner":"somebody"}`)
	generation, err := w.documents.Write(t.Context(), w.document(key), made, 0)
	if err != nil {
		t.Fatalf("make what is foreign: %v", err)
	}
	return func(t *testing.T) {
		data, now, err := w.documents.Read(t.Context(), w.document(key))
		if !bytes.Equal(data, made) || now != generation || err != nil {
			t.Errorf("what is foreign: got %s at %d, %v, want %s at %d", data, now, err, made, generation)
		}
	}
}

// residue is every document but ledgers without lines and addresses without a
// holder, as of now.
func (w *world) residue(t *testing.T) []string {
	var left []string
	names, err := w.documents.Names(t.Context(), "")
	if err != nil {
		t.Fatalf("names: %v", err)
	}
	for _, name := range names {
		data, _, err := w.documents.Read(t.Context(), name)
		if err != nil {
			t.Fatalf("read %s: %v", name, err)
		}
		switch kind, _, _ := strings.Cut(strings.TrimPrefix(name, "sim/"), "/"); kind {
		case "thing":
			left = append(left, name)
		case "address":
			var a struct {
				Holder string
				Until  time.Time
			}
			if err := json.Unmarshal(data, &a); err != nil || a.Until.IsZero() || a.Until.After(w.clock.now()) {
				left = append(left, name+" of "+a.Holder)
			}
		default: // a ledger: a heading, and lines of name, time of release, ...
			lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
			for _, line := range lines[1:] {
				fields := strings.Split(line, "\t")
				if ns, err := strconv.ParseInt(fields[1], 10, 64); err != nil || ns == 0 || ns > w.clock.now().UnixNano() {
					left = append(left, name+" of "+fields[0])
				}
			}
		}
	}
	return left
}

// cutLine is a store whose answer is lost at some call, and that is not reached
// any more after it.
type cutLine struct {
	application.Documents
	left int
}

var errCut = &domain.Error{Op: "test", Kind: domain.Unavailable, Detail: "the line is cut"}

func (c *cutLine) down() bool { c.left--; return c.left < 0 }

func (c *cutLine) Read(ctx context.Context, name string) ([]byte, int64, error) {
	if c.down() {
		return nil, 0, errCut
	}
	data, generation, err := c.Documents.Read(ctx, name)
	if c.left == 0 {
		return nil, 0, errCut
	}
	return data, generation, err
}

func (c *cutLine) Write(ctx context.Context, name string, data []byte, generation int64) (int64, error) {
	if c.down() {
		return 0, errCut
	}
	next, err := c.Documents.Write(ctx, name, data, generation)
	if c.left == 0 {
		return 0, errCut
	}
	return next, err
}

func (c *cutLine) Names(ctx context.Context, prefix string) ([]string, error) {
	if c.down() {
		return nil, errCut
	}
	names, err := c.Documents.Names(ctx, prefix)
	if c.left == 0 {
		return nil, errCut
	}
	return names, err
}

// hanging is a store that never answers.
type hanging struct{}

func (hanging) Read(ctx context.Context, _ string) ([]byte, int64, error) {
	<-ctx.Done()
	return nil, 0, ctx.Err()
}

func (hanging) Write(ctx context.Context, _ string, _ []byte, _ int64) (int64, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

func (hanging) Names(ctx context.Context, _ string) ([]string, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
