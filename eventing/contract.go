// Package eventing is the published contract of the events: topics, types,
// sources, extension attributes and consumer groups, the Avro schemas, the
// manifests that wire them on Knative, and the AsyncAPI description of it all.
//
// It is what a subscriber in another team needs to know, and no more: it holds
// no logic and depends on the standard library alone. The words of the domain
// are mapped to the words of the wire here and nowhere else. Tests hold the
// manifests, the schemas and asyncapi.yaml against these constants.
package eventing

// Topics, each with 3 partitions and 3 replicas in a cluster.
const (
	// TopicRequests carries accepted requests from intake to provision. Key:
	// the messageId of the request that created the resource, so that all
	// events about one resource share a partition. Data: Avro VirtualizationMessage.
	TopicRequests = "virtualization-requests"

	// TopicResults carries what provision decided to notify. Key: as in
	// TopicRequests. Data: Avro ProvisioningResult.
	TopicResults = "virtualization-results"

	// TopicEvents is the public topic: one terminal event per request. Key: the
	// user id. Data: JSON VirtualizationEvent. It backs a Broker, so Triggers read it.
	TopicEvents = "virtualization-events"

	// TopicDeadLetters holds events that could not be handled, unchanged but
	// for the knativeerror* extensions and the reason.
	TopicDeadLetters = "virtualization-dead-letters"

	// TopicHints (optional component) wakes provision early when the cluster
	// saw a machine change. A lost or doubled hint does no harm.
	TopicHints = "virtualization-hints"
)

// Types of CloudEvents.
const (
	TypeRequest  = "dev.kbnt.virtualization.request"  // a client's request, posted to intake
	TypeAccepted = "dev.kbnt.virtualization.accepted" // intake's answer to a posted CloudEvent

	TypeRequested   = "dev.kbnt.virtualization.requested"   // intake -> provision
	TypeProvisioned = "dev.kbnt.virtualization.provisioned" // provision -> notify: the goal was reached
	TypeRejected    = "dev.kbnt.virtualization.rejected"    // provision -> notify: failed or cancelled, and undone

	TypeCompleted = "dev.kbnt.virtualization.completed" // notify -> anyone
	TypeFailed    = "dev.kbnt.virtualization.failed"    // notify -> anyone
	TypeCancelled = "dev.kbnt.virtualization.cancelled" // notify -> anyone

	TypeSweep      = "dev.knative.sources.ping"        // a PingSource's tick
	TypeHintPrefix = "dev.knative.apiserver.resource." // an ApiServerSource's add, update or delete
)

// EventType values in the data of a VirtualizationEvent, the source's names of
// TypeCompleted, TypeFailed and TypeCancelled.
const (
	EventCompleted = "VIRTUALIZATION_COMPLETED"
	EventFailed    = "VIRTUALIZATION_FAILED"
	EventCancelled = "VIRTUALIZATION_CANCELLED"
)

// Sources: the function that made the event.
const (
	SourceIntake    = "/kbnt/virtualization/intake"
	SourceProvision = "/kbnt/virtualization/provision"
	SourceNotify    = "/kbnt/virtualization/notify"
)

// Extension attributes of every event. Names are a-z and 0-9 only, values are
// strings: a KafkaSink answers 503 to a partitionkey that is a JSON number.
const (
	ExtPartitionKey  = "partitionkey"  // becomes the key of the Kafka record
	ExtCorrelationID = "correlationid" // the client's, kept through the whole chain
	ExtCausationID   = "causationid"   // id of the event (or request) that caused this one
	ExtRequestID     = "requestid"     // unique within the tenant
	ExtTenantID      = "tenantid"
	ExtOperation     = "operation"   // the request's type, for Trigger filters
	ExtPriority      = "priority"    // LOW, NORMAL or HIGH
	ExtTraceParent   = "traceparent" // W3C trace context
	ExtChecksum      = "checksum"    // "sha256-" and the hex digest of the data bytes
	ExtReason        = "reason"      // why an event went to TopicDeadLetters
)

// Extensions that Knative adds to what it delivers.
const (
	ExtKafkaPartition = "knativekafkapartition"
	ExtKafkaOffset    = "knativekafkaoffset"
	ExtErrorDest      = "knativeerrordest"
	ExtErrorCode      = "knativeerrorcode"
	ExtErrorData      = "knativeerrordata"
)

// Consumer groups of the KafkaSources.
const (
	GroupProvision = "virtualization-consumer-service-group"
	GroupNotify    = "virtualization-notify-service-group"

	// GroupDeadLetters reads TopicDeadLetters back to provision, so that what a
	// source gave up on is known to operators.
	GroupDeadLetters = "virtualization-dead-letters-service-group"

	// GroupHints (optional component) reads TopicHints.
	GroupHints = "virtualization-hints-service-group"
)

// Labels or annotations of the Kubernetes objects that a machine consists of, by
// which a hint is understood: its data is such an object. One without them is
// not ours.
const (
	KeyTenant    = "kbnt.dev/tenant"     // whose it is
	KeyVirtualID = "kbnt.dev/virtual-id" // "VM-0909A693"
)

// Service names, as the source of this product calls them, in histories and
// events: intake is the producer service, provision and notify the consumer.
const (
	ServiceProducer = "virtualization-producer-service"
	ServiceConsumer = "virtualization-consumer-service"
)

// Domain is the value of the field "domain" of every VirtualizationMessage.
const Domain = "virtualization"

// Content types of event data.
const (
	ContentTypeAvro = "application/avro"
	ContentTypeJSON = "application/json"
)

// Schemas: the attribute dataschema is SchemaBase + name + "/" + version.
const (
	SchemaBase = "https://kbnt.dev/schemas/"

	SchemaMessage        = "VirtualizationMessage"
	SchemaMessageVersion = "2.1.0"
	SchemaResult         = "ProvisioningResult"
	SchemaResultVersion  = "2.1.0"
	SchemaEvent          = "VirtualizationEvent"
	SchemaEventVersion   = "3.0.0"
)

// Dead letter reasons, the values of ExtReason.
const (
	ReasonUndecodable       = "undecodable"        // the data does not match its schema
	ReasonChecksumMismatch  = "checksum-mismatch"  // the data is not what was sent
	ReasonUnknownType       = "unknown-type"       // no function handles this type
	ReasonUnknownRequest    = "unknown-request"    // the store knows no such request
	ReasonAttemptsExhausted = "attempts-exhausted" // tried as often as configured
	ReasonRefused           = "refused"            // the hypervisor refused a deletion for good
	ReasonUndelivered       = "undelivered"        // a source gave up delivering it; ExtErrorCode says what was answered
)
