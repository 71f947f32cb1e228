package local

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// manifests of the smallest world that others are made from.
const (
	aTopic  = `{apiVersion: kafka.strimzi.io/v1, kind: KafkaTopic, metadata: {name: t}, spec: {partitions: 3, replicas: 3}}`
	aSink   = `{apiVersion: eventing.knative.dev/v1alpha1, kind: KafkaSink, metadata: {name: sink}, spec: {topic: t, bootstrapServers: [k]}}`
	aSource = `{apiVersion: sources.knative.dev/v1, kind: KafkaSource, metadata: {name: src}, spec: {
  bootstrapServers: [k], topics: [t], consumerGroup: g, initialOffset: earliest, %s,
  sink: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: f}}}}`
	aBroker = `{apiVersion: eventing.knative.dev/v1, kind: Broker, metadata: {name: b, annotations: {
  eventing.knative.dev/broker.class: Kafka, kafka.eventing.knative.dev/external.topic: t}}, spec: {%s}}`
	aTrigger = `{apiVersion: eventing.knative.dev/v1, kind: Trigger, metadata: {name: tr}, spec: {broker: b, %s}}`
	deadSink = `deadLetterSink: {ref: {apiVersion: eventing.knative.dev/v1alpha1, kind: KafkaSink, name: sink}}`
)

func parseText(documents ...string) (*Manifests, error) {
	return Parse(fstest.MapFS{"all.yaml": &fstest.MapFile{Data: []byte(strings.Join(documents, "\n---\n"))}})
}

func with(document, spec string) string { return strings.Replace(document, "%s", spec, 1) }

func TestParsePlatform(t *testing.T) {
	t.Parallel()
	m, err := Parse(os.DirFS("testdata/platform"))
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	if len(m.topics) != 4 || len(m.sinks) != 3 || len(m.sources) != 2 || len(m.brokers) != 1 || len(m.triggers) != 2 || len(m.pings) != 1 {
		t.Errorf("found %d topics, %d sinks, %d sources, %d brokers, %d triggers, %d pings", len(m.topics), len(m.sinks), len(m.sources), len(m.brokers), len(m.triggers), len(m.pings))
	}
	if got, want := m.Services(), []string{"notify", "provision", "sweeper"}; !slices.Equal(got, want) {
		t.Errorf("Services() = %v, want %v", got, want)
	}
	if got := m.topics[0].config; got["retention.ms"] != "604800000" {
		t.Errorf("topic config %v, want retention.ms as a whole number", got)
	}
	if got := m.topics[3].topic; got != "virtualization-dead-letters" {
		t.Errorf("topic %q, want its spec.topicName", got)
	}
	if s := m.sources[0]; s.namespace != "kbnt" || s.ordered || s.latest || s.delivery.retries != 2 || !s.delivery.linear || s.delivery.delay != 10*time.Millisecond || s.delivery.timeout != 10*time.Second {
		t.Errorf("source %+v", s)
	}
	if d := m.sources[1].delivery.deadLetters; d.kind != toSink || d.name != "dead-letters" {
		t.Errorf("a dead letter URI of the cluster is %+v, want the KafkaSink it means", d)
	}
	for _, want := range []string{
		"sinks.yaml: KafkaSink kbnt/requests: spec.auth: is not played",
		"network.yaml: NetworkPolicy kbnt/deny-all: has no meaning",
		"network.yaml: ConfigMap kbnt/kafka-broker-config: has no meaning",
		"broker.yaml: Trigger kbnt/completed: spec.delivery.retry: is missing",
	} {
		if !slices.ContainsFunc(m.Reports(), func(r Report) bool { return strings.HasPrefix(r.String(), want) }) {
			t.Errorf("no report begins with %q in %q", want, m.Reports())
		}
	}
}

func TestDeliveryDefaults(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reason   string
		spec     string
		want     delivery
		reported string // a field, empty for none
	}{
		"no block": {
			reason: "a KafkaSource without delivery retries ten times",
			spec:   `ordering: ordered`, want: delivery{retries: 10, delay: 300 * time.Millisecond, timeout: 600 * time.Second},
			reported: "spec.delivery.deadLetterSink",
		},
		"only a dead letter sink": {
			reason: "any block replaces all defaults: retry is 0",
			spec:   "delivery: {" + deadSink + "}", want: delivery{delay: 200 * time.Millisecond, timeout: 600 * time.Second},
			reported: "spec.delivery.retry",
		},
		"only retry": {
			reason: "the delay is 200 ms, exponential",
			spec:   "delivery: {retry: 5}", want: delivery{retries: 5, delay: 200 * time.Millisecond, timeout: 600 * time.Second},
			reported: "spec.delivery.deadLetterSink",
		},
		"all": {
			reason: "what is given holds",
			spec:   "delivery: {retry: 7, backoffPolicy: linear, backoffDelay: PT1S, timeout: PT25S, " + deadSink + "}",
			want:   delivery{retries: 7, linear: true, delay: time.Second, timeout: 25 * time.Second},
		},
		"no timeout": {
			reason: "a timeout of zero is the data plane's default",
			spec:   "delivery: {retry: 1, timeout: PT0S, " + deadSink + "}",
			want:   delivery{retries: 1, delay: 200 * time.Millisecond, timeout: 600 * time.Second},
		},
	}
	for name, test := range tests {
		m, err := parseText(aTopic, aSink, with(aSource, test.spec))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := m.sources[0].delivery
		got.deadLetters = destination{}
		if got != test.want {
			t.Errorf("%s: delivery %+v, want %+v (%s)", name, got, test.want, test.reason)
		}
		found := slices.ContainsFunc(m.Reports(), func(r Report) bool { return r.Field == test.reported })
		if test.reported != "" && !found || test.reported == "" && len(m.Reports()) > 0 {
			t.Errorf("%s: reports %q, want one of %q (%s)", name, m.Reports(), test.reported, test.reason)
		}
	}
}

func TestParseMistakes(t *testing.T) {
	t.Parallel()
	f := `subscriber: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: f}}`
	tests := map[string]struct {
		documents []string
		want      []string // each in the error
	}{
		"unknown field":        {[]string{with(aSource, "delivery: {retries: 3}")}, []string{"all.yaml: KafkaSource default/src: spec.delivery.retries: unknown field"}},
		"case of a field":      {[]string{with(aSource, "Ordering: ordered")}, []string{"spec.Ordering: unknown field"}},
		"in a list":            {[]string{aTopic, with(aBroker, ""), with(aTrigger, "filters: [{exact: {type: x}}, {exakt: {type: x}}], "+f)}, []string{"spec.filters[1].exakt: unknown field"}},
		"wrong type":           {[]string{with(aSource, "delivery: {retry: many}")}, []string{"KafkaSource default/src: spec.delivery.retry: is a string, want int32"}},
		"no such topic":        {[]string{aSink}, []string{`KafkaSink default/sink: spec.topic: topic "t" has no KafkaTopic`}},
		"no such dead letters": {[]string{aTopic, with(aSource, "delivery: {retry: 1, "+deadSink+"}")}, []string{"spec.delivery.deadLetterSink: there is no KafkaSink default/sink"}},
		"other namespace":      {[]string{aTopic, aSink, with(aSource, "delivery: {retry: 1, deadLetterSink: {ref: {apiVersion: eventing.knative.dev/v1alpha1, kind: KafkaSink, name: sink, namespace: elsewhere}}}")}, []string{"there is no KafkaSink elsewhere/sink"}},
		"no such broker":       {[]string{with(aTrigger, f)}, []string{"Trigger default/tr: spec.broker: there is no Broker default/b"}},
		"no subscriber":        {[]string{aTopic, with(aBroker, ""), with(aTrigger, "filter: {attributes: {type: x}}")}, []string{"spec.subscriber: is required"}},
		"cesql":                {[]string{aTopic, with(aBroker, ""), with(aTrigger, `filters: [{cesql: "type = 'x'"}], `+f)}, []string{"spec.filters: cesql is not played"}},
		"two dialects":         {[]string{aTopic, with(aBroker, ""), with(aTrigger, `filters: [{exact: {a: b}, prefix: {a: b}}], `+f)}, []string{"a filter has 2 dialects"}},
		"kind of reference":    {[]string{aTopic, with(aBroker, ""), with(aTrigger, `subscriber: {ref: {apiVersion: v1, kind: Service, name: f}}`)}, []string{`spec.subscriber.ref: Service of "v1" cannot be played`}},
		"misspelt kind":        {[]string{strings.Replace(aTopic, "KafkaTopic", "KafkaTopics", 1)}, []string{"kafka.strimzi.io/v1 has no kind KafkaTopics"}},
		"version":              {[]string{strings.Replace(aTopic, "io/v1", "io/v1alpha1", 1)}, []string{"kafka.strimzi.io/v1alpha1 is not served for KafkaTopic"}},
		"same address":         {[]string{aTopic, aSink, strings.Replace(with(aBroker, ""), "name: b", "name: sink", 1)}, []string{"Broker default/sink: metadata.name: address default/sink is taken by KafkaSink default/sink"}},
		"same topic":           {[]string{aTopic, aTopic}, []string{"topic t is taken by"}},
		"duration":             {[]string{aTopic, with(aSource, "delivery: {retry: 1, timeout: 30s}")}, []string{`spec.delivery.timeout: "30s": want an ISO 8601 duration`}},
		"enums":                {[]string{aTopic, with(aSource, "ordering: random, delivery: {retry: 1, backoffPolicy: constant}")}, []string{`spec.ordering: "random"`, `spec.delivery.backoffPolicy: "constant"`}},
		"negative retry":       {[]string{aTopic, with(aSource, "delivery: {retry: -1}")}, []string{"spec.delivery.retry: -1 is negative"}},
		"broker class":         {[]string{aTopic, strings.Replace(with(aBroker, ""), "class: Kafka", "class: MTChannelBasedBroker", 1)}, []string{`is "MTChannelBasedBroker": only Kafka is played`}},
		"override name":        {[]string{aTopic, with(aSource, "ceOverrides: {extensions: {trace-id: x}}")}, []string{`spec.ceOverrides.extensions: "trace-id" is no attribute name`}},
		"duplicate key":        {[]string{"{kind: A, kind: B}"}, []string{"document 1 is no YAML"}},
		"no kind":              {[]string{"{metadata: {name: x}}"}, []string{"document 1 lacks apiVersion, kind or metadata.name"}},
		"half a topic":         {[]string{aTopic, strings.Replace(aSink, "topic: t", "topic: t, numPartitions: 3", 1)}, []string{"numPartitions and replicationFactor create the topic only together"}},
		"all at once": {
			[]string{"# comment\n", with(aSource, "delivery: {retries: 3}, orderin: x"), aSink, "---\nnot an object"},
			[]string{"spec.delivery.retries", "spec.orderin", `topic "t" has no KafkaTopic`, "document 4 is no Kubernetes object"},
		},
	}
	for name, test := range tests {
		_, err := parseText(test.documents...)
		if err == nil {
			t.Errorf("%s: no error, want %q", name, test.want)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error\n%v\nlacks %q", name, err, want)
			}
		}
	}
}

func TestParseKustomization(t *testing.T) {
	t.Parallel()
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	m, err := Parse(fstest.MapFS{
		"manifests/kustomization.yaml":       file("namespace: kbnt\nresources: [topics.yaml, inner]\nlabels: []\n"),
		"manifests/topics.yaml":              file(aTopic),
		"manifests/unlisted.yaml":            file("not read"),
		"manifests/hints/kustomization.yaml": file("kind: Component\nresources: [none.yaml]\n"),
		"manifests/inner/kustomization.yml":  file("namespace: other\nresources: [sink.yaml]\n"),
		"manifests/inner/sink.yaml":          file(aSink),
	})
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	if len(m.topics) != 1 || len(m.sinks) != 1 || m.sinks[0].namespace != "kbnt" {
		t.Errorf("topics %+v, sinks %+v, want one each, in the outer namespace", m.topics, m.sinks)
	}
	var got []string
	for _, r := range m.Reports() {
		got = append(got, r.File)
	}
	if want := []string{"manifests/hints", "manifests/unlisted.yaml"}; !slices.Equal(got, want) {
		t.Errorf("reports of %v, want those of %v", got, want)
	}

	_, err = Parse(fstest.MapFS{"kustomization.yaml": file("resources: [none.yaml]\npatches: []\n")})
	for _, want := range []string{"patches: is not played", "resources: none.yaml"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestDestinations(t *testing.T) {
	t.Parallel()
	at := addresses{ingress: "http://127.0.0.1:8090", services: map[string]string{"f": "http://127.0.0.1:8081"}}
	tests := map[string]struct {
		spec string // of a Trigger's subscriber
		want string // empty: an error
	}{
		"service":          {`{ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: f}}`, "http://127.0.0.1:8081"},
		"service and path": {`{ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: f}, uri: "/events?x=1"}`, "http://127.0.0.1:8081/events?x=1"},
		"sink":             {`{ref: {apiVersion: eventing.knative.dev/v1alpha1, kind: KafkaSink, name: sink}}`, "http://127.0.0.1:8090/default/sink"},
		"broker's address": {`{uri: "http://kafka-broker-ingress.knative-eventing.svc.cluster.local/default/b"}`, "http://127.0.0.1:8090/default/b"},
		"service's host":   {`{uri: "http://f.default.svc.cluster.local/x"}`, "http://127.0.0.1:8081/x"},
		"outside":          {`{uri: "https://example.org/hook"}`, "https://example.org/hook"},
		"unknown service":  {`{ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: g}}`, ""},
	}
	for name, test := range tests {
		m, err := parseText(aTopic, aSink, with(aBroker, ""), with(aTrigger, "subscriber: "+test.spec))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := at.of(m.triggers[0].subscriber)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s: %s is %q, %v, want %q", name, test.spec, got, err, test.want)
		}
	}
}
