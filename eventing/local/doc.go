// Package local plays the Knative manifests of a cluster on one machine: Kafka
// (embedded, or a real one), KafkaSink, KafkaSource, Broker, Trigger and
// PingSource, read from the same YAML that kubectl applies. A wrong topic, a
// missing dead letter sink or a forgotten retry fails on a laptop first.
//
// It is a stand-in with the contract of the real ones, their unpleasant parts
// included: an event whose dead letter sink fails is lost, a delivery block
// without retry means one attempt, a crash delivers up to five seconds of work
// again. It is not a substitute for them: one process, one group member per
// source, no TLS, no authentication.
//
// # Configuration
//
// [Parse] reads the manifests; [Options] says where to listen and where data
// lives. [Open] starts Kafka and the sinks, so that functions can be given the
// addresses of [Eventing.SinkURL] and [Eventing.BrokerURL]; once the functions
// answer, [Eventing.StartSources] starts what calls them.
//
// # Guarantees
//
// A sink's 202 means the record is in Kafka. With [Options].DataDir records,
// consumer groups and offsets survive the end and the killing of the process.
// They may not survive the end of the operating system: nothing is synced to
// disk one by one, as in Apache Kafka's default.
//
// Sources deliver at least once while their dead letter sink accepts. Offsets
// are committed as a contiguous prefix every five seconds, when a partition is
// revoked, and on [Eventing.Close].
//
// # Errors
//
// Every mistake of the manifests is reported at once, with its file and field.
// What has no meaning on a laptop is a [Report], not an error.
//
// # Limits
//
// A record is at most 1 MiB. CESQL filters are not played. Each consumer group
// has one member, whatever spec.consumers says, as it is with one dispatcher pod.
package local
