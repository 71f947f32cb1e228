package postgres

import "kbnt.dev/virtualization/application"

// eventColumns are the columns of an event, in outbox and in dead_letters.
var eventColumns = columnsOf(`event_id text, wire_id text, type text, source text, subject text, time timestamptz, dataschema text, contenttype text,
	extensions json, data bytea, topic text`)

func eventRow(e application.Event) []any {
	return []any{e.ID, e.WireID, e.Type, e.Source, e.Subject, stamp(e.Time), e.DataSchema, e.ContentType, document(e.Extensions), blob(e.Data), e.Topic}
}

func eventDest(e *application.Event) []any {
	return []any{&e.ID, &e.WireID, &e.Type, &e.Source, &e.Subject, moment{&e.Time}, &e.DataSchema, &e.ContentType, structure{&e.Extensions}, &e.Data, &e.Topic}
}

// ofNone is the number of the request of an event that belongs to none.
const ofNone int64 = 0

var outboxColumns = columnsOf("request bigint, armed_at timestamptz").and(eventColumns)

var outgoingColumns = eventColumns.names("o.") + ", o.armed_at, o.acked_at, o.sends"

func outgoingDest(o *application.Outgoing) []any {
	return append(eventDest(&o.Event), moment{&o.ArmedAt}, moment{&o.AckedAt}, &o.Sends)
}

var letterColumns = columnsOf(`id text, tenant text, message_id text, request_id text, function text, reason text, detail text, state text,
	resumed_as text, at timestamptz`).and(eventColumns)

func letterRow(d application.DeadLetter) []any {
	if d.State == "" {
		d.State = application.LetterOpen
	}
	return append([]any{d.ID, d.Tenant, d.MessageID, d.RequestID, d.Function, d.Reason, d.Detail, string(d.State), d.ResumedAs, stamp(d.At)}, eventRow(d.Event)...)
}

func scanLetter(scan scanner, d *application.DeadLetter) error {
	return scan(append([]any{&d.ID, &d.Tenant, &d.MessageID, &d.RequestID, &d.Function, &d.Reason, &d.Detail, (*string)(&d.State), &d.ResumedAs, moment{&d.At}}, eventDest(&d.Event)...)...)
}
