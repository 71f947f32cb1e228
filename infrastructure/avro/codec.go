// Package avro is the codec of all event data: it turns what the store holds
// into CloudEvents and tells which request an arrived event names. Events
// inside the product carry Avro, the public one carries JSON.
//
// It is not a home of rules: what an event says was decided before, and nobody
// but subscribers reads more of it than [application.Notice] holds.
//
// # Configuration
//
// Schemas are the files of the package eventing, parsed when first needed.
// Without a schema registry, data of a schema file is Avro single-object
// encoding: C3 01, the CRC-64-AVRO fingerprint of the schema in little endian,
// then the record. With one it is the Confluent wire format: 00, the id of the
// schema as 4 bytes in big endian, then the record; see [Codec.Prepare].
// Either is read whatever is configured, but an id says nothing without the
// registry that gave it.
//
// # Guarantees
//
// Events are functions of the record and the time given: the same arguments
// make the same id and the same content (the bytes may differ until they are
// stored, for an Avro map has no order). Every event carries a checksum of its
// data, and no event of ours is opened without verifying it. Whatever was
// written with a schema file that is still there can be read. Public events
// never hold SSH keys or user data. The registry is asked once for each schema
// and each id, whatever number of deliveries meet it, and never while an event
// is encoded; what is known stays known when it goes away.
//
// # Errors
//
// Encoding fails only on a defect (Internal): a record without an outcome where
// one is needed, or a value outside of its schema; and with Unavailable as long
// as the id of a schema is not known. Opening fails with Invalid and a code, see
// [Codec.Open]. Whatever is wrong with the registry is Unavailable, with the code
// "registry-away": no event is buried for it.
//
// # Limits
//
// Times are cut to microseconds, which is what every store keeps, so that an
// event sent from memory equals the same event sent from the store. Schemas of
// the registry with references to others are not understood. A registry is one
// URL; more instances of it need a balancer.
package avro

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
)

// Options of a [Codec].
type Options struct {
	Version  string          // of this software, shown in public events: "v1.2.3"
	Registry RegistryOptions // the zero value: none
}

// Codec implements [application.Codec]. It is safe for concurrent use.
type Codec struct {
	version  string
	schemas  func() (*catalogue, error)
	registry *registry // nil: none
}

var _ application.Codec = (*Codec)(nil)

// New makes a codec. Schemas are parsed at the first event, not here, and the
// registry is not asked.
func New(o Options) *Codec {
	c := &Codec{version: o.Version, schemas: sync.OnceValues(loadEmbedded)}
	if o.Registry.URL != nil {
		c.registry = newRegistry(o.Registry)
	}
	return c
}

// Requested is the event that wakes provision: an Avro VirtualizationMessage.
func (c *Codec) Requested(r application.Record, at time.Time) (application.Event, error) {
	at = stamp(at)
	data, err := c.encode("encode the requested event", eventing.SchemaMessage, messageOf(r, at))
	if err != nil {
		return application.Event{}, err
	}
	cause := r.Request.CausationID
	if cause == "" {
		cause = r.Request.MessageID
	}
	return envelope{
		id: domain.RequestedID(r.Request.MessageID), kind: eventing.TypeRequested, source: eventing.SourceIntake, topic: eventing.TopicRequests,
		schema: eventing.SchemaMessage, version: eventing.SchemaMessageVersion, contentType: eventing.ContentTypeAvro,
		key: r.Resource.CreatedBy, cause: cause,
	}.seal(r, at, data), nil
}

// Result is the event that wakes notify: an Avro ProvisioningResult, of the type
// provisioned when the request is COMPLETED and rejected when it is not.
func (c *Codec) Result(r application.Record, at time.Time) (application.Event, error) {
	at = stamp(at)
	kind := eventing.TypeRejected
	switch r.Request.Decided {
	case domain.Completed:
		kind = eventing.TypeProvisioned
	case domain.Fault, domain.Cancelled:
	default:
		return application.Event{}, undecided("encode the result event", r)
	}
	data, err := c.encode("encode the result event", eventing.SchemaResult, resultOf(r, at))
	if err != nil {
		return application.Event{}, err
	}
	return envelope{
		id: domain.ResultID(r.Request.MessageID), kind: kind, source: eventing.SourceProvision, topic: eventing.TopicResults,
		schema: eventing.SchemaResult, version: eventing.SchemaResultVersion, contentType: eventing.ContentTypeAvro,
		key: r.Resource.CreatedBy, cause: domain.RequestedID(r.Request.MessageID),
	}.seal(r, at, data), nil
}

// Terminal is the public event about the outcome: a JSON VirtualizationEvent.
func (c *Codec) Terminal(r application.Record, at time.Time) (application.Event, error) {
	at = stamp(at)
	end, ok := endings[r.Request.Decided]
	if !ok {
		return application.Event{}, undecided("encode the terminal event", r)
	}
	data, err := json.Marshal(publicOf(r, end, c.version, at))
	if err != nil {
		return application.Event{}, defect("encode the terminal event", err)
	}
	return envelope{
		id: domain.TerminalID(r.Request.MessageID), kind: end.kind, source: eventing.SourceNotify, topic: eventing.TopicEvents,
		schema: eventing.SchemaEvent, version: eventing.SchemaEventVersion, contentType: eventing.ContentTypeJSON,
		key: r.Request.User, cause: domain.ResultID(r.Request.MessageID),
	}.seal(r, at, data), nil
}

// Buried is the event as it is, for the dead letter topic, with the reason.
func (c *Codec) Buried(e application.Event, reason string) application.Event {
	e = e.Clone()
	if e.Extensions == nil {
		e.Extensions = make(map[string]string, 1)
	}
	e.Extensions[eventing.ExtReason] = reason
	e.Topic = eventing.TopicDeadLetters
	return e
}

// ending is what an outcome is called in public.
type ending struct{ kind, eventType, status string }

var endings = map[domain.Outcome]ending{
	domain.Completed: {eventing.TypeCompleted, eventing.EventCompleted, "SUCCESS"},
	domain.Fault:     {eventing.TypeFailed, eventing.EventFailed, "FAILED"},
	domain.Cancelled: {eventing.TypeCancelled, eventing.EventCancelled, "CANCELLED"},
}

func stamp(at time.Time) time.Time { return at.UTC().Truncate(time.Microsecond) }

func defect(op string, err error) error {
	return &domain.Error{Op: op, Kind: domain.Internal, Err: err}
}

func undecided(op string, r application.Record) error {
	return defect(op, fmt.Errorf("request %s has the outcome %q", r.Request.MessageID, r.Request.Decided))
}
