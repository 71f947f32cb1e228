package sqlite_test

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/sqlite"
)

// callers are how many goroutines call at once: one pays a whole fsync for each
// transaction, many share it.
var callers = []int{1, 64}

func BenchmarkChange(b *testing.B) {
	for _, n := range callers {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := open(b, sqlite.Options{Path: filepath.Join(b.TempDir(), "kbnt.db")})
			for i := range n {
				admit(b, s, "acme", fmt.Sprint(i))
			}
			var next atomic.Int64
			parallel(b, n, func(i int64) error {
				return s.Change(b.Context(), application.Scope{Tenant: "acme", RequestID: fmt.Sprint(next.Add(1) % int64(n))}, func(w *application.Work) error {
					w.Request.Attempts++
					w.Request.TouchedAt = w.Now
					w.Arm(domain.RequestedID(w.Request.MessageID))
					return nil
				})
			})
		})
	}
}

func BenchmarkAdmit(b *testing.B) {
	for _, n := range callers {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := open(b, sqlite.Options{Path: filepath.Join(b.TempDir(), "kbnt.db")})
			parallel(b, n, func(i int64) error {
				return admitting(b.Context(), s, "acme", fmt.Sprint(i))
			})
		})
	}
}

// parallel has n goroutines do b.N things in all, and reports how many a second.
func parallel(b *testing.B, n int, do func(i int64) error) {
	b.Helper()
	var i atomic.Int64
	start := time.Now()
	b.ResetTimer()
	done := make(chan error, n)
	for range n {
		go func() {
			for {
				k := i.Add(1)
				if k > int64(b.N) {
					done <- nil
					return
				}
				if err := do(k); err != nil {
					done <- err
					return
				}
			}
		}()
	}
	for range n {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "transactions/s")
}
