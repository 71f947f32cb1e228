package local

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The registry of sarama's metrics ticks for the life of the process.
		goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"),
		// sarama's circuit breaker sleeps for 10 s after Kafka was away, and ends.
		goleak.IgnoreAnyFunction("github.com/eapache/go-resiliency/breaker.(*Breaker).timer"),
	)
}

// An event posted to a sink arrives at the function behind the source.
func TestEndToEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t).open(nil).start()
	if got := w.post(w.SinkURL("requests"), newEvent("one", "user-1")); got != http.StatusAccepted {
		t.Fatalf("post: status %d, want 202", got)
	}
	got := w.provision.next()
	if got.ID() != "one" || string(got.Data()) != `{"id":"one"}` || got.Extensions()["stage"] != "laptop" {
		t.Errorf("delivered %s", got.Event)
	}
	for name, values := range got.header {
		if len(values) != 1 {
			t.Errorf("header %s has %d values, want one: %q", name, len(values), values)
		}
	}

	// A structured topic, a sink with a path, an ordered source.
	if got := w.post(w.SinkURL("results"), newEvent("two", "user-1")); got != http.StatusAccepted {
		t.Fatalf("post: status %d, want 202", got)
	}
	if got := w.notify.next(); got.ID() != "two" || got.path != "/results" {
		t.Errorf("delivered %s to %s", got.Event, got.path)
	}
	if record := w.records(w.name+"-results", 1)[0]; string(record.Value[0]) != "{" || string(record.Key) != "user-1" {
		t.Errorf("record of a structured sink: key %q, value %q", record.Key, record.Value)
	}
}

// What a function refuses goes to the dead letters, whose sink is played too.
func TestRefusedEventIsDeadLettered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.provision.answers(status(http.StatusBadRequest))
	w.open(nil).start()
	w.post(w.SinkURL("requests"), newEvent("bad", "user-1"))
	record := w.records(w.name+"-dead-letters", 1)[0]
	dead, err := decodeRecord(record)
	if err != nil {
		t.Fatal(err)
	}
	if dead.ID() != "bad" || dead.Extensions()["knativeerrorcode"] != "400" || dead.Extensions()["knativeerrordest"] != w.provision.URL || string(record.Key) != "user-1" {
		t.Errorf("dead letter %s with key %q", dead, record.Key)
	}
	if got := len(w.provision.got); got != 1 {
		t.Errorf("the function was asked %d times, want once: 400 is not retried", got)
	}
}

// An ordered source has one call per partition in progress, an unordered one
// about a hundred in all.
func TestInFlight(t *testing.T) {
	t.Parallel()
	const events = 120
	for name, test := range map[string]struct {
		ordering string
		want     int64
	}{
		"ordered":   {"ordered", 3},
		"unordered": {"unordered", maxInFlight},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var running, most, total atomic.Int64
			full, release := make(chan struct{}), make(chan struct{})
			w.provision.answers(func(http.ResponseWriter, *http.Request) {
				n := running.Add(1)
				for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
				}
				if total.Add(1) == test.want {
					close(full)
				}
				<-release
				running.Add(-1)
			})
			w.open(nil, "ordering: unordered", "ordering: "+test.ordering)
			for i := range events {
				if got := w.post(w.SinkURL("requests"), newEvent(fmt.Sprint(i), fmt.Sprint("key-", i))); got != http.StatusAccepted {
					t.Fatalf("post: status %d", got)
				}
			}
			w.start()
			select {
			case <-full:
			case <-time.After(patience):
				t.Fatalf("%d calls in progress, want %d", running.Load(), test.want)
			}
			close(release)
			for range events {
				w.provision.next()
			}
			if got := most.Load(); got != test.want {
				t.Errorf("at most %d calls in progress, want %d", got, test.want)
			}
		})
	}
}

// One key stays in order through an ordered source.
func TestOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t).open(nil, "ordering: unordered", "ordering: ordered").start()
	for i := range 30 {
		w.post(w.SinkURL("requests"), newEvent(fmt.Sprint(i), "one-key"))
	}
	for i := range 30 {
		if got := w.provision.next(); got.ID() != fmt.Sprint(i) {
			t.Fatalf("delivery %d is event %s", i, got.ID())
		}
	}
}

// One write to the Broker lands in its topic and feeds the Triggers; what a
// subscriber replies is written to the topic too.
func TestBrokerAndTrigger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.subscriber.answers(func(rw http.ResponseWriter, _ *http.Request) {
		for name, value := range map[string]string{"Ce-Specversion": "1.0", "Ce-Id": "reply", "Ce-Type": "reply", "Ce-Source": "/subscriber"} {
			rw.Header().Set(name, value)
		}
	})
	w.open(nil).start()
	other := newEvent("other", "user-1")
	other.SetType("dev.kbnt.virtualization.failed")
	w.post(w.BrokerURL("public"), other)
	w.post(w.BrokerURL("public"), newEvent("done", "user-1"))
	if got := w.subscriber.next(); got.ID() != "done" {
		t.Errorf("delivered %s, want the event its filter wants", got.Event)
	}
	ids := make(map[string]bool)
	for _, record := range w.records(w.name+"-events", 3) {
		e, err := decodeRecord(record)
		if err != nil {
			t.Fatal(err)
		}
		ids[e.ID()] = true
	}
	if !ids["other"] || !ids["done"] || !ids["reply"] {
		t.Errorf("the Broker's topic has %v, want other, done and reply", ids)
	}
	w.subscriber.none()

	reported := false
	for _, r := range w.Reports() {
		reported = reported || r.Object == "Trigger kbnt/example" && strings.Contains(r.Text, "not-on-a-laptop is not on this machine")
	}
	if !reported {
		t.Errorf("the Trigger without its subscriber is not in the reports %q", w.Reports())
	}
}

// A subscriber's 2xx with a body that is no event is a failure.
func TestTriggerReplyWithoutEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.subscriber.answers(func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, "ok") })
	w.open(nil).start()
	w.post(w.BrokerURL("public"), newEvent("done", ""))
	dead, err := decodeRecord(w.records(w.name+"-dead-letters", 1)[0])
	if err != nil || dead.ID() != "done" || dead.Extensions()["knativeerrorcode"] != nil {
		t.Errorf("dead letter %v, %v, want done without a code: the status was a success", dead, err)
	}
}

// A Trigger starts at the end of the log, and stays there over a restart that
// happens before its first event.
func TestTriggerStartsAtEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	inDir := func(o *Options) { o.DataDir = dir }
	w := newWorld(t).open(inDir)
	w.post(w.BrokerURL("public"), newEvent("before", ""))
	w.start()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w.open(inDir)
	w.post(w.BrokerURL("public"), newEvent("between", ""))
	w.start()
	if got := w.subscriber.next(); got.ID() != "between" {
		t.Errorf("delivered %s, want the first event after the first start", got.Event)
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	w := newWorld(t).open(func(o *Options) { o.SweepEvery = 10 * time.Millisecond }).start()
	for range 2 {
		if got := w.sweeper.next(); got.Type() != "dev.knative.sources.ping" || string(got.Data()) != `{"sweep": true}` {
			t.Errorf("tick %s", got.Event)
		}
	}
}

// An empty body is a null value, and arrives as an event without data.
func TestTombstone(t *testing.T) {
	t.Parallel()
	w := newWorld(t).open(nil).start()
	e := newEvent("gone", "user-1")
	e.DataEncoded = nil
	w.post(w.SinkURL("requests"), e)
	if got := w.provision.next(); got.ID() != "gone" || len(got.Data()) != 0 {
		t.Errorf("delivered %s", got.Event)
	}
	if record := w.records(w.name+"-requests", 1)[0]; record.Value != nil {
		t.Errorf("value %q, want null", record.Value)
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	m, err := parseText(aTopic, aSink)
	if err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	addr := taken.Addr().String()
	dir := t.TempDir()
	first, err := Open(t.Context(), Options{Manifests: m, KafkaAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0", DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	for name, test := range map[string]struct {
		options Options
		want    []string
	}{
		"no manifests": {Options{}, []string{"Options.Manifests"}},
		"HTTP taken":   {Options{Manifests: m, HTTPAddr: addr, KafkaAddr: "127.0.0.1:0"}, []string{addr, "Options.HTTPAddr"}},
		"Kafka taken":  {Options{Manifests: m, HTTPAddr: "127.0.0.1:0", KafkaAddr: addr}, []string{addr, "Options.KafkaAddr"}},
		"no host":      {Options{Manifests: m, HTTPAddr: "127.0.0.1:0", KafkaAddr: ":0"}, []string{"Options.KafkaAddr", "no host"}},
		"data in use":  {Options{Manifests: m, HTTPAddr: "127.0.0.1:0", KafkaAddr: "127.0.0.1:0", DataDir: dir}, []string{dir, "Options.DataDir", "in use by another process"}},
		"no Kafka":     {Options{Manifests: m, HTTPAddr: "127.0.0.1:0", Brokers: []string{"127.0.0.1:1"}}, []string{"connect to Kafka at [127.0.0.1:1]"}},
	} {
		_, err := Open(t.Context(), test.options)
		for _, want := range test.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: Open: %v, want %q in it", name, err, want)
			}
		}
	}
}

func TestStartSourcesErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t).open(nil)
	delete(w.services, "provision")
	delete(w.services, "sweeper")
	err := w.StartSources(t.Context(), w.services)
	for _, want := range []string{
		"sources.yaml: KafkaSource kbnt/requests: spec.sink: no address is known of the Knative Service provision",
		"sweep.yaml: PingSource kbnt/sweep: spec.sink: no address is known of the Knative Service sweeper",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("StartSources: %v, want %q in it", err, want)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.StartSources(context.Background(), w.services); err == nil {
		t.Error("StartSources after Close succeeds")
	}
	if err := w.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// What does not fit a record of 1 MiB is refused with 503, never with 413.
func TestRecordLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t).open(nil)
	for size, want := range map[int]int{
		1<<20 - 4096: http.StatusAccepted,
		1 << 20:      http.StatusServiceUnavailable,
	} {
		e := newEvent("large", "user-1")
		e.DataEncoded = make([]byte, size)
		if got := w.post(w.SinkURL("requests"), e); got != want {
			t.Errorf("data of %d bytes: status %d, want %d", size, got, want)
		}
	}
}

// A key finds the partition that a Java producer would choose.
func TestKeysArePlacedAsInJava(t *testing.T) {
	t.Parallel()
	w := newWorld(t).open(nil)
	for i := range 20 {
		w.post(w.SinkURL("requests"), newEvent(fmt.Sprint(i), fmt.Sprint("user-", i)))
	}
	for _, record := range w.records(w.name+"-requests", 20) {
		if want := murmur2(record.Key) & 0x7fffffff % 3; record.Partition != want {
			t.Errorf("key %s is in partition %d, want %d", record.Key, record.Partition, want)
		}
	}
}

// A KafkaSource reads committed records only, a Trigger reads aborted ones too.
func TestIsolation(t *testing.T) {
	t.Parallel()
	w := newWorld(t).open(nil).start()
	config := clientConfig()
	config.Producer.Idempotent = true
	config.Producer.Transaction.ID = w.name
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	config.Net.MaxOpenRequests = 1
	writer, err := sarama.NewSyncProducer(w.Brokers(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	if err := writer.BeginTxn(); err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{"-requests", "-events"} {
		e := newEvent("aborted", "user-1")
		record, err := encode(&e, w.name+topic, false)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := writer.SendMessage(record); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.subscriber.next(); got.ID() != "aborted" {
		t.Errorf("the Trigger delivered %s, want the record of the open transaction", got.Event)
	}
	if err := writer.AbortTxn(); err != nil {
		t.Fatal(err)
	}
	w.post(w.SinkURL("requests"), newEvent("committed", "user-1"))
	if got := w.provision.next(); got.ID() != "committed" {
		t.Errorf("the KafkaSource delivered %s, want the committed event only", got.Event)
	}
}
