package prometheus

import (
	"sync"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
)

// sweptFor is how long an instance shows what a sweep of its own found: a little
// longer than it takes until the next sweep, which another instance may make. An
// instance that stays busy for hours would else contradict all later ones.
const sweptFor = 15 * time.Minute

// swept is a gauge of what the last sweep found. It is not shown before there was
// one, nor when that was long ago.
type swept struct {
	desc *prom.Desc

	mu    sync.Mutex
	value float64
	at    time.Time // zero: never
}

func (s *swept) set(value float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.value, s.at = value, time.Now()
}

// Describe implements [prom.Collector].
func (s *swept) Describe(to chan<- *prom.Desc) { to <- s.desc }

// Collect implements [prom.Collector].
func (s *swept) Collect(to chan<- prom.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.at.IsZero() && time.Since(s.at) < sweptFor {
		to <- prom.MustNewConstMetric(s.desc, prom.GaugeValue, s.value)
	}
}
