package prometheus_test

import (
	"io"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/infrastructure/prometheus"
)

// meter is one for provision, with what it logs.
func meter(t *testing.T) (*prometheus.Meter, *prom.Registry, *strings.Builder) {
	t.Helper()
	var log strings.Builder
	registry := prom.NewRegistry()
	m, err := prometheus.New(prometheus.Options{
		Registry: registry, Service: "consumer", Function: "provision", Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return m, registry, &log
}

// series is one line of a scrape, a histogram's lines taken together.
type series struct {
	labels []string // "name=value", in order
	value  float64  // of a counter or gauge; how many a histogram has observed
}

// family is one metric of a scrape.
type family struct {
	help, kind string // kind: "COUNTER", "GAUGE", "HISTOGRAM"
	series     []series
}

// scrape reads what the handler shows in the text format, by name.
func scrape(t *testing.T, h http.Handler) map[string]family {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("got %d: %s", w.Code, w.Body)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	parsed, err := parser.TextToMetricFamilies(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	families := map[string]family{}
	for name, p := range parsed {
		f := family{help: p.GetHelp(), kind: p.GetType().String()}
		for _, m := range p.Metric {
			s := series{value: m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())}
			for _, l := range m.Label {
				s.labels = append(s.labels, l.GetName()+"="+l.GetValue())
			}
			slices.Sort(s.labels)
			f.series = append(f.series, s)
		}
		families[name] = f
	}
	return families
}

// TestEveryMetricOfTheSpecification holds the names and labels of section 7 of
// the specification, but for the recording rules, against a scrape.
func TestEveryMetricOfTheSpecification(t *testing.T) {
	t.Parallel()
	const own = "function,service"
	want := map[string]string{ // name -> all its labels
		"kbnt_virtualization_requests_total":       own + ",type",
		"kbnt_messages_sent_total":                 own + ",topic",
		"kbnt_messages_received_total":             own + ",type",
		"kbnt_messages_processed_total":            own + ",status",
		"kbnt_messages_failed_total":               own + ",reason",
		"kbnt_topic_messages_total":                own + ",topic",
		"kbnt_business_operations_total":           own + ",operation,status",
		"kbnt_request_processing_duration_ms":      own,
		"kbnt_request_processing_duration_seconds": own,
		"kbnt_message_processing_latency_ms":       own,
		"kbnt_message_processing_latency_seconds":  own,
		"kbnt_processing_duration_seconds":         own + ",operation",
		"kbnt_resource_allocation_success_total":   own + ",resource_type",
		"kbnt_virtual_resources_created_total":     own + ",region,resource_type,status",
		"kbnt_vm_boot_time_seconds":                own,
		"kbnt_end_to_end_latency_seconds":          own,
		"kbnt_estimate_error_seconds":              own + ",type",
		"kbnt_cold_start_seconds":                  "function",
		"kbnt_orphaned_resources":                  "",
		"kbnt_consumer_lag_seconds":                "",
		"kbnt_consumer_lag":                        "",
		"kbnt_queue_size":                          "priority",
		"kbnt_virtual_resources_active":            "resource_type",
		"kbnt_virtual_machines_active_gauge":       "",
		"kbnt_resource_cost_usd_total":             "",
		"kbnt_dead_letters":                        "reason",
		"kbnt_stuck_requests":                      "",
	}
	m, registry, log := meter(t)
	if err := registry.Register(prometheus.NewWorldCollector(&statistics{}, prometheus.WorldOptions{})); err != nil {
		t.Fatal(err)
	}
	for _, metric := range application.Metrics() {
		values := slices.Repeat([]string{"x"}, len(metric.Labels))
		if metric.Buckets == nil {
			m.Add(metric, 2, values...)
		} else {
			m.Observe(metric, 0.045, values...)
		}
	}
	m.ColdStart(12 * time.Millisecond)
	m.Orphans(3)
	families := scrape(t, m.Handler())
	for name, family := range families {
		if family.help == "" {
			t.Errorf("%s has no help", name)
		}
		var names []string
		for _, l := range family.series[0].labels {
			name, _, _ := strings.Cut(l, "=")
			names = append(names, name)
		}
		known := strings.FieldsFunc(want[name], func(r rune) bool { return r == ',' })
		slices.Sort(names)
		slices.Sort(known)
		if !slices.Equal(names, known) {
			t.Errorf("%s: got labels %q, want %q", name, names, known)
		}
		if strings.HasSuffix(name, "_total") != (family.kind == "COUNTER") {
			t.Errorf("%s: got type %s", name, family.kind)
		}
	}
	if got, known := slices.Sorted(maps.Keys(families)), slices.Sorted(maps.Keys(want)); !slices.Equal(got, known) {
		t.Errorf("got metrics %v, want %v", got, known)
	}
	for name, value := range map[string]float64{"kbnt_cold_start_seconds": 0.012, "kbnt_orphaned_resources": 3} {
		if got := families[name].series[0].value; got != value {
			t.Errorf("%s: got %v, want %v", name, got, value)
		}
	}
	sent, labels := families["kbnt_messages_sent_total"].series[0], []string{"function=provision", "service=consumer", "topic=x"}
	if sent.value != 2 || !slices.Equal(sent.labels, labels) {
		t.Errorf("got %v, want 2 with %v", sent, labels)
	}
	if log.Len() > 0 {
		t.Errorf("logged: %s", log)
	}
}

func TestUnknownIsNotZero(t *testing.T) {
	t.Parallel()
	m, _, _ := meter(t)
	families := scrape(t, m.Handler())
	for _, name := range []string{"kbnt_cold_start_seconds", "kbnt_orphaned_resources"} {
		if f, ok := families[name]; ok {
			t.Errorf("%s: got %v before anybody knows it", name, f)
		}
	}
	if f, ok := families["kbnt_end_to_end_latency_seconds"]; !ok || f.series[0].value != 0 {
		t.Errorf("a histogram without labels: got %v, want it to begin with none observed", f)
	}
}

func TestMisuseIsLoggedOnceAndDropped(t *testing.T) {
	t.Parallel()
	unknown := application.Metric{Name: "kbnt_typos_total"}
	tests := map[string]struct {
		metric string
		use    func(*prometheus.Meter)
	}{
		"too few labels":      {"kbnt_messages_sent_total", func(m *prometheus.Meter) { m.Add(application.MessagesSent, 1) }},
		"too many labels":     {"kbnt_messages_sent_total", func(m *prometheus.Meter) { m.Add(application.MessagesSent, 1, "a", "b") }},
		"no UTF-8":            {"kbnt_messages_sent_total", func(m *prometheus.Meter) { m.Add(application.MessagesSent, 1, "\xff") }},
		"negative":            {"kbnt_messages_sent_total", func(m *prometheus.Meter) { m.Add(application.MessagesSent, -1, "a") }},
		"NaN added":           {"kbnt_messages_sent_total", func(m *prometheus.Meter) { m.Add(application.MessagesSent, math.NaN(), "a") }},
		"infinity added":      {"kbnt_messages_sent_total", func(m *prometheus.Meter) { m.Add(application.MessagesSent, math.Inf(1), "a") }},
		"NaN observed":        {"kbnt_vm_boot_time_seconds", func(m *prometheus.Meter) { m.Observe(application.BootTime, math.NaN()) }},
		"label of none":       {"kbnt_vm_boot_time_seconds", func(m *prometheus.Meter) { m.Observe(application.BootTime, 1, "a") }},
		"histogram added to":  {"kbnt_vm_boot_time_seconds", func(m *prometheus.Meter) { m.Add(application.BootTime, 1) }},
		"counter observed":    {"kbnt_messages_sent_total", func(m *prometheus.Meter) { m.Observe(application.MessagesSent, 1, "a") }},
		"unknown counter":     {"kbnt_typos_total", func(m *prometheus.Meter) { m.Add(unknown, 1) }},
		"unknown histogram":   {"kbnt_typos_total", func(m *prometheus.Meter) { m.Observe(unknown, 1) }},
		"nothing but a label": {"kbnt_typos_total", func(m *prometheus.Meter) { m.Add(unknown, 0, "a") }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, _, log := meter(t)
			test.use(m)
			test.use(m)
			if n := strings.Count(log.String(), "metric="+test.metric); n != 1 {
				t.Errorf("logged %d times, want once: %s", n, log)
			}
			for name, f := range scrape(t, m.Handler()) {
				for _, s := range f.series {
					if s.value != 0 {
						t.Errorf("%s was counted: %v", name, s)
					}
				}
			}
		})
	}
}

func TestCreationTimesAreShown(t *testing.T) {
	t.Parallel()
	m, _, _ := meter(t)
	m.Add(application.MessagesSent, 1, "virtualization-results")
	server := httptest.NewServer(m.Handler())
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, "application/openmetrics-text") {
		t.Errorf("got content type %s", got)
	}
	for _, want := range []string{"kbnt_messages_sent_created{", "kbnt_vm_boot_time_seconds_created{", "# EOF\n"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("the scrape has no %q", want)
		}
	}
}

func TestARegistryHasOneMeter(t *testing.T) {
	t.Parallel()
	_, registry, _ := meter(t)
	if _, err := prometheus.New(prometheus.Options{Registry: registry, Service: "consumer", Function: "provision"}); err == nil {
		t.Error("got no error, want one: two meters would hide one another's counts")
	}
}

func TestRuntimeMetrics(t *testing.T) {
	t.Parallel()
	m, registry, log := meter(t)
	if err := prometheus.RegisterRuntime(registry); err != nil {
		t.Fatal(err)
	}
	families := scrape(t, m.Handler())
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes", "process_start_time_seconds"} {
		if _, ok := families[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}
	if err := prometheus.RegisterRuntime(registry); err == nil {
		t.Error("registering them twice: got no error")
	}
	if log.Len() > 0 {
		t.Errorf("logged: %s", log)
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	m, _, _ := meter(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				m.Add(application.MessagesSent, 1, "a")
				m.Observe(application.BootTime, 1)
				m.Add(application.MessagesSent, 1)
			}
		})
	}
	wg.Wait()
	if got := scrape(t, m.Handler())["kbnt_messages_sent_total"].series[0].value; got != 800 {
		t.Errorf("got %v, want 800", got)
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		registry := prom.NewRegistry()
		if _, err := prometheus.New(prometheus.Options{Registry: registry, Service: "producer", Function: "intake"}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRegisterRuntime(b *testing.B) {
	for b.Loop() {
		if err := prometheus.RegisterRuntime(prom.NewRegistry()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	m, err := prometheus.New(prometheus.Options{Registry: prom.NewRegistry(), Service: "producer", Function: "intake"})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		m.Add(application.ResourcesCreated, 1, "virtual-machine", "success", "us-east-1")
	}
}
