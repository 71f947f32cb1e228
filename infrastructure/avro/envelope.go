package avro

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
	"unicode/utf8"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/eventing"
)

// envelope is what differs between the attributes of our events.
type envelope struct {
	id, kind, source, topic      string
	schema, version, contentType string
	key                          string // partitionkey
	cause                        string // causationid
}

// seal puts data about r into the envelope.
func (v envelope) seal(r application.Record, at time.Time, data []byte) application.Event {
	e := application.Event{
		ID: v.id, Type: v.kind, Source: v.source, Subject: text(r.Resource.VirtualID), Time: at,
		DataSchema: eventing.SchemaBase + v.schema + "/" + v.version, ContentType: v.contentType,
		Data: data, Topic: v.topic,
		Extensions: map[string]string{
			eventing.ExtPartitionKey:  v.key,
			eventing.ExtCorrelationID: r.Request.CorrelationID,
			eventing.ExtCausationID:   v.cause,
			eventing.ExtRequestID:     r.Request.ID,
			eventing.ExtTenantID:      r.Request.Tenant,
			eventing.ExtOperation:     string(r.Request.Type),
			eventing.ExtPriority:      string(r.Request.Priority),
			eventing.ExtTraceParent:   r.Request.TraceParent,
			eventing.ExtChecksum:      checksum(data),
		},
	}
	for name, value := range e.Extensions {
		if value = text(value); value == "" { // CloudEvents has no empty attributes
			delete(e.Extensions, name)
		} else {
			e.Extensions[name] = value
		}
	}
	return e
}

// checksum guards data against all that stores and forwards it on the way.
func checksum(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256-" + hex.EncodeToString(sum[:])
}

// text makes s a String of CloudEvents 1.0 (section "Type System"): valid
// UTF-8 without control characters and noncharacters. Clients' values were judged at
// admission; this is for those that come from elsewhere, such as a token's tenant.
func text(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, string(utf8.RuneError))
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r < 0x20, r >= 0x7f && r < 0xa0, r >= 0xfdd0 && r <= 0xfdef, r&0xfffe == 0xfffe:
			return utf8.RuneError
		}
		return r
	}, s)
}
