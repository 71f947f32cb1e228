package eventing_test

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/eventing"
	"sigs.k8s.io/yaml"
)

const (
	longestDeadline = 10 * time.Minute // of a request, by default
	timeToUndo      = 5 * time.Minute  // deliveries are asked for until the undo was observed
	workBudget      = 20 * time.Second // of one delivery in a function
	serverTimeout   = 30 * time.Second // func's, not adjustable
)

func TestKustomizationListsEveryManifest(t *testing.T) {
	t.Parallel()
	text, err := fs.ReadFile(eventing.Manifests, "manifests/"+kustomization)
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		APIVersion string   `json:"apiVersion"`
		Kind       string   `json:"kind"`
		Resources  []string `json:"resources"`
	}
	if err := yaml.UnmarshalStrict(text, &list); err != nil {
		t.Fatalf("%s: %v", kustomization, err)
	}
	sameSet(t, "resources of "+kustomization, list.Resources, manifestFiles(t))
}

func TestManifestsAreNamedAlike(t *testing.T) {
	t.Parallel()
	var want []string
	for _, doc := range manifests(t) {
		name := strings.TrimSuffix(doc.Metadata.Name, "-broker") // the Broker's ConfigMap
		want = append(want, strings.ToLower(doc.Kind)+"-"+name+".yaml")
		if doc.Metadata.Labels["app.kubernetes.io/part-of"] != "kbnt" {
			t.Errorf("%s: got labels %v, want app.kubernetes.io/part-of: kbnt", doc, doc.Metadata.Labels)
		}
		namespace := "kbnt"
		if doc.Kind == "KafkaTopic" {
			namespace = "kafka" // that of the Kafka cluster, which Strimzi watches
		}
		if doc.Metadata.Namespace != namespace {
			t.Errorf("%s: got namespace %q, want %s", doc, doc.Metadata.Namespace, namespace)
		}
	}
	sameSet(t, "names of the manifests", manifestFiles(t), want)
}

func TestEveryTopicHasItsKafkaTopic(t *testing.T) {
	t.Parallel()
	topics := manifests(t, "KafkaTopic")
	// The hints belong to an optional component, which brings its own topic.
	sameSet(t, "KafkaTopics", names(topics), without(values(t, "Topic"), eventing.TopicHints))
	for _, topic := range topics {
		if topic.Spec.Partitions != 3 || topic.Spec.Replicas != 3 {
			t.Errorf("%s: got %d partitions and %d replicas, want 3 and 3", topic, topic.Spec.Partitions, topic.Spec.Replicas)
		}
		if got := fmt.Sprint(topic.Spec.Config["min.insync.replicas"]); got != "2" {
			t.Errorf("%s: got min.insync.replicas %s, want 2: an acknowledged event is on two brokers", topic, got)
		}
		if got := topic.Spec.Config["cleanup.policy"]; got != "delete" {
			t.Errorf("%s: got cleanup.policy %v, want delete: compaction drops events that share a key", topic, got)
		}
		if retention(topic) < 7*24*time.Hour {
			t.Errorf("%s: got retention %s, want 7 days or more", topic, retention(topic))
		}
		if got := topic.Metadata.Labels["strimzi.io/cluster"]; got != "kbnt-kafka" {
			t.Errorf("%s: got strimzi.io/cluster %q, want kbnt-kafka", topic, got)
		}
	}
}

// retention is how long a topic keeps events, 0 if it does not say so.
func retention(topic document) time.Duration {
	ms, _ := topic.Spec.Config["retention.ms"].(float64)
	return time.Duration(ms) * time.Millisecond
}

func TestEveryTopicHasItsSink(t *testing.T) {
	t.Parallel()
	sinks := manifests(t, "KafkaSink")
	// The Broker is the way into TopicEvents; the hints bring their own sink.
	sameSet(t, "KafkaSinks", names(sinks), without(values(t, "Topic"), eventing.TopicEvents, eventing.TopicHints))
	for _, sink := range sinks {
		if sink.Spec.Topic != sink.Metadata.Name {
			t.Errorf("%s: got topic %q, want the name of the sink", sink, sink.Spec.Topic)
		}
		if sink.Spec.ContentMode != "binary" {
			t.Errorf("%s: got contentMode %q, want binary", sink, sink.Spec.ContentMode)
		}
	}
}

func TestEveryGroupHasItsSource(t *testing.T) {
	t.Parallel()
	want := map[string]struct {
		topic, service string
		consumers      int // one per partition, where there is something to gain
	}{
		eventing.GroupProvision:   {eventing.TopicRequests, "kbnt-provision", 3},
		eventing.GroupNotify:      {eventing.TopicResults, "kbnt-notify", 3},
		eventing.GroupDeadLetters: {eventing.TopicDeadLetters, "kbnt-provision", 1},
	}
	var groups []string
	for _, source := range manifests(t, "KafkaSource") {
		got := source.Spec
		groups = append(groups, got.ConsumerGroup)
		expect := want[got.ConsumerGroup]
		if !slices.Equal(got.Topics, []string{expect.topic}) {
			t.Errorf("%s: group %s reads %q, want %q", source, got.ConsumerGroup, got.Topics, expect.topic)
		}
		if sink := (reference{"serving.knative.dev/v1", "Service", expect.service, "kbnt"}); got.Sink.Ref != sink {
			t.Errorf("%s: got sink %v, want %v", source, got.Sink.Ref, sink)
		}
		if got.InitialOffset != "earliest" || got.Ordering != "unordered" || got.Consumers != expect.consumers {
			t.Errorf("%s: got %s, %s, %d consumers, want earliest, unordered, %d", source, got.InitialOffset, got.Ordering, got.Consumers, expect.consumers)
		}
	}
	// The hints' source comes with their optional component.
	sameSet(t, "consumer groups of the KafkaSources", groups, without(values(t, "Group"), eventing.GroupHints))
}

func TestEveryDeliveryIsSaidInFull(t *testing.T) {
	t.Parallel()
	deadLetters := reference{"eventing.knative.dev/v1alpha1", "KafkaSink", eventing.TopicDeadLetters, "kbnt"}
	for _, doc := range manifests(t, "KafkaSource", "Broker", "Trigger") {
		delivery := doc.Spec.Delivery
		if delivery == nil {
			t.Errorf("%s: has no delivery, want one with retry and a dead letter sink", doc)
			continue
		}
		if delivery.Retry == nil || *delivery.Retry < 1 {
			t.Errorf("%s: has no retry, want a number: a delivery block without one is one try", doc)
			continue
		}
		want := deadLetters
		if doc.Spec.ConsumerGroup == eventing.GroupDeadLetters {
			want = reference{} // it would be the topic that it reads
		}
		if delivery.DeadLetterSink.Ref != want {
			t.Errorf("%s: got dead letter sink %v, want %v", doc, delivery.DeadLetterSink.Ref, want)
		}
		if _, err := delivery.pauses(); err != nil {
			t.Errorf("%s: %v", doc, err)
		}
		if _, err := iso8601(delivery.Timeout); err != nil {
			t.Errorf("%s: timeout: %v", doc, err)
		}
	}
}

func TestSourcesOutlastTheLongestDeadline(t *testing.T) {
	t.Parallel()
	for _, source := range manifests(t, "KafkaSource") {
		delivery := source.Spec.Delivery
		if delivery == nil || delivery.Retry == nil {
			t.Errorf("%s: has no retry, want one", source)
			continue
		}
		pauses, err := delivery.pauses()
		if want := longestDeadline + timeToUndo; err != nil || pauses <= want {
			t.Errorf("%s: delays add up to %s (%v), want more than %s", source, pauses, err, want)
		}
		timeout, err := iso8601(delivery.Timeout)
		if err != nil || timeout <= workBudget || timeout >= serverTimeout {
			t.Errorf("%s: got timeout %s (%v), want between %s and %s", source, timeout, err, workBudget, serverTimeout)
		}
	}
}

func TestBrokerUsesTheTopicOfEvents(t *testing.T) {
	t.Parallel()
	brokers := manifests(t, "Broker")
	sameSet(t, "Brokers", names(brokers), []string{eventing.TopicEvents})
	broker := brokers[0]
	want := map[string]string{
		"eventing.knative.dev/broker.class":         "Kafka",
		"kafka.eventing.knative.dev/external.topic": eventing.TopicEvents,
	}
	for key, value := range want {
		if got := broker.Metadata.Annotations[key]; got != value {
			t.Errorf("%s: got annotation %s: %q, want %q", broker, key, got, value)
		}
	}
	configs := manifests(t, "ConfigMap")
	if got := broker.Spec.Config["name"]; got != configs[0].Metadata.Name || len(configs) != 1 {
		t.Errorf("%s: got config %v, want the one ConfigMap of %q", broker, got, names(configs))
	}
	for _, topic := range manifests(t, "KafkaTopic") {
		data := configs[0].Data
		if data["default.topic.partitions"] != fmt.Sprint(topic.Spec.Partitions) ||
			data["default.topic.replication.factor"] != fmt.Sprint(topic.Spec.Replicas) {
			t.Errorf("%s: got %v, want the numbers of %s", configs[0], data, topic)
		}
	}
}

func TestTriggersFilterByWordsOfTheContract(t *testing.T) {
	t.Parallel()
	published := []string{eventing.TypeCompleted, eventing.TypeFailed, eventing.TypeCancelled}
	attributes := append(values(t, "Ext"), "type", "source", "subject")
	for _, trigger := range manifests(t, "Trigger") {
		if trigger.Spec.Broker != eventing.TopicEvents {
			t.Errorf("%s: got broker %q, want %q", trigger, trigger.Spec.Broker, eventing.TopicEvents)
		}
		if len(trigger.Spec.Filters) == 0 {
			t.Errorf("%s: has no filters, want them: it would be given all events", trigger)
		}
		for _, filter := range trigger.Spec.Filters {
			for attribute, value := range filter.Exact {
				if !slices.Contains(attributes, attribute) {
					t.Errorf("%s: filters by %q, want one of %q", trigger, attribute, attributes)
				}
				if attribute == "type" && !slices.Contains(published, value) {
					t.Errorf("%s: filters by type %q, want one of %q", trigger, value, published)
				}
			}
		}
	}
}

func TestOneSweepWakesProvisionAlone(t *testing.T) {
	t.Parallel()
	pings := manifests(t, "PingSource")
	if len(pings) != 1 {
		t.Fatalf("PingSources: got %q, want one", names(pings))
	}
	ping := pings[0]
	if got := ping.Spec.Sink.Ref.Name; got != "kbnt-provision" {
		t.Errorf("%s: got sink %q, want kbnt-provision", ping, got)
	}
	if got := ping.Spec.Schedule; got != "*/10 * * * *" {
		t.Errorf("%s: got schedule %q, want every 10 minutes: provision must be let sleep", ping, got)
	}
	if ping.Spec.Delivery != nil {
		t.Errorf("%s: has a delivery, want none: the kind does not know it", ping)
	}
}

func TestAllReadTheSameKafka(t *testing.T) {
	t.Parallel()
	const want = "kbnt-kafka-bootstrap.kafka.svc:9092"
	for _, doc := range manifests(t, "KafkaSink", "KafkaSource") {
		if !slices.Equal(doc.Spec.BootstrapServers, []string{want}) {
			t.Errorf("%s: got bootstrapServers %q, want %q", doc, doc.Spec.BootstrapServers, want)
		}
	}
	for _, doc := range manifests(t, "ConfigMap") {
		if got := doc.Data["bootstrap.servers"]; got != want {
			t.Errorf("%s: got bootstrap.servers %q, want %q", doc, got, want)
		}
	}
}
