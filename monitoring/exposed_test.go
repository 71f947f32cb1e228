package monitoring_test

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/prometheus"
)

// shape is what a query may say of a metric.
type shape struct {
	labels    []string
	histogram bool
}

// exposed is what the functions show to a scrape, read off a scrape in which
// every metric has a value.
func exposed(t *testing.T) map[string]shape {
	t.Helper()
	registry := prom.NewRegistry()
	meter, err := prometheus.New(prometheus.Options{Registry: registry, Service: "consumer", Function: "provision"})
	if err != nil {
		t.Fatal(err)
	}
	if err := registry.Register(prometheus.NewWorldCollector(census{}, prometheus.WorldOptions{})); err != nil {
		t.Fatal(err)
	}
	for _, m := range application.Metrics() {
		values := slices.Repeat([]string{"x"}, len(m.Labels))
		if m.Buckets == nil {
			meter.Add(m, 1, values...)
		} else {
			meter.Observe(m, 1, values...)
		}
	}
	meter.ColdStart(time.Second)
	meter.Orphans(1)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	shapes := map[string]shape{}
	for _, f := range families {
		s := shape{histogram: f.Metric[0].Histogram != nil}
		for _, l := range f.Metric[0].Label {
			s.labels = append(s.labels, l.GetName())
		}
		shapes[f.GetName()] = s
	}
	if len(shapes) < len(application.Metrics())+8 {
		t.Fatalf("a scrape shows %d metrics, want more: %q", len(shapes), slices.Sorted(maps.Keys(shapes)))
	}
	return shapes
}

// census is a store without anything in it.
type census struct{}

func (census) Census(context.Context) (application.Census, error) { return application.Census{}, nil }

func (census) Durations(context.Context, domain.RequestType, int) ([]time.Duration, error) {
	return nil, nil
}
