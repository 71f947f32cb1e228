package kubevirt_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/application/applicationtest"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/kubevirt"
)

// The contract, in two worlds: what an operator with CDI and guest agents has, and what
// is left without.
func TestHypervisor(t *testing.T) {
	t.Parallel()
	for name, change := range shapes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			applicationtest.TestHypervisor(t, applicationtest.Harness{
				Parallel: true, Cannot: cannot(),
				Open: func(t *testing.T) applicationtest.World { return fakeWorld(t, change).contract() },
			})
		})
	}
}

func shapes() map[string]func(*kubevirt.Options) {
	return map[string]func(*kubevirt.Options){
		"imported images and a guest agent": func(*kubevirt.Options) {},
		"blank volumes, bound late, and no agent": func(o *kubevirt.Options) {
			o.Images = map[string]kubevirt.Image{domain.DefaultImage: {User: "cirros", Ports: map[string]int{"http": 80}}}
			o.Storage = map[domain.DiskType]kubevirt.Storage{domain.SSD: {Class: atLast}}
			o.DialTenants = true
		},
	}
}

func cannot() map[applicationtest.Feature]string {
	return map[applicationtest.Feature]string{
		applicationtest.Addresses: "addresses are guarded by the claims of the store; cloud-init sets them, and the cluster does not look",
		applicationtest.VLANs:     "VLANs are guarded by the claims of the store; the cluster takes any number of networks with one VLAN",
	}
}

// world is one namespace of an API server with the stand-in for its controllers.
type world struct {
	*kubevirt.Hypervisor
	controllers *controllers
	options     kubevirt.Options
	greeting    string       // of the guests' port 22
	began       time.Time    // on the clock of the world; zero: it is the real one
	passed      atomic.Int64 // since then
}

// fakeWorld is a world on a server of its own.
func fakeWorld(t testing.TB, change func(*kubevirt.Options)) *world {
	t.Helper()
	w := &world{began: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	s := newServer(w.now)
	w.open(t, prepare(t, "http://fake", s), change)
	return w
}

func (w *world) now() time.Time {
	if w.began.IsZero() {
		return time.Now()
	}
	return w.began.Add(time.Duration(w.passed.Load()))
}

// open makes the namespace and the driver.
func (w *world) open(t testing.TB, k kube, change func(*kubevirt.Options)) {
	t.Helper()
	w.controllers = &controllers{kube: k, ns: k.namespace(t), now: w.now, room: 64 << 10, guests: map[netip.Addr]bool{}}
	k.create(t, w.controllers.in(nadsPath), fields{"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
		"metadata": fields{"name": "operators-100"}, "spec": fields{"config": "{}"}})
	w.options = kubevirt.Options{
		Cluster: kubevirt.Cluster{Server: k.base, Transport: k.transport}, Namespace: w.controllers.ns,
		Images: map[string]kubevirt.Image{domain.DefaultImage: {ContainerDisk: "quay.io/containerdisks/ubuntu:22.04", User: "ubuntu", Agent: true,
			Install: []string{"qemu-guest-agent", "prometheus-node-exporter"}, Ports: map[string]int{"http": 80}}},
		Storage:  map[domain.DiskType]kubevirt.Storage{domain.SSD: {Class: atOnce, IOPS: 20000}, domain.HDD: {Class: atLast}},
		Segments: map[string]string{"vlan-100": "operators-100"},
		Dial:     w.dial, Page: 10,
	}
	w.greeting = "SSH-2.0-guest\r\n"
	change(&w.options)
	w.Hypervisor = w.client(t, k.transport)
}

// client is another process on the same world.
func (w *world) client(t testing.TB, transport http.RoundTripper) *kubevirt.Hypervisor {
	t.Helper()
	o := w.options
	o.Cluster.Transport = transport
	h, err := kubevirt.New(o)
	if err != nil {
		t.Fatalf("new: %v", err)
	}
	return h
}

// dial reaches the guests that are up, on the two ports that they serve.
func (w *world) dial(_ context.Context, network, address string) (net.Conn, error) {
	a, err := netip.ParseAddrPort(address)
	if err != nil || network != "tcp" || a.Port() != 22 && a.Port() != 80 || !w.controllers.up(a.Addr()) {
		return nil, errors.New("connection refused")
	}
	if a.Port() == 22 {
		return says(w.greeting), nil
	}
	return says(""), nil
}

// says is a connection to somebody who says that much and hangs up.
func says(what string) net.Conn {
	here, there := net.Pipe()
	go func() { // until it is read, or the other end is closed
		_, _ = io.WriteString(there, what)
		_ = there.Close()
	}()
	return here
}

func (w *world) pass(t testing.TB, d time.Duration) {
	w.passed.Add(int64(d))
	w.controllers.step(t)
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
		Pass:     func(t *testing.T, d time.Duration) { w.pass(t, d) },
		Foreign:  w.foreign,
		Cut: func(t *testing.T, n int) (application.Hypervisor, func() bool) {
			line := &cutLine{RoundTripper: w.controllers.transport}
			line.left.Store(int64(n))
			return w.client(t, line), func() bool { return line.left.Load() <= 0 }
		},
		Hang: func(t *testing.T) application.Hypervisor { return w.client(t, hanging{}) },
		Crowded: func() domain.MachineSpec {
			return domain.MachineSpec{Cores: 4, Memory: domain.TiB, Disk: 10 * domain.GiB, DiskType: domain.SSD, Image: domain.DefaultImage}
		},
		UseUp:   w.useUp,
		Residue: w.residue,
	}
}

func (w *world) foreign(t *testing.T, key domain.Key) func(*testing.T) {
	c := w.controllers
	made := c.create(t, c.in(vmsPath), fields{"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "metadata": fields{"name": key.Name()},
		"spec": fields{"runStrategy": "Halted", "template": fields{"spec": fields{"domain": fields{"devices": fields{}}}}}})
	return func(t *testing.T) {
		if now, _ := c.do(t, http.MethodGet, c.in(vmsPath)+"/"+key.Name(), "application/json", nil); show(now) != show(made) {
			t.Errorf("what is foreign: got %s, want %s", show(now), show(made))
		}
	}
}

// useUp sets a quota of no machines. Nobody counts for it but the server itself.
func (w *world) useUp(t *testing.T, want domain.Desired) domain.Desired {
	c, none := w.controllers, fields{"count/virtualmachines.kubevirt.io": "0"}
	c.create(t, c.in(quotaPath), fields{"apiVersion": "v1", "kind": "ResourceQuota", "metadata": fields{"name": "few"}, "spec": fields{"hard": none}})
	c.patch(t, c.in(quotaPath)+"/few/status", fields{"status": fields{"hard": none, "used": none}})
	eventually(t, "quota", func() bool {
		_, status, err := c.try(t.Context(), http.MethodPost, c.in(vmsPath)+strictly+"&dryRun=All", "application/json", json.RawMessage(vmBody("q", "")))
		return err == nil && status == http.StatusForbidden
	})
	return want
}

// residue is what is left when the garbage collector has been there.
func (w *world) residue(t *testing.T) []string {
	w.controllers.step(t)
	var left []string
	for _, path := range []string{vmsPath, vmisPath, claimsPath, dvsPath, secretsPath, nadsPath} {
		for _, o := range w.controllers.items(t, w.controllers.in(path)) {
			if name := meta(o, "name"); strings.HasPrefix(name, "kbnt-") {
				left = append(left, fmt.Sprint(o["kind"], " ", name))
			}
		}
	}
	return left
}

// cutLine is a line to a server on which an answer is lost, and that is down after it.
type cutLine struct {
	http.RoundTripper
	left atomic.Int64
}

func (c *cutLine) RoundTrip(r *http.Request) (*http.Response, error) {
	left := c.left.Add(-1)
	if left < 0 {
		return nil, errors.New("no route to host")
	}
	resp, err := c.RoundTripper.RoundTrip(r)
	if err == nil && left == 0 {
		_, _ = io.Copy(io.Discard, resp.Body)
		return nil, errors.Join(errors.New("connection reset by peer"), resp.Body.Close())
	}
	return resp, err
}

// hanging is a server that never answers.
type hanging struct{}

func (hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// volume and machine are things that are wanted.
func (w *world) volume(uid string) domain.Desired {
	return domain.Desired{Key: domain.Key{Resource: uid, Kind: domain.ThingVolume}, Tenant: "acme", VirtualID: "VM-C0FFEE00", Image: domain.DefaultImage,
		Spec: domain.Specification{Volume: &domain.VolumeSpec{Size: 10 * domain.GiB, Type: domain.SSD}}}
}

func (w *world) machine(uid string, change ...func(*domain.MachineSpec)) domain.Desired {
	spec := w.contract().Machine
	for _, c := range change {
		c(&spec)
	}
	return domain.Desired{Key: domain.Key{Resource: uid, Kind: domain.ThingMachine}, Tenant: "acme", VirtualID: "VM-C0FFEE00", On: true,
		Network: "vlan-100", VLAN: 100, Address: netip.MustParsePrefix("198.18.100.2/24"), Gateway: netip.MustParseAddr("198.18.100.1"),
		Root: w.volume(uid).Key, Spec: domain.Specification{Machine: &spec}}
}

func (w *world) network(uid string) domain.Desired {
	spec := w.contract().Networks[0]
	return domain.Desired{Key: domain.Key{Resource: uid, Kind: domain.ThingNetwork}, Tenant: "acme", VirtualID: "NET-C0FFEE00",
		VLAN: spec.VLAN, Gateway: spec.Gateway, Spec: domain.Specification{Network: &spec}}
}

// ready makes a thing and lets time pass until it is ready.
func (w *world) ready(t testing.TB, want domain.Desired) domain.Observation {
	t.Helper()
	o, err := w.Ensure(t.Context(), want)
	for range 30 {
		if err != nil {
			t.Fatalf("ensure %s: %v", want.Key.Name(), err)
		}
		if o.Phase == domain.ThingReady {
			return o
		}
		w.pass(t, 100*time.Millisecond)
		o, err = w.Observe(t.Context(), want.Key)
	}
	t.Fatalf("%s: got %s (%s), want Ready", want.Key.Name(), o.Phase, o.Reason)
	return o
}
