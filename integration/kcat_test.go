//go:build integration

package integration

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"kbnt.dev/virtualization/eventing"
)

// kcat runs librdkafka's command line client against a broker and returns what
// it printed. It skips the test where kcat is not installed.
func kcat(t *testing.T, broker string, args ...string) string {
	t.Helper()
	program, err := exec.LookPath("kcat")
	if errors.Is(err, exec.ErrNotFound) {
		program, err = exec.LookPath("kafkacat") // its name before 1.7
	}
	if err != nil {
		t.Skip("kcat is not installed; on Debian: apt-get install kcat")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, program, append([]string{"-b", broker}, args...)...)
	var said strings.Builder
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", c.Args, err, said.String())
	}
	return string(out)
}

// A record of the embedded Kafka, in binary content mode, reads the same through
// a client that shares no code with it: the key, every ce_ header, the bytes.
func TestKcatReadsAnEvent(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, eventing.TopicEvents))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	broker := cluster.ListenAddrs()[0]

	client, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	headers := [][2]string{
		{"ce_specversion", "1.0"}, {"ce_id", "7d444840-9dc0-11d1-b245-5ffdce74fad2"}, {"ce_source", eventing.SourceNotify},
		{"ce_type", eventing.TypeCompleted}, {"ce_subject", "VM-12AB34CD"}, {"content-type", eventing.ContentTypeJSON},
	}
	const key, data = "user-789", `{"eventType":"VIRTUALIZATION_COMPLETED"}`
	record := &kgo.Record{Topic: eventing.TopicEvents, Key: []byte(key), Value: []byte(data)}
	var want []string
	for _, h := range headers {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: h[0], Value: []byte(h[1])})
		want = append(want, h[0]+"="+h[1])
	}
	if err := client.ProduceSync(t.Context(), record).FirstErr(); err != nil {
		t.Fatalf("produce to the embedded Kafka: %v", err)
	}

	// From the beginning (-o) to the end (-e): key, headers, value.
	got := kcat(t, broker, "-C", "-q", "-t", eventing.TopicEvents, "-o", "beginning", "-e", "-f", `%k\n%h\n%s\n`)
	if want := key + "\n" + strings.Join(want, ",") + "\n" + data + "\n"; got != want {
		t.Errorf("kcat read\n%swant\n%s", got, want)
	}
}

// What kcat produces, headers included, is what a consumer of ours gets.
func TestKcatProducesAnEvent(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, eventing.TopicRequests))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	broker := cluster.ListenAddrs()[0]
	file := filepath.Join(t.TempDir(), "event")
	if err := os.WriteFile(file, []byte("a message id\tsome data\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	kcat(t, broker, "-P", "-t", eventing.TopicRequests, "-K", `\t`, "-H", "ce_type="+eventing.TypeRequested, "-l", file)

	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics(eventing.TopicRequests))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	fetched := client.PollFetches(ctx)
	if err := fetched.Err(); err != nil {
		t.Fatalf("consume from the embedded Kafka: %v", err)
	}
	r := fetched.Records()[0]
	if string(r.Key) != "a message id" || string(r.Value) != "some data" || len(r.Headers) != 1 ||
		r.Headers[0].Key != "ce_type" || string(r.Headers[0].Value) != eventing.TypeRequested {
		t.Errorf("got key %q, value %q, headers %v, want what kcat was told", r.Key, r.Value, r.Headers)
	}
}
