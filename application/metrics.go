package application

import (
	"strings"
	"time"
)

// Metric is the name and the shape of one metric of the product. The names are
// a contract with dashboards and alerts; where the source of the product has
// both "_ms" and base units, both are kept.
type Metric struct {
	Name    string
	Help    string
	Labels  []string  // after service and function, which every metric has
	Buckets []float64 // upper bounds of a histogram; nil: a counter
}

// millis and seconds cover 1 ms to 10 minutes: publishing takes milliseconds, a
// machine takes minutes.
var (
	millis  = []float64{1, 2.5, 5, 10, 25, 45, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000}
	seconds = []float64{.001, .0025, .005, .01, .025, .045, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}
)

// Counters and histograms that the functions feed. Gauges about the world are
// not here: intake computes them from the store ([Census]).
var (
	RequestsTotal      = Metric{Name: "kbnt_virtualization_requests_total", Help: "Requests accepted.", Labels: []string{"type"}}
	MessagesSent       = Metric{Name: "kbnt_messages_sent_total", Help: "Events acknowledged by a sink.", Labels: []string{"topic"}}
	MessagesReceived   = Metric{Name: "kbnt_messages_received_total", Help: "Events received, each counted at its first delivery.", Labels: []string{"type"}}
	MessagesProcessed  = Metric{Name: "kbnt_messages_processed_total", Help: "Requests decided or announced.", Labels: []string{"status"}}
	MessagesFailed     = Metric{Name: "kbnt_messages_failed_total", Help: "Requests refused and deliveries that were trouble.", Labels: []string{"reason"}}
	TopicMessages      = Metric{Name: "kbnt_topic_messages_total", Help: "Events known to be in a topic.", Labels: []string{"topic"}}
	BusinessOperations = Metric{Name: "kbnt_business_operations_total", Help: "Operations by request type and how they ended.", Labels: []string{"operation", "status"}}
	AllocationSuccess  = Metric{Name: "kbnt_resource_allocation_success_total", Help: "Resources that became ready.", Labels: []string{"resource_type"}}
	ResourcesCreated   = Metric{Name: "kbnt_virtual_resources_created_total", Help: "Creations that ended.", Labels: []string{"resource_type", "status", "region"}}
	RequestDurationMs  = Metric{Name: "kbnt_request_processing_duration_ms", Help: "Posting to answering, in milliseconds.", Buckets: millis}
	RequestDuration    = Metric{Name: "kbnt_request_processing_duration_seconds", Help: "Posting to answering.", Buckets: seconds}
	MessageLatencyMs   = Metric{Name: "kbnt_message_processing_latency_ms", Help: "Receiving an event to answering it, in milliseconds.", Buckets: millis}
	MessageLatency     = Metric{Name: "kbnt_message_processing_latency_seconds", Help: "Receiving an event to answering it.", Buckets: seconds}
	ProcessingDuration = Metric{Name: "kbnt_processing_duration_seconds", Help: "Publishing or processing one message.", Labels: []string{"operation"}, Buckets: seconds}
	BootTime           = Metric{Name: "kbnt_vm_boot_time_seconds", Help: "Machine switched on to ready.", Buckets: seconds}
	EndToEndLatency    = Metric{Name: "kbnt_end_to_end_latency_seconds", Help: "Request accepted to terminal event acknowledged.", Buckets: seconds}
	EstimateError      = Metric{Name: "kbnt_estimate_error_seconds", Help: "Distance between estimated and actual time to decision.", Labels: []string{"type"}, Buckets: seconds}
)

// Metrics lists all of the above.
func Metrics() []Metric {
	return []Metric{
		RequestsTotal, MessagesSent, MessagesReceived, MessagesProcessed, MessagesFailed, TopicMessages, BusinessOperations,
		AllocationSuccess, ResourcesCreated, RequestDurationMs, RequestDuration, MessageLatencyMs, MessageLatency,
		ProcessingDuration, BootTime, EndToEndLatency, EstimateError,
	}
}

// tally collects what a transaction is about to count, so that its history can
// name the series it touches, and counts only after the commit.
type tally struct{ adds []sample }

type sample struct {
	metric Metric
	value  float64
	labels []string
}

func (t *tally) add(m Metric, value float64, labels ...string) {
	t.adds = append(t.adds, sample{m, value, labels})
}

// series names what was collected, as a scrape would show it but for the labels
// service and function.
func (t *tally) series() []string {
	names := make([]string, len(t.adds))
	for i, s := range t.adds {
		pairs := make([]string, len(s.labels))
		for j, l := range s.labels {
			pairs[j] = s.metric.Labels[j] + "=" + l
		}
		names[i] = s.metric.Name
		if len(pairs) > 0 {
			names[i] += "{" + strings.Join(pairs, ",") + "}"
		}
	}
	return names
}

// count hands what was collected to the meter.
func (t *tally) count(m Meter) {
	for _, s := range t.adds {
		if s.metric.Buckets != nil {
			m.Observe(s.metric, s.value, s.labels...)
		} else {
			m.Add(s.metric, s.value, s.labels...)
		}
	}
}

// measure times one delivery, from its call until the returned function is
// called, and counts one that was trouble.
func measure(m Meter, clock Clock, err *error) func() {
	started := clock()
	return func() {
		took := clock().Sub(started)
		m.Observe(MessageLatency, took.Seconds())
		m.Observe(MessageLatencyMs, float64(took)/float64(time.Millisecond))
		if *err != nil && !waits(*err) && !codeIs(*err, CodeBusy) {
			m.Add(MessagesFailed, 1, "exception")
		}
	}
}
