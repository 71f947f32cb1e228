package prometheus_test

import (
	"testing"
	"testing/synctest"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"

	"kbnt.dev/virtualization/infrastructure/prometheus"
)

// An instance that swept once and stays busy must not contradict the sweeps that
// others make after it.
func TestMeter_orphansOfLongAgo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		registry := prom.NewRegistry()
		m, err := prometheus.New(prometheus.Options{Registry: registry, Service: "consumer", Function: "provision"})
		if err != nil {
			t.Fatal(err)
		}
		shown := func() bool {
			families, err := registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range families {
				if f.GetName() == "kbnt_orphaned_resources" {
					return true
				}
			}
			return false
		}
		if shown() {
			t.Error("orphans are shown before any sweep")
		}
		m.Orphans(1)
		time.Sleep(10 * time.Minute) // the bubble's: the time between two sweeps
		if !shown() {
			t.Error("orphans are not shown until the next sweep")
		}
		time.Sleep(10 * time.Minute)
		if shown() {
			t.Error("orphans of a sweep 20 minutes ago are shown")
		}
	})
}
