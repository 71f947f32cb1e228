package eventing_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/eventing"
	"sigs.k8s.io/yaml"
)

// document is a manifest, with the fields of all the kinds in use. It is read
// strictly: a field that is not here is a typing error, or needs a rule first.
type document struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   metadata          `json:"metadata"`
	Spec       spec              `json:"spec"`
	Data       map[string]string `json:"data"` // ConfigMap
}

type metadata struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

type spec struct {
	Partitions int            `json:"partitions"` // KafkaTopic
	Replicas   int            `json:"replicas"`
	Config     map[string]any `json:"config"` // KafkaTopic: settings; Broker: a reference

	Topic            string   `json:"topic"`  // KafkaSink
	Topics           []string `json:"topics"` // KafkaSource
	BootstrapServers []string `json:"bootstrapServers"`
	ContentMode      string   `json:"contentMode"`

	ConsumerGroup string    `json:"consumerGroup"`
	InitialOffset string    `json:"initialOffset"`
	Ordering      string    `json:"ordering"`
	Consumers     int       `json:"consumers"`
	Delivery      *delivery `json:"delivery"` // KafkaSource, Broker, Trigger
	Sink          target    `json:"sink"`

	Broker     string   `json:"broker"` // Trigger
	Filters    []filter `json:"filters"`
	Subscriber target   `json:"subscriber"`

	Schedule    string `json:"schedule"` // PingSource
	Timezone    string `json:"timezone"`
	ContentType string `json:"contentType"`
	Data        string `json:"data"`
}

type filter struct {
	Exact map[string]string `json:"exact"`
}

type target struct {
	Ref reference `json:"ref"`
}

type reference struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	Namespace  string `json:"namespace"`
}

type delivery struct {
	Retry          *int   `json:"retry"` // nil is not 0 for a reader, but it is for Knative
	BackoffPolicy  string `json:"backoffPolicy"`
	BackoffDelay   string `json:"backoffDelay"`
	Timeout        string `json:"timeout"`
	DeadLetterSink target `json:"deadLetterSink"`
}

// pauses adds up the delays between the tries, as Knative's dispatcher makes
// them: n from 1, without a cap.
func (d *delivery) pauses() (time.Duration, error) {
	delay, err := iso8601(d.BackoffDelay)
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for n := 1; n <= *d.Retry; n++ {
		switch d.BackoffPolicy {
		case "linear":
			sum += delay * time.Duration(n)
		case "exponential":
			sum += delay << n
		default:
			return 0, fmt.Errorf("backoffPolicy %q: want linear or exponential", d.BackoffPolicy)
		}
	}
	return sum, nil
}

// iso8601 reads a duration of seconds, the only form in use: PT2S, PT0.5S.
func iso8601(s string) (time.Duration, error) {
	number, ok := strings.CutPrefix(s, "PT")
	number, unit := strings.CutSuffix(number, "S")
	seconds, err := strconv.ParseFloat(number, 64)
	if !ok || !unit || err != nil || seconds <= 0 {
		return 0, fmt.Errorf("duration %q: want seconds above 0 such as PT2S", s)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

const kustomization = "kustomization.yaml"

// manifestFiles are the names of the embedded documents.
func manifestFiles(t *testing.T) []string {
	t.Helper()
	entries, err := fs.ReadDir(eventing.Manifests, "manifests")
	if err != nil {
		t.Fatalf("list the manifests: %v", err)
	}
	var names []string
	for _, entry := range entries {
		if entry.Name() != kustomization {
			names = append(names, entry.Name())
		}
	}
	return names
}

// manifests reads the documents of some kinds, of all kinds if none is given.
func manifests(t *testing.T, kinds ...string) []document {
	t.Helper()
	var list []document
	for _, name := range manifestFiles(t) {
		text, err := fs.ReadFile(eventing.Manifests, path.Join("manifests", name))
		if err != nil {
			t.Fatalf("read a manifest: %v", err)
		}
		if bytes.Contains(text, []byte("\n---")) {
			t.Fatalf("%s: got several documents, want one per file", name)
		}
		var doc document
		if err := yaml.UnmarshalStrict(text, &doc); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(kinds) == 0 || slices.Contains(kinds, doc.Kind) {
			list = append(list, doc)
		}
	}
	if len(list) == 0 {
		t.Fatalf("there is no manifest of the kinds %q", kinds)
	}
	return list
}

// String names a document in messages.
func (d document) String() string { return d.Kind + " " + d.Metadata.Name }

// names are the names of some documents.
func names(docs []document) []string {
	var list []string
	for _, doc := range docs {
		list = append(list, doc.Metadata.Name)
	}
	return list
}
