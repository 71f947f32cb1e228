package prometheus_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/prometheus"
)

// statistics is a store that was counted before.
type statistics struct {
	mu     sync.Mutex
	census application.Census
	err    error
	hangs  bool // until ctx ends
	calls  int
}

func (s *statistics) Census(ctx context.Context) (application.Census, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.hangs {
		<-ctx.Done()
		return application.Census{}, ctx.Err()
	}
	return s.census, s.err
}

func (s *statistics) Durations(context.Context, domain.RequestType, int) ([]time.Duration, error) {
	return nil, errors.New("not asked for")
}

func worldHandler(t *testing.T, s application.Statistics, o prometheus.WorldOptions) http.Handler {
	t.Helper()
	registry := prom.NewRegistry()
	if err := registry.Register(prometheus.NewWorldCollector(s, o)); err != nil {
		t.Fatal(err)
	}
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// flat is every series of a scrape with its value.
func flat(families map[string]family) map[string]float64 {
	all := map[string]float64{}
	for name, f := range families {
		for _, s := range f.series {
			key := name
			if len(s.labels) > 0 {
				key += "{" + strings.Join(s.labels, ",") + "}"
			}
			all[key] = s.value
		}
	}
	return all
}

// nothing is what an empty world shows: every label value is there.
func nothing() map[string]float64 {
	return map[string]float64{
		"kbnt_virtual_resources_active{resource_type=virtual-machine}": 0,
		"kbnt_virtual_resources_active{resource_type=virtual-storage}": 0,
		"kbnt_virtual_resources_active{resource_type=virtual-network}": 0,
		"kbnt_virtual_machines_active_gauge":                           0,
		"kbnt_queue_size{priority=LOW}":                                0,
		"kbnt_queue_size{priority=NORMAL}":                             0,
		"kbnt_queue_size{priority=HIGH}":                               0,
		"kbnt_consumer_lag":                                            0,
		"kbnt_consumer_lag_seconds":                                    0,
		"kbnt_dead_letters{reason=undecodable}":                        0,
		"kbnt_dead_letters{reason=checksum-mismatch}":                  0,
		"kbnt_dead_letters{reason=undelivered}":                        0,
		"kbnt_dead_letters{reason=unknown-type}":                       0,
		"kbnt_dead_letters{reason=unknown-request}":                    0,
		"kbnt_dead_letters{reason=attempts-exhausted}":                 0,
		"kbnt_dead_letters{reason=refused}":                            0,
		"kbnt_stuck_requests":                                          0,
		"kbnt_resource_cost_usd_total":                                 0,
	}
}

func TestWorld(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 8, 30, 10, 30, 0, 0, time.UTC)
	full := nothing()
	maps.Copy(full, map[string]float64{
		"kbnt_virtual_resources_active{resource_type=virtual-machine}": 2,
		"kbnt_virtual_resources_active{resource_type=virtual-storage}": 1,
		"kbnt_virtual_resources_active{resource_type=virtual-network}": 1,
		"kbnt_virtual_machines_active_gauge":                           2,
		"kbnt_queue_size{priority=HIGH}":                               3,
		"kbnt_consumer_lag":                                            4,
		"kbnt_consumer_lag_seconds":                                    1.5,
		"kbnt_dead_letters{reason=refused}":                            5,
		"kbnt_dead_letters{reason=from-a-newer-version}":               6,
		"kbnt_stuck_requests":                                          7,
		"kbnt_resource_cost_usd_total":                                 0.045,
	})
	ahead := nothing()
	ahead["kbnt_consumer_lag"] = 1
	tests := map[string]struct {
		reason string
		census application.Census
		want   map[string]float64
	}{
		"empty": {"all label values are there, so alerts and sums need no special case", application.Census{Now: now}, nothing()},
		"full": {"the reference requests: 2 machines, 1 volume, 1 network", application.Census{
			Live:  map[domain.ResourceKind]int{domain.Machine: 2, domain.Volume: 1, domain.Network: 1},
			Queue: map[domain.Priority]int{domain.High: 3}, Waiting: 4, OldestSince: now.Add(-1500 * time.Millisecond),
			DeadLetters: map[string]int{"refused": 5, "from-a-newer-version": 6}, Stuck: 7, Cost: 45000, Now: now,
		}, full},
		"ahead": {"an age is never negative", application.Census{Waiting: 1, OldestSince: now.Add(time.Second), Now: now}, ahead},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := flat(scrape(t, worldHandler(t, &statistics{census: test.census}, prometheus.WorldOptions{})))
			if !maps.Equal(got, test.want) {
				t.Errorf("%s: got %v, want %v", test.reason, got, test.want)
			}
		})
	}
}

func TestOneCensusAnswersManyScrapes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &statistics{}
		h := worldHandler(t, s, prometheus.WorldOptions{})
		for _, step := range []struct {
			wait  time.Duration
			calls int
		}{{0, 1}, {4 * time.Second, 1}, {time.Second, 2}, {time.Second, 2}} {
			time.Sleep(step.wait)
			scrape(t, h)
			if s.calls != step.calls {
				t.Errorf("after %s more: got %d calls, want %d", step.wait, s.calls, step.calls)
			}
		}
	})
}

func TestAStoreThatIsAwayDoesNotFailTheScrape(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		s := &statistics{hangs: true}
		registry := prom.NewRegistry()
		logger := slog.New(slog.NewTextHandler(&log, nil))
		m, err := prometheus.New(prometheus.Options{Registry: registry, Service: "producer", Function: "intake", Log: logger})
		if err != nil {
			t.Fatal(err)
		}
		if err := registry.Register(prometheus.NewWorldCollector(s, prometheus.WorldOptions{Log: logger})); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		families := scrape(t, m.Handler())
		if took := time.Since(began); took != prometheus.DefaultTimeout {
			t.Errorf("the scrape took %s, want %s", took, prometheus.DefaultTimeout)
		}
		_, world := families["kbnt_stuck_requests"]
		_, process := families["kbnt_end_to_end_latency_seconds"]
		if world || !process {
			t.Errorf("want the metrics of the process, and none of the world: got %v", families)
		}
		scrape(t, m.Handler())
		if n := strings.Count(log.String(), "left out of this scrape"); n != 1 || s.calls != 1 {
			t.Errorf("two scrapes at once: logged %d times after %d calls, want 1 and 1: %s", n, s.calls, log.String())
		}
		time.Sleep(prometheus.DefaultMaxAge)
		s.hangs = false
		if _, ok := scrape(t, m.Handler())["kbnt_stuck_requests"]; !ok {
			t.Error("the store is back: want its metrics back")
		}
	})
}

func TestALabelThatCannotBeShownIsLeftOut(t *testing.T) {
	t.Parallel()
	s := &statistics{census: application.Census{DeadLetters: map[string]int{"\xff": 1}}}
	got := flat(scrape(t, worldHandler(t, s, prometheus.WorldOptions{Log: slog.New(slog.DiscardHandler)})))
	if want := nothing(); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
