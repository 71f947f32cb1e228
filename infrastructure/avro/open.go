package avro

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	twmb "github.com/twmb/avro"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
)

// schemaOf names the schema of each type of ours.
var schemaOf = map[string]string{
	eventing.TypeRequested:   eventing.SchemaMessage,
	eventing.TypeProvisioned: eventing.SchemaResult,
	eventing.TypeRejected:    eventing.SchemaResult,
	eventing.TypeCompleted:   eventing.SchemaEvent,
	eventing.TypeFailed:      eventing.SchemaEvent,
	eventing.TypeCancelled:   eventing.SchemaEvent,
}

// Open verifies an event of ours and tells which request it names. The data is
// walked to its end, but only what a notice needs is kept.
//
// Its errors, but one, are Invalid, and the event will never be good. In the order of
// looking: "checksum-mismatch": the data is not what was sent, or an event of
// ours carries no checksum; "unknown-type"; "undecodable": the data was not
// written with a schema that the one of this type can read, or names no request.
// The other one is Unavailable, "registry-away": the data names a schema by an id
// that is not known, and the registry did not tell what it means. That may take
// until the time limit of the registry, or until ctx ends, once for each id.
func (c *Codec) Open(ctx context.Context, e application.Event) (application.Notice, error) {
	schema, err := verify(e)
	if err != nil {
		return application.Notice{}, err
	}
	schemas, err := c.schemas()
	if err != nil {
		return application.Notice{}, defect("open event", err)
	}
	var n struct {
		MessageID   string `avro:"messageId"`
		MessageType string `avro:"messageType"`
	}
	var version string
	if schema == eventing.SchemaEvent {
		var p struct {
			OriginalMessageID string `json:"originalMessageId"`
			Payload           struct {
				MessageType string `json:"messageType"`
			} `json:"payload"`
		}
		err = decodeJSON(e.Data, &p)
		n.MessageID, n.MessageType = p.OriginalMessageID, p.Payload.MessageType
		version = eventing.SchemaEventVersion
		if v, ok := strings.CutPrefix(e.DataSchema, eventing.SchemaBase+eventing.SchemaEvent+"/"); ok {
			version = v
		}
	} else {
		version, err = c.decode(ctx, schemas, e.Data, schema, &n, twmb.SkipUnknown())
	}
	switch {
	case err != nil:
		return application.Notice{}, undecodable(e, err)
	case n.MessageID == "":
		return application.Notice{}, bad(e, eventing.ReasonUndecodable, errors.New("it names no request"))
	case !domain.RequestType(n.MessageType).Known():
		return application.Notice{}, bad(e, eventing.ReasonUndecodable, fmt.Errorf("%q is no type of request", n.MessageType))
	}
	return application.Notice{MessageID: n.MessageID, Schema: schema + "/" + version, Type: domain.RequestType(n.MessageType)}, nil
}

// Decode returns all data of an event of ours as what encoding/json can print,
// for people and tests: fields by name, times as [time.Time]. It fails as
// [Codec.Open] does.
func (c *Codec) Decode(ctx context.Context, e application.Event) (map[string]any, error) {
	schema, err := verify(e)
	if err != nil {
		return nil, err
	}
	schemas, err := c.schemas()
	if err != nil {
		return nil, defect("open event", err)
	}
	var data map[string]any
	if schema == eventing.SchemaEvent {
		err = decodeJSON(e.Data, &data)
	} else {
		_, err = c.decode(ctx, schemas, e.Data, schema, &data)
	}
	if err != nil {
		return nil, undecodable(e, err)
	}
	return data, nil
}

// verify looks at the checksum before anything else and returns the schema's name.
func verify(e application.Event) (schema string, err error) {
	schema, ours := schemaOf[e.Type]
	said, given := e.Extensions[eventing.ExtChecksum]
	switch found := checksum(e.Data); {
	case given && said != found:
		return "", bad(e, eventing.ReasonChecksumMismatch, fmt.Errorf("the data has %s, the event says %.80q", found, said))
	case !ours:
		return "", bad(e, eventing.ReasonUnknownType, nil)
	case !given:
		return "", bad(e, eventing.ReasonChecksumMismatch, errors.New("the event carries no checksum"))
	}
	return schema, nil
}

// decode reads data of any version of the named schema into v, by the newest,
// and says which version it was written with.
func (c *Codec) decode(ctx context.Context, schemas *catalogue, data []byte, name string, v any, opts ...twmb.Opt) (version string, err error) {
	w, body, err := c.writer(ctx, schemas, data, name)
	if err != nil {
		return "", err
	}
	rest, err := w.reader.Decode(body, v, opts...)
	if err != nil {
		return "", err
	}
	if len(rest) > 0 {
		return "", fmt.Errorf("%d bytes follow the record", len(rest))
	}
	return w.version, nil
}

// single finds the schema of single-object data and returns the record.
func (c *catalogue) single(data []byte, name string) (writer, []byte, error) {
	print, body, err := twmb.SingleObjectFingerprint(data)
	if err != nil {
		return writer{}, nil, err
	}
	w, ok := c.writers[print]
	if !ok || w.name != name {
		return writer{}, nil, fmt.Errorf("fingerprint %x is of no known version of %s", print, name)
	}
	return w, body, nil
}

// decodeJSON reads exactly one value. Unknown fields are for newer readers.
func decodeJSON(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more follows the JSON value")
	}
	return nil
}

// undecodable says so of e, unless err is about the registry.
func undecodable(e application.Event, err error) error {
	if domain.CodeOf(err) == application.CodeRegistryAway {
		return err
	}
	return bad(e, eventing.ReasonUndecodable, err)
}

func bad(e application.Event, code string, err error) error {
	return &domain.Error{Op: "open event", Kind: domain.Invalid, Code: code, Detail: fmt.Sprintf("event %.80q of type %.80q: %s", e.ID, e.Type, code), Err: err}
}
