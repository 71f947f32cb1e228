package prometheus

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
)

// Defaults of [WorldOptions].
const (
	DefaultMaxAge  = 5 * time.Second
	DefaultTimeout = 2 * time.Second
)

// WorldOptions of a [WorldCollector]. Zero values choose the defaults.
type WorldOptions struct {
	MaxAge  time.Duration     // how long one census answers scrapes
	Timeout time.Duration     // of one census
	Clock   application.Clock // of this process; nil: time.Now
	Log     *slog.Logger      // nil: slog.Default
}

// WorldCollector computes the gauges about the world from the store when they are
// scraped. intake registers it, and provision, which the sweep wakes while nobody
// asks for anything; all instances show the same values, so queries take the
// maximum, never the sum.
//
// When the store does not answer, the scrape goes on without these metrics and a
// line is logged: an absent value is honest, an old one is not.
type WorldCollector struct {
	statistics application.Statistics
	options    WorldOptions

	mu    sync.Mutex
	taken time.Time // when the last census began; zero: never
	last  application.Census
	err   error
}

var _ prom.Collector = (*WorldCollector)(nil)

// NewWorldCollector asks nothing of the store before the first scrape.
func NewWorldCollector(s application.Statistics, o WorldOptions) *WorldCollector {
	if o.MaxAge <= 0 {
		o.MaxAge = DefaultMaxAge
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &WorldCollector{statistics: s, options: o}
}

// worldMetric is one metric of the world and how it is read from a census: its
// values by label value, under "" when it has no label.
type worldMetric struct {
	desc   *prom.Desc
	kind   prom.ValueType
	label  bool
	values func(application.Census) map[string]float64
}

func world() []worldMetric {
	single := func(name, help string, kind prom.ValueType, value func(application.Census) float64) worldMetric {
		return worldMetric{prom.NewDesc(name, help, nil, nil), kind, false, func(c application.Census) map[string]float64 {
			return map[string]float64{"": value(c)}
		}}
	}
	by := func(label, name, help string, values func(application.Census) map[string]float64) worldMetric {
		return worldMetric{prom.NewDesc(name, help, []string{label}, nil), prom.GaugeValue, true, values}
	}
	return []worldMetric{
		by("resource_type", "kbnt_virtual_resources_active", "Resources that are ready.", func(c application.Census) map[string]float64 {
			return filled(c.Live, domain.ResourceKinds())
		}),
		single("kbnt_virtual_machines_active_gauge", "Machines that are ready.", prom.GaugeValue, func(c application.Census) float64 {
			return float64(c.Live[domain.Machine])
		}),
		by("priority", "kbnt_queue_size", "Unfinished requests.", func(c application.Census) map[string]float64 {
			return filled(c.Queue, domain.Priorities())
		}),
		single("kbnt_consumer_lag", "Requests that provision has not seen yet.", prom.GaugeValue, func(c application.Census) float64 {
			return float64(c.Waiting)
		}),
		single("kbnt_consumer_lag_seconds", "Age of the oldest request that provision has not seen yet.", prom.GaugeValue, func(c application.Census) float64 {
			if c.OldestSince.IsZero() {
				return 0
			}
			return max(c.Now.Sub(c.OldestSince), 0).Seconds()
		}),
		by("reason", "kbnt_dead_letters", "Open dead letters.", func(c application.Census) map[string]float64 {
			return filled(c.DeadLetters, []string{
				eventing.ReasonUndecodable, eventing.ReasonChecksumMismatch, eventing.ReasonUnknownType,
				eventing.ReasonUnknownRequest, eventing.ReasonAttemptsExhausted, eventing.ReasonRefused, eventing.ReasonUndelivered,
			})
		}),
		single("kbnt_stuck_requests", "Requests undecided for longer than 10 minutes past their deadline.", prom.GaugeValue, func(c application.Census) float64 {
			return float64(c.Stuck)
		}),
		single("kbnt_resource_cost_usd_total", "Cost accrued by all resources there ever were, in USD.", prom.CounterValue, func(c application.Census) float64 {
			return c.Cost.USD()
		}),
	}
}

// filled has a value for every known label value, and those counted besides.
func filled[K ~string](counted map[K]int, known []K) map[string]float64 {
	all := make(map[string]float64, len(known))
	for _, k := range known {
		all[string(k)] = 0
	}
	for k, n := range counted {
		all[string(k)] = float64(n)
	}
	return all
}

// Describe implements [prom.Collector].
func (w *WorldCollector) Describe(ch chan<- *prom.Desc) {
	for _, m := range world() {
		ch <- m.desc
	}
}

// Collect implements [prom.Collector].
func (w *WorldCollector) Collect(ch chan<- prom.Metric) {
	census, err := w.census()
	if err != nil {
		return
	}
	for _, m := range world() {
		values := m.values(census)
		for _, key := range slices.Sorted(maps.Keys(values)) {
			var labels []string
			if m.label {
				labels = []string{key}
			}
			metric, err := prom.NewConstMetric(m.desc, m.kind, values[key], labels...)
			if err != nil { // a label value that is not UTF-8
				w.options.Log.Error("a value was not shown", "metric", m.desc.String(), "error", err)
				continue
			}
			ch <- metric
		}
	}
}

// census answers from memory while that is fresh. Scrapes at the same time wait
// for one census; one that failed is not repeated sooner than one that did not.
func (w *WorldCollector) census() (application.Census, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.options.Clock()
	if !w.taken.IsZero() && now.Sub(w.taken) < w.options.MaxAge {
		return w.last, w.err
	}
	w.taken = now
	ctx, cancel := context.WithTimeout(context.Background(), w.options.Timeout) // a Collector is given none
	defer cancel()
	w.last, w.err = w.statistics.Census(ctx)
	if w.err != nil {
		w.options.Log.Warn("the metrics about the world are left out of this scrape", "error", w.err)
	}
	return w.last, w.err
}
