// Package prometheus counts and times for Prometheus, and answers its scrapes.
//
// A [Meter] counts what one process did. A [WorldCollector] tells what is true of
// the world, from the store: a process that scales to zero forgets, so nothing
// about the world is ever incremented or decremented in memory.
//
// # Configuration
//
// The registry is passed in. Metrics about the process (CPU, memory, goroutines,
// garbage collection) are added by [RegisterRuntime], because an owner of several
// meters in one process wants them once.
//
// # Guarantees
//
// Every metric of [application.Metrics] has the constant labels service and
// function before its own. Counters and histograms carry the time they were
// created, in OpenMetrics and in protobuf, so that the first increments after a
// start from zero are not lost to rate().
//
// # Errors
//
// Metrics never fail their caller: a use that does not fit the metric's shape is
// logged once for that metric and dropped.
//
// # Limits
//
// Label values are not bounded here; those of this product are request types,
// topics and reasons, which are few.
package prometheus

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"kbnt.dev/virtualization/application"
)

// maxScrapes is how many scrapes may be answered at a time; more are a mistake
// of somebody's configuration.
const maxScrapes = 8

// Options of a [Meter].
type Options struct {
	Registry *prom.Registry // required
	Service  string         // "producer" for intake, "consumer" for provision and notify
	Function string         // "intake", "provision", "notify"
	Log      *slog.Logger   // nil: slog.Default
}

// Meter implements [application.Meter]. It is safe for concurrent use.
type Meter struct {
	registry   *prom.Registry
	log        *slog.Logger
	counters   map[string]*prom.CounterVec
	histograms map[string]*prom.HistogramVec
	coldStart  *prom.GaugeVec
	orphans    *swept
	complained sync.Map // name of a metric -> struct{}
}

var _ application.Meter = (*Meter)(nil)

// New registers all metrics of the product. It fails when one of them is
// registered already.
func New(o Options) (*Meter, error) {
	m := &Meter{
		registry: o.Registry, log: o.Log,
		counters: map[string]*prom.CounterVec{}, histograms: map[string]*prom.HistogramVec{},
	}
	if m.log == nil {
		m.log = slog.Default()
	}
	var faults []error
	add := func(c prom.Collector) { faults = append(faults, o.Registry.Register(c)) }
	constant := prom.Labels{"service": o.Service, "function": o.Function}
	for _, metric := range application.Metrics() {
		if metric.Buckets == nil {
			v := prom.NewCounterVec(prom.CounterOpts{Name: metric.Name, Help: metric.Help, ConstLabels: constant}, metric.Labels)
			m.counters[metric.Name] = v
			add(v)
			continue
		}
		v := prom.NewHistogramVec(prom.HistogramOpts{Name: metric.Name, Help: metric.Help, ConstLabels: constant, Buckets: metric.Buckets}, metric.Labels)
		if len(metric.Labels) == 0 {
			v.WithLabelValues() // shown as zero from the beginning
		}
		m.histograms[metric.Name] = v
		add(v)
	}
	// Vectors without labels: not shown before somebody knows the value.
	m.coldStart = prom.NewGaugeVec(prom.GaugeOpts{Name: "kbnt_cold_start_seconds",
		Help: "Process start to ready.", ConstLabels: prom.Labels{"function": o.Function}}, nil)
	m.orphans = &swept{desc: prom.NewDesc("kbnt_orphaned_resources",
		"Things on the hypervisor that belong to no live resource, as the last sweep found them.", nil, nil)}
	add(m.coldStart)
	add(m.orphans)
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return m, nil
}

// RegisterRuntime adds the metrics of the Go runtime and of this process. They
// cost nothing but at a scrape.
func RegisterRuntime(r *prom.Registry) error {
	if err := errors.Join(r.Register(collectors.NewGoCollector()), r.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))); err != nil {
		return fmt.Errorf("register runtime metrics: %w", err)
	}
	return nil
}

// Add adds to a counter; a value below zero is dropped.
func (m *Meter) Add(metric application.Metric, value float64, labels ...string) {
	v, ok := m.counters[metric.Name]
	if !ok {
		m.complain(metric.Name, errors.New("there is no such counter"))
		return
	}
	c, err := v.GetMetricWithLabelValues(labels...)
	switch {
	case err != nil:
		m.complain(metric.Name, err)
	case !(value >= 0) || math.IsInf(value, 1): // NaN is not >= 0 either
		m.complain(metric.Name, fmt.Errorf("%v cannot be added to a counter", value))
	default:
		c.Add(value)
	}
}

// Observe notes one value of a histogram.
func (m *Meter) Observe(metric application.Metric, value float64, labels ...string) {
	v, ok := m.histograms[metric.Name]
	if !ok {
		m.complain(metric.Name, errors.New("there is no such histogram"))
		return
	}
	o, err := v.GetMetricWithLabelValues(labels...)
	switch {
	case err != nil:
		m.complain(metric.Name, err)
	case math.IsNaN(value) || math.IsInf(value, 0): // would spoil the sum for ever
		m.complain(metric.Name, fmt.Errorf("%v cannot be observed", value))
	default:
		o.Observe(value)
	}
}

// ColdStart says how long this process took from its start to ready.
func (m *Meter) ColdStart(took time.Duration) { m.coldStart.WithLabelValues().Set(took.Seconds()) }

// Orphans says how many things of ours a sweep found on the hypervisor that
// belong to no live resource. It is shown for 15 minutes.
func (m *Meter) Orphans(n int) { m.orphans.set(float64(n)) }

// Handler answers scrapes of the registry. What can be gathered is shown, what
// cannot is logged.
func (m *Meter) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: scrapeLog{m.log}, ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: maxScrapes,
		EnableOpenMetrics: true, EnableOpenMetricsTextCreatedSamples: true,
	})
}

// complain logs the first misuse of a metric; it would repeat with every event.
func (m *Meter) complain(name string, err error) {
	if _, again := m.complained.LoadOrStore(name, struct{}{}); !again {
		m.log.Error("a value was not counted", "metric", name, "error", err)
	}
}

// scrapeLog is the logger that promhttp wants.
type scrapeLog struct{ log *slog.Logger }

// Println logs what went wrong in a scrape.
func (l scrapeLog) Println(v ...any) { l.log.Warn("scrape", "error", fmt.Sprint(v...)) }
