package local

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// What is played of each kind, with the defaults filled in.

type topic struct {
	object
	topic      string
	partitions int32 // -1: Kafka's own default
	replicas   int16 // -1: Kafka's own default
	config     map[string]string
}

type sink struct {
	object
	topic      string
	structured bool
}

type broker struct {
	object
	topic    string
	delivery delivery
}

type source struct {
	object
	topics     []string
	group      string
	latest     bool // where to begin without committed offsets
	ordered    bool
	keyType    string
	sink       destination
	delivery   delivery
	extensions map[string]string
}

type trigger struct {
	object
	broker     string
	filter     filter
	ordered    bool
	subscriber destination
	delivery   *delivery // nil: the broker's
}

type ping struct {
	object
	schedule   schedule
	text       string // the schedule as written
	mediaType  string
	data       []byte
	sink       destination
	extensions map[string]string
}

// Annotations and labels that change how something is played.
const (
	annotationBrokerClass   = "eventing.knative.dev/broker.class"
	annotationExternalTopic = "kafka.eventing.knative.dev/external.topic"
	annotationOrder         = "kafka.eventing.knative.dev/delivery.order"
	labelKeyType            = "kafkasources.sources.knative.dev/key-type"
)

// skipped kinds of the API groups of this package have no stand-in here. Any
// other unknown kind of these groups is taken for a misspelt one.
var skipped = map[string]bool{
	"ApiServerSource": true, "ContainerSource": true, "SinkBinding": true, "JobSink": true, "EventPolicy": true,
	"EventTransform": true, "EventType": true, "RequestReply": true, "IntegrationSource": true, "IntegrationSink": true,
	"Kafka": true, "KafkaNodePool": true, "KafkaUser": true, "KafkaRebalance": true, "KafkaConnect": true,
	"KafkaConnector": true, "KafkaMirrorMaker2": true, "KafkaBridge": true,
}

func versions(served ...string) map[string]bool {
	m := make(map[string]bool, len(served))
	for _, v := range served {
		m[v] = true
	}
	return m
}

func (p *parser) document(o object, apiVersion string, meta metadata, text []byte) {
	group, _, _ := strings.Cut(apiVersion, "/")
	played := group == "kafka.strimzi.io" || strings.HasSuffix(group, "eventing.knative.dev") || group == "sources.knative.dev"
	switch {
	case played && o.kind == "KafkaTopic":
		if spec, ok := decode[topicSpec](p, o, text, versions("kafka.strimzi.io/v1", "kafka.strimzi.io/v1beta2")); ok {
			p.topic(o, spec)
		}
	case played && o.kind == "KafkaSink":
		if spec, ok := decode[sinkSpec](p, o, text, versions("eventing.knative.dev/v1alpha1")); ok {
			p.sink(o, spec)
		}
	case played && o.kind == "KafkaSource":
		if spec, ok := decode[sourceSpec](p, o, text, versions("sources.knative.dev/v1", "sources.knative.dev/v1beta1")); ok {
			p.source(o, meta, spec)
		}
	case played && o.kind == "Broker":
		if spec, ok := decode[brokerSpec](p, o, text, versions("eventing.knative.dev/v1")); ok {
			p.broker(o, meta, spec)
		}
	case played && o.kind == "Trigger":
		if spec, ok := decode[triggerSpec](p, o, text, versions("eventing.knative.dev/v1")); ok {
			p.trigger(o, meta, spec)
		}
	case played && o.kind == "PingSource":
		if spec, ok := decode[pingSpec](p, o, text, versions("sources.knative.dev/v1", "sources.knative.dev/v1beta2")); ok {
			p.ping(o, spec)
		}
	case played && !skipped[o.kind]:
		p.problem(o, "kind", "%s has no kind %s", apiVersion, o.kind)
	default:
		p.report(o, "", "has no meaning on one machine and is skipped")
	}
}

func (p *parser) topic(o object, spec topicSpec) {
	t := topic{object: o, topic: spec.TopicName, partitions: -1, replicas: -1, config: make(map[string]string)}
	if t.topic == "" {
		t.topic = o.name
	}
	if spec.Partitions < 0 || spec.Replicas < 0 {
		p.problem(o, "spec", "partitions and replicas are at least 1")
	}
	if spec.Partitions > 0 {
		t.partitions = spec.Partitions
	}
	if spec.Replicas > 0 {
		t.replicas = spec.Replicas
	}
	for name, value := range spec.Config {
		if number, ok := value.(float64); ok {
			t.config[name] = fmt.Sprintf("%.0f", number) // never 6.048e+08
		} else {
			t.config[name] = fmt.Sprint(value)
		}
	}
	p.m.topics = append(p.m.topics, t)
}

func (p *parser) sink(o object, spec sinkSpec) {
	s := sink{object: o, topic: spec.Topic}
	if spec.Topic == "" {
		p.problem(o, "spec.topic", "is required")
	}
	p.bootstrap(o, spec.BootstrapServers)
	switch spec.ContentMode {
	case "", "binary":
	case "structured":
		s.structured = true
	default:
		p.problem(o, "spec.contentMode", "%q: want binary or structured", spec.ContentMode)
	}
	if spec.Auth != nil {
		p.report(o, "spec.auth", "is not played: Kafka on one machine asks for no password")
	}
	switch {
	case spec.NumPartitions > 0 && spec.ReplicationFactor > 0:
		p.report(o, "spec.numPartitions", "the topic belongs to the sink: a cluster deletes it with the sink")
		p.m.topics = append(p.m.topics, topic{object: o, topic: spec.Topic, partitions: spec.NumPartitions, replicas: spec.ReplicationFactor})
	case spec.NumPartitions != 0 || spec.ReplicationFactor != 0:
		p.problem(o, "spec", "numPartitions and replicationFactor create the topic only together, and are at least 1")
	}
	p.m.sinks = append(p.m.sinks, s)
}

func (p *parser) source(o object, meta metadata, spec sourceSpec) {
	s := source{object: o, topics: spec.Topics, group: spec.ConsumerGroup, keyType: meta.Labels[labelKeyType], extensions: p.overrides(o, spec.CEOverrides)}
	if len(spec.Topics) == 0 {
		p.problem(o, "spec.topics", "is required")
	}
	p.bootstrap(o, spec.BootstrapServers)
	if s.group == "" {
		s.group = "knative-kafka-source-" + o.namespace + "-" + o.name
		p.report(o, "spec.consumerGroup", "is missing: a cluster makes a random one, and a new one when the source is made anew")
	}
	switch spec.InitialOffset {
	case "", "latest":
		s.latest = true
	case "earliest":
	default:
		p.problem(o, "spec.initialOffset", "%q: want earliest or latest", spec.InitialOffset)
	}
	switch spec.Ordering {
	case "", "ordered":
		s.ordered = true
	case "unordered":
	default:
		p.problem(o, "spec.ordering", "%q: want ordered or unordered", spec.Ordering)
	}
	switch s.keyType {
	case "", "string", "int", "float", "byte-array":
	default:
		p.problem(o, "metadata.labels", "%s=%q: want string, int, float or byte-array", labelKeyType, s.keyType)
	}
	if spec.Net != nil {
		p.report(o, "spec.net", "is not played: Kafka on one machine asks for no password")
	}
	s.sink = p.destination(o, "spec.sink", spec.Sink)
	s.delivery = sourceDelivery
	if spec.Delivery != nil {
		s.delivery = p.delivery(o, spec.Delivery)
	}
	if s.delivery.deadLetters.kind == toNothing {
		p.report(o, "spec.delivery.deadLetterSink", "is missing: an event that cannot be delivered is lost")
	}
	p.m.sources = append(p.m.sources, s)
}

func (p *parser) broker(o object, meta metadata, spec brokerSpec) {
	b := broker{object: o, topic: meta.Annotations[annotationExternalTopic], delivery: brokerDelivery}
	if class := meta.Annotations[annotationBrokerClass]; class != "Kafka" {
		p.problem(o, "metadata.annotations", "%s is %q: only Kafka is played", annotationBrokerClass, class)
	}
	if b.topic == "" {
		p.problem(o, "metadata.annotations", "%s is missing: a Broker is played only on a topic of its own name", annotationExternalTopic)
	}
	if spec.Delivery != nil {
		b.delivery = p.delivery(o, spec.Delivery)
	}
	p.m.brokers = append(p.m.brokers, b)
}

func (p *parser) trigger(o object, meta metadata, spec triggerSpec) {
	t := trigger{object: o, broker: spec.Broker}
	if spec.BrokerRef != nil {
		p.problem(o, "spec.brokerRef", "is not played: name a broker of the same namespace in spec.broker")
	}
	if spec.Broker == "" {
		p.problem(o, "spec.broker", "is required")
	}
	t.filter = p.filters(o, spec)
	switch order := meta.Annotations[annotationOrder]; order {
	case "", "unordered":
	case "ordered":
		t.ordered = true
	default:
		p.problem(o, "metadata.annotations", "%s is %q: want ordered or unordered", annotationOrder, order)
	}
	t.subscriber = p.destination(o, "spec.subscriber", spec.Subscriber)
	if spec.Delivery != nil {
		d := p.delivery(o, spec.Delivery)
		t.delivery = &d
	}
	p.m.triggers = append(p.m.triggers, t)
}

func (p *parser) ping(o object, spec pingSpec) {
	s := ping{object: o, text: spec.Schedule, mediaType: spec.ContentType, data: []byte(spec.Data), extensions: p.overrides(o, spec.CEOverrides)}
	var err error
	if s.schedule, err = parseSchedule(spec.Schedule, spec.Timezone); err != nil {
		p.problem(o, "spec.schedule", "%v", err)
	}
	if spec.DataBase64 != "" {
		if spec.Data != "" {
			p.problem(o, "spec.dataBase64", "excludes spec.data")
		}
		if s.data, err = base64.StdEncoding.DecodeString(spec.DataBase64); err != nil {
			p.problem(o, "spec.dataBase64", "%v", err)
		}
	}
	s.sink = p.destination(o, "spec.sink", spec.Sink)
	p.m.pings = append(p.m.pings, s)
}

// overrides checks the extensions that a source adds: a name that is no
// attribute's could not be sent.
func (p *parser) overrides(o object, spec overridesSpec) map[string]string {
	for name := range spec.Extensions {
		if name == "" || alphanumeric(name) != name {
			p.problem(o, "spec.ceOverrides.extensions", "%q is no attribute name: use a-z and 0-9 only", name)
		}
	}
	return spec.Extensions
}

func (p *parser) bootstrap(o object, servers []string) {
	if len(servers) == 0 {
		p.problem(o, "spec.bootstrapServers", "is required")
	}
}
