package manifesttest

import (
	"fmt"
	"slices"

	"github.com/rickb777/date/period"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	eventingduckv1 "knative.dev/eventing/pkg/apis/duck/v1"
	duckv1 "knative.dev/pkg/apis/duck/v1"
)

// kafkaKinds have no Go module that can be had, so their types are written here,
// with the fields that a manifest may set, after the schemas and the webhooks of
// knative-extensions/eventing-kafka-broker (control-plane/pkg/apis) and the
// schema of strimzi/strimzi-kafka-operator. A field that is missing here is one
// that nothing has used yet.
var kafkaKinds = map[string]func(object) []string{
	"eventing.knative.dev/v1alpha1.KafkaSink": checkKafkaSink,
	"sources.knative.dev/v1.KafkaSource":      checkKafkaSource,
	"kafka.strimzi.io/v1.KafkaTopic":          checkKafkaTopic,
}

type kafkaSink struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Topic             string   `json:"topic"`
		BootstrapServers  []string `json:"bootstrapServers"`
		ContentMode       string   `json:"contentMode"`
		NumPartitions     *int32   `json:"numPartitions"`
		ReplicationFactor *int16   `json:"replicationFactor"`
		Auth              *struct {
			Secret struct {
				Ref struct {
					Name string `json:"name"`
				} `json:"ref"`
			} `json:"secret"`
		} `json:"auth"`
	} `json:"spec"`
}

func checkKafkaSink(o object) []string {
	var sink kafkaSink
	m := mistakes(o.into(&sink))
	m.want(sink.Spec.Topic != "", "spec.topic: missing")
	m.servers(sink.Spec.BootstrapServers)
	m.oneOf("spec.contentMode", sink.Spec.ContentMode, "", "binary", "structured")
	// Set together they make the sink create the topic, and delete it with itself.
	m.want((sink.Spec.NumPartitions == nil) == (sink.Spec.ReplicationFactor == nil), "spec.numPartitions, spec.replicationFactor: want both or none")
	m.want(sink.Spec.Auth == nil || sink.Spec.Auth.Secret.Ref.Name != "", "spec.auth.secret.ref.name: missing")
	return m
}

type kafkaSource struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Topics           []string                     `json:"topics"`
		BootstrapServers []string                     `json:"bootstrapServers"`
		ConsumerGroup    string                       `json:"consumerGroup"`
		InitialOffset    string                       `json:"initialOffset"`
		Ordering         string                       `json:"ordering"`
		Consumers        *int32                       `json:"consumers"`
		Delivery         *eventingduckv1.DeliverySpec `json:"delivery"`
		Net              kafkaNet                     `json:"net"`
		Sink             duckv1.Destination           `json:"sink"`
		CEOverrides      *duckv1.CloudEventOverrides  `json:"ceOverrides"`
	} `json:"spec"`
}

type kafkaNet struct {
	SASL struct {
		Enable   bool      `json:"enable"`
		User     secretKey `json:"user"`
		Password secretKey `json:"password"`
		Type     secretKey `json:"type"`
	} `json:"sasl"`
	TLS struct {
		Enable bool      `json:"enable"`
		Cert   secretKey `json:"cert"`
		Key    secretKey `json:"key"`
		CACert secretKey `json:"caCert"`
	} `json:"tls"`
}

type secretKey struct {
	SecretKeyRef *struct {
		Name string `json:"name"`
		Key  string `json:"key"`
	} `json:"secretKeyRef"`
}

func checkKafkaSource(o object) []string {
	var source kafkaSource
	m := mistakes(o.into(&source))
	spec := source.Spec
	m.want(len(spec.Topics) > 0 && !slices.Contains(spec.Topics, ""), "spec.topics: got %q, want one or more", spec.Topics)
	m.servers(spec.BootstrapServers)
	// The webhook fills these in; one left out is a choice nobody made.
	m.want(spec.ConsumerGroup != "", "spec.consumerGroup: missing: a random one reads everything again when the source is made anew")
	m.oneOf("spec.initialOffset", spec.InitialOffset, "earliest", "latest")
	m.oneOf("spec.ordering", spec.Ordering, "ordered", "unordered")
	m.want(spec.Consumers == nil || *spec.Consumers >= 0, "spec.consumers: got a number below 0")
	m = append(m, fieldErrors(spec.Sink.Validate(defaults()).ViaField("spec", "sink"))...)
	m = append(m, fieldErrors(spec.Delivery.Validate(defaults()).ViaField("spec", "delivery"))...)
	for where, key := range map[string]secretKey{
		"sasl.user": spec.Net.SASL.User, "sasl.password": spec.Net.SASL.Password, "sasl.type": spec.Net.SASL.Type,
		"tls.cert": spec.Net.TLS.Cert, "tls.key": spec.Net.TLS.Key, "tls.caCert": spec.Net.TLS.CACert,
	} {
		m.want(key.SecretKeyRef == nil || key.SecretKeyRef.Name != "" && key.SecretKeyRef.Key != "", "spec.net.%s.secretKeyRef: want a name and a key", where)
	}
	return append(m, deliveryRules(o)...)
}

type kafkaTopic struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		TopicName  string         `json:"topicName"`
		Partitions int32          `json:"partitions"`
		Replicas   int16          `json:"replicas"`
		Config     map[string]any `json:"config"`
	} `json:"spec"`
}

// topicSettings are those of Apache Kafka 4.1, documentation, "Topic Configs".
// The schema takes any: a mistyped one would be refused by Kafka, and the topic
// never be ready.
var topicSettings = []string{
	"cleanup.policy", "compression.gzip.level", "compression.lz4.level", "compression.type", "compression.zstd.level",
	"delete.retention.ms", "file.delete.delay.ms", "flush.messages", "flush.ms", "follower.replication.throttled.replicas",
	"index.interval.bytes", "leader.replication.throttled.replicas", "local.retention.bytes", "local.retention.ms",
	"max.compaction.lag.ms", "max.message.bytes", "message.timestamp.after.max.ms", "message.timestamp.before.max.ms",
	"message.timestamp.type", "min.cleanable.dirty.ratio", "min.compaction.lag.ms", "min.insync.replicas", "preallocate",
	"remote.copy.disable", "remote.log.delete.on.disable", "remote.storage.enable", "retention.bytes", "retention.ms",
	"segment.bytes", "segment.index.bytes", "segment.jitter.ms", "segment.ms", "unclean.leader.election.enable",
}

func checkKafkaTopic(o object) []string {
	var topic kafkaTopic
	m := mistakes(o.into(&topic))
	m.want(topic.Spec.Partitions >= 1, "spec.partitions: got %d, want 1 or more", topic.Spec.Partitions)
	m.want(topic.Spec.Replicas >= 1, "spec.replicas: got %d, want 1 or more", topic.Spec.Replicas)
	m.want(topic.Labels["strimzi.io/cluster"] != "", "metadata.labels[strimzi.io/cluster]: missing: no Topic Operator would look at it")
	for name, value := range topic.Spec.Config {
		m.want(slices.Contains(topicSettings, name), "spec.config.%s: Kafka has no such setting of topics", name)
		n, isNumber := value.(int64)
		m.want(name != "min.insync.replicas" || isNumber && n <= int64(topic.Spec.Replicas), "spec.config.%s: got %v of %d replicas, want a number that leaves something to write to", name, value, topic.Spec.Replicas)
	}
	return m
}

// deliveryRules hold for every delivery block of a source, a Broker or a Trigger:
// it replaces what it does not repeat, so one without retry means a single try.
func deliveryRules(o object) []string {
	var m mistakes
	delivery, ok, err := unstructured.NestedMap(o.Object, "spec", "delivery")
	if !ok || err != nil {
		return nil // what is no map is a mistake already
	}
	m.want(delivery["retry"] != nil, "spec.delivery.retry: missing: the block replaces all defaults, so it would be 0")
	m.want(delivery["backoffPolicy"] != nil && delivery["backoffDelay"] != nil, "spec.delivery: want backoffPolicy and backoffDelay beside retry")
	for _, name := range []string{"backoffDelay", "timeout"} {
		text, isText := delivery[name].(string)
		if !isText {
			continue
		}
		d, err := period.Parse(text)
		m.want(err == nil && d.DurationApprox() > 0, "spec.delivery.%s: got %q, want an ISO 8601 duration above 0", name, text)
	}
	return m
}

// mistakes are collected, a sentence each.
type mistakes []string

func (m *mistakes) want(ok bool, format string, args ...any) {
	if !ok {
		*m = append(*m, fmt.Sprintf(format, args...))
	}
}

func (m *mistakes) oneOf(field, got string, allowed ...string) {
	m.want(slices.Contains(allowed, got), "%s: got %q, want one of %q", field, got, allowed)
}

func (m *mistakes) servers(list []string) {
	m.want(len(list) > 0, "spec.bootstrapServers: want one or more")
	for _, server := range list {
		m.want(isHostPort(server), "spec.bootstrapServers: got %q, want host:port", server)
	}
}
