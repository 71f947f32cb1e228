package monitoring_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A parser of PromQL would bring the Prometheus server along. Two patterns find
// what these queries name; what they cannot read, promtool refuses or a panel
// shows empty.
var (
	selector = regexp.MustCompile(`\b(kbnt[_:][a-zA-Z0-9_:]*)(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)\s*"`)
	grouping = regexp.MustCompile(`\b(?:by|without|on|ignoring)\s*\(([^)]*)\)`)
)

// target are labels that Prometheus adds to what it scrapes.
var target = []string{"namespace", "pod", "container", "job", "instance"}

// faults are the sentences about what a query names and nobody exposes. recorded
// are the names that rules make.
func faults(query string, metrics map[string]shape, recorded []string) (wrong []string) {
	labels := slices.Concat(target, []string{"le"})
	found := false
	for _, match := range selector.FindAllStringSubmatch(query, -1) {
		name, matchers := match[1], match[2]
		found = true
		if slices.Contains(recorded, name) {
			continue
		}
		metric, ok := metrics[name]
		if base, part := histogramOf(name); !ok && part != "" {
			metric, ok = metrics[base]
			ok = ok && metric.histogram
		} else if ok && metric.histogram {
			wrong = append(wrong, fmt.Sprintf("%s is a histogram: want its _bucket, _sum or _count", name))
		}
		if !ok {
			wrong = append(wrong, fmt.Sprintf("no function exposes %s", name))
			continue
		}
		labels = append(labels, metric.labels...)
		for _, m := range matcher.FindAllStringSubmatch(matchers, -1) {
			known := slices.Concat(metric.labels, target)
			if strings.HasSuffix(name, "_bucket") {
				known = append(known, "le")
			}
			if !slices.Contains(known, m[1]) {
				wrong = append(wrong, fmt.Sprintf("%s has no label %s, only %q", name, m[1], known))
			}
		}
	}
	if !found {
		wrong = append(wrong, "it asks for no metric of ours")
	}
	for _, group := range grouping.FindAllStringSubmatch(query, -1) {
		for _, label := range strings.FieldsFunc(group[1], func(r rune) bool { return r == ',' || r == ' ' }) {
			// A recorded series has the labels it was grouped by, and no others.
			if !slices.Contains(labels, label) && !slices.Contains(everyLabel(metrics), label) {
				wrong = append(wrong, fmt.Sprintf("it groups by %s, which no metric has", label))
			}
		}
	}
	return wrong
}

func histogramOf(name string) (base, part string) {
	for _, part := range []string{"_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, part); ok {
			return base, part
		}
	}
	return name, ""
}

func everyLabel(metrics map[string]shape) (labels []string) {
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		labels = append(labels, metrics[name].labels...)
	}
	return labels
}

// The check is seen to fail.
func TestFaults(t *testing.T) {
	t.Parallel()
	metrics := exposed(t)
	tests := map[string]struct {
		reason, query string
		want          string // part of the one fault; empty: none
	}{
		"a gauge":             {"as it is", `max by (reason) (kbnt_dead_letters{reason!="refused"})`, ""},
		"a counter":           {"its own labels and the common ones", `sum by (function) (rate(kbnt_messages_sent_total{topic="x",service="producer"}[5m]))`, ""},
		"a bucket":            {"has le", `histogram_quantile(0.9, sum by (le) (rate(kbnt_end_to_end_latency_seconds_bucket{le="1"}[5m])))`, ""},
		"recorded":            {"rules make it", `kbnt:thing:now > 0`, ""},
		"renamed":             {"nobody exposes it", `kbnt_dead_letter > 0`, "no function exposes kbnt_dead_letter"},
		"half a name":         {"a prefix is another metric", `kbnt_messages_sent`, "no function exposes"},
		"a wrong label":       {"it would match nothing", `kbnt_dead_letters{cause="x"}`, "has no label cause"},
		"a wrong grouping":    {"it would group nothing", `sum by (kind) (kbnt_queue_size)`, "groups by kind"},
		"a bare histogram":    {"there is no such series", `rate(kbnt_vm_boot_time_seconds[5m])`, "is a histogram"},
		"a bucket of a gauge": {"there are none", `kbnt_queue_size_bucket`, "no function exposes"},
		"le of a count":       {"only buckets have it", `kbnt_vm_boot_time_seconds_count{le="1"}`, "has no label le"},
		"nothing of ours":     {"what for?", `up == 0`, "no metric of ours"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := faults(test.query, metrics, []string{"kbnt:thing:now"})
			if test.want == "" && len(got) > 0 || test.want != "" && (len(got) != 1 || !strings.Contains(got[0], test.want)) {
				t.Errorf("%s: got %q, want one with %q (%s)", test.query, got, test.want, test.reason)
			}
		})
	}
}
