package avro

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	twmb "github.com/twmb/avro"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
)

// The Confluent wire format: a byte 0, the id of the schema as 4 bytes in big
// endian, the record. Single-object encoding begins with C3.
const (
	confluentMagic  = 0
	confluentHeader = 5
)

// sizeHint holds the reference message, 540 bytes, without growing.
const sizeHint = 1 << 10

// subjectOf is where the schema is registered, after the TopicNameStrategy: each
// topic between functions carries one schema.
func subjectOf(name string) (subject string, ok bool) {
	switch name {
	case eventing.SchemaMessage:
		return eventing.TopicRequests + "-value", true
	case eventing.SchemaResult:
		return eventing.TopicResults + "-value", true
	}
	return "", false
}

// Prepare learns the ids of the named schemas, eventing.SchemaMessage or
// eventing.SchemaResult, or of both if none is named, and registers them where
// they are unknown. Until it has succeeded once, an event with such data cannot
// be encoded; from then on it costs nothing and never fails. Without a registry
// there is nothing to learn.
//
// It is for where waiting does no harm, the readiness of a function, because
// events are encoded inside of transactions. Unavailable, with the code
// "registry-away": the registry does not answer as it should; call it again.
func (c *Codec) Prepare(ctx context.Context, schemas ...string) error {
	if c.registry == nil {
		return nil
	}
	if len(schemas) == 0 {
		schemas = []string{eventing.SchemaMessage, eventing.SchemaResult}
	}
	var faults []error
	for _, name := range schemas {
		if _, ok := c.registry.ids.peek(name); ok {
			continue
		}
		if err := c.learn(ctx, name); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// learn asks the registry for the id of the newest schema of that name.
func (c *Codec) learn(ctx context.Context, name string) error {
	const op = "prepare schema"
	subject, ok := subjectOf(name)
	if !ok {
		return defect(op, fmt.Errorf("no event of ours has Avro data of %q", name))
	}
	all, err := c.schemas()
	if err != nil {
		return defect(op, err)
	}
	newest := all.newest[name]
	id, err := c.registry.ids.find(ctx, name, func(ctx context.Context) (uint32, error) {
		return c.registry.id(ctx, subject, newest.String())
	})
	if err != nil {
		return away(op, err)
	}
	c.registry.writers.keep(sighting{id, name}, read{writer: all.writers[fingerprint(newest)]})
	return nil
}

// encode writes v with the newest schema of that name. It waits for nothing.
func (c *Codec) encode(op, name string, v any) ([]byte, error) {
	schemas, err := c.schemas()
	if err != nil {
		return nil, defect(op, err)
	}
	data := make([]byte, 0, sizeHint)
	if c.registry == nil {
		data, err = schemas.newest[name].AppendSingleObject(data, v)
	} else {
		id, ok := c.registry.ids.peek(name)
		if !ok {
			return nil, away(op, fmt.Errorf("the id of %s is not known yet", name))
		}
		data = binary.BigEndian.AppendUint32(append(data, confluentMagic), id)
		data, err = schemas.newest[name].AppendEncode(data, v)
	}
	if err != nil {
		return nil, defect(op, err)
	}
	return data, nil
}

// sighting is a schema id in data that should be of the named schema.
type sighting struct {
	id   uint32
	name string
}

// read is how to read such data, or why it can never be read.
type read struct {
	writer writer
	err    error
}

// writer finds the schema that data was written with, whichever way it says so,
// and returns the record. Only an id that was not met before is asked for.
func (c *Codec) writer(ctx context.Context, schemas *catalogue, data []byte, name string) (writer, []byte, error) {
	if len(data) == 0 || data[0] != confluentMagic {
		return schemas.single(data, name)
	}
	if len(data) <= confluentHeader { // none of our records is empty
		return writer{}, nil, fmt.Errorf("%d bytes are too few for the id of a schema and a record", len(data))
	}
	id, body := binary.BigEndian.Uint32(data[1:]), data[confluentHeader:]
	if id == 0 || id > math.MaxInt32 {
		return writer{}, nil, fmt.Errorf("%d is no id of a schema", id)
	}
	if c.registry == nil {
		return writer{}, nil, away("open event", fmt.Errorf("the data names schema %d of a registry, and none is configured", id))
	}
	w, err := c.meet(ctx, schemas, sighting{id, name})
	return w, body, err
}

// meet returns how to read what was seen.
func (c *Codec) meet(ctx context.Context, schemas *catalogue, seen sighting) (writer, error) {
	known, ok := c.registry.writers.peek(seen)
	if !ok {
		var err error
		known, err = c.registry.writers.find(ctx, seen, func(ctx context.Context) (read, error) {
			found, err := c.registry.schema(ctx, seen.id)
			if err != nil {
				return read{}, err
			}
			w, err := schemas.foreign(found, seen)
			return read{w, err}, nil
		})
		if err != nil {
			return writer{}, away("open event", err)
		}
	}
	return known.writer, known.err
}

// foreign resolves a schema of the registry against the newest of the name. It
// may be one that has no file here: a newer release writes with it, say.
func (c *catalogue) foreign(found registered, seen sighting) (writer, error) {
	switch {
	case found.Type != "" && found.Type != "AVRO":
		return writer{}, fmt.Errorf("schema %d is no Avro, but %.20q", seen.id, found.Type)
	case len(found.References) > 0:
		return writer{}, fmt.Errorf("schema %d refers to others, which none of ours does", seen.id)
	}
	schema, err := twmb.Parse(found.Schema)
	if err != nil {
		return writer{}, fmt.Errorf("parse schema %d: %w", seen.id, err)
	}
	reader, err := twmb.Resolve(schema, c.newest[seen.name])
	if err != nil {
		return writer{}, fmt.Errorf("read schema %d as %s: %w", seen.id, seen.name, err)
	}
	version := fmt.Sprintf("id-%d", seen.id)
	if w, ok := c.writers[fingerprint(schema)]; ok && w.name == seen.name {
		version = w.version
	}
	return writer{seen.name, version, reader}, nil
}

// away says that the registry is needed and cannot be used now: because it does
// not answer, or answers what helps nobody, or because we are configured
// wrongly. None of this is the event's fault.
func away(op string, err error) error {
	return &domain.Error{Op: op, Kind: domain.Unavailable, Code: application.CodeRegistryAway,
		Detail: "the schema registry cannot be used just now", Remedy: "try again in a moment", Err: err}
}
