package simulated_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/simulated"
)

// counted counts the calls of a store.
type counted struct {
	application.Documents
	reads, writes, lost atomic.Int64
}

func (c *counted) Read(ctx context.Context, name string) ([]byte, int64, error) {
	c.reads.Add(1)
	return c.Documents.Read(ctx, name)
}

func (c *counted) Write(ctx context.Context, name string, data []byte, generation int64) (int64, error) {
	c.writes.Add(1)
	next, err := c.Documents.Write(ctx, name, data, generation)
	if domain.KindOf(err) == domain.Conflict && err != nil {
		c.lost.Add(1)
	}
	return next, err
}

// TestCost holds the number of documents that the usual calls touch.
func TestCost(t *testing.T) {
	t.Parallel()
	w := open(t, 0)
	store := &counted{Documents: w.documents}
	h := w.client(t, store)
	root, machine := w.volume("a"), w.machine("a", 0)
	root.Host, machine.Host = "sim-a", "sim-a"
	for _, step := range []struct {
		name          string
		call          func() (domain.Observation, error)
		reads, writes int64
	}{
		{"make a volume", func() (domain.Observation, error) { return h.Ensure(t.Context(), root) }, 2, 2},
		{"make a machine", func() (domain.Observation, error) { return h.Ensure(t.Context(), machine) }, 4, 3},
		{"adopt a machine", func() (domain.Observation, error) { return h.Ensure(t.Context(), machine) }, 1, 0},
		{"observe", func() (domain.Observation, error) { return h.Observe(t.Context(), machine.Key) }, 1, 0},
		{"delete a machine", func() (domain.Observation, error) { return h.Delete(t.Context(), machine.Key) }, 6, 3},
		{"delete a volume", func() (domain.Observation, error) { return h.Delete(t.Context(), root.Key) }, 5, 2},
	} {
		store.reads.Store(0)
		store.writes.Store(0)
		if _, err := step.call(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if r, n := store.reads.Load(), store.writes.Load(); r > step.reads || n > step.writes {
			t.Errorf("%s: got %d reads and %d writes, want at most %d and %d", step.name, r, n, step.reads, step.writes)
		}
	}
}

// roomy is a host that nothing fills.
func roomy(o *simulated.Options) {
	o.Hosts = simulated.DefaultHosts()[:1]
	o.Hosts[0].Cores, o.Hosts[0].Memory = 1<<30, 1<<40
	o.Hosts[0].Disks = map[domain.DiskType]domain.DiskPool{domain.SSD: {Size: 1 << 40, IOPS: 1 << 30}}
}

// BenchmarkCrowd makes and deletes machines with their volumes by 64 callers at
// once, on one host that holds 200 of them already. processes share the world.
func BenchmarkCrowd(b *testing.B) {
	for name, processes := range map[string]int{"1 process": 1, "4 processes": 4} {
		b.Run(name, func(b *testing.B) {
			w := open(b, 0, roomy)
			for i := range 200 {
				uid := domain.ResourceUID("resident " + strconv.Itoa(i))
				w.ensure(b, w.volume(uid))
				w.ensure(b, w.machine(uid, i))
			}
			store := &counted{Documents: w.documents}
			var clients []*simulated.Hypervisor
			for range processes {
				clients = append(clients, w.client(b, store))
			}
			var next, failed atomic.Int64
			var all sync.WaitGroup
			b.ResetTimer()
			for caller := range 64 {
				h := clients[caller%processes]
				all.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						uid := domain.ResourceUID("guest " + strconv.FormatInt(n, 10))
						root, machine := w.volume(uid), w.machine(uid, 200+int(n%32000))
						_, err1 := h.Ensure(b.Context(), root)
						_, err2 := h.Ensure(b.Context(), machine)
						_, err3 := h.Delete(b.Context(), machine.Key)
						_, err4 := h.Delete(b.Context(), root.Key)
						if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
							failed.Add(1)
						}
					}
				})
			}
			all.Wait()
			b.ReportMetric(float64(store.lost.Load())/float64(b.N), "conflicts/op")
			b.ReportMetric(float64(failed.Load())/float64(b.N), "failed/op")
		})
	}
}

// BenchmarkObserve looks at one machine.
func BenchmarkObserve(b *testing.B) {
	w := open(b, 0)
	machine := w.machine("a", 0)
	w.ensure(b, w.volume("a"))
	w.ensure(b, machine)
	for b.Loop() {
		if _, err := w.Observe(b.Context(), machine.Key); err != nil {
			b.Fatal(err)
		}
	}
}
