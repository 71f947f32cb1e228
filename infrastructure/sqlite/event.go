package sqlite

import "kbnt.dev/virtualization/application"

// eventColumns are the columns of an event, in outbox and in dead_letters.
const eventColumns = "event_id, wire_id, type, source, subject, time, dataschema, contenttype, extensions, data, topic"

func eventRow(e application.Event) []any {
	return []any{e.ID, e.WireID, e.Type, e.Source, e.Subject, stamp(e.Time), e.DataSchema, e.ContentType, document(e.Extensions), e.Data, e.Topic}
}

func eventDest(e *application.Event) []any {
	return []any{&e.ID, &e.WireID, &e.Type, &e.Source, &e.Subject, moment{&e.Time}, &e.DataSchema, &e.ContentType, structure{&e.Extensions}, &e.Data, &e.Topic}
}

// writeEvent stores an event, armed, unless it is stored. seq is the number of
// its request, nil for none.
func writeEvent(seq any, e application.Event, armedAt any) write {
	return write{query: "INSERT INTO outbox (request, armed_at, " + eventColumns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
		args: append([]any{seq, armedAt}, eventRow(e)...)}
}

const outgoingColumns = "o.event_id, o.wire_id, o.type, o.source, o.subject, o.time, o.dataschema, o.contenttype, o.extensions, o.data, o.topic, o.armed_at, o.acked_at, o.sends"

func outgoingDest(o *application.Outgoing) []any {
	return append(eventDest(&o.Event), moment{&o.ArmedAt}, moment{&o.AckedAt}, &o.Sends)
}

const letterColumns = "id, tenant, message_id, request_id, function, reason, detail, state, resumed_as, at, " + eventColumns

// writeLetter stores a dead letter. One that is stored stays as it is, unless it
// was resumed, which then did not help: it is open again.
func writeLetter(d application.DeadLetter) write {
	if d.State == "" {
		d.State = application.LetterOpen
	}
	return write{query: "INSERT INTO dead_letters (" + letterColumns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET state = 'OPEN', at = excluded.at, resumed_as = '' WHERE dead_letters.state = 'RESUMED'",
		args: append([]any{d.ID, d.Tenant, d.MessageID, d.RequestID, d.Function, d.Reason, d.Detail, string(d.State), d.ResumedAs, stamp(d.At)}, eventRow(d.Event)...)}
}

func scanLetter(scan scanner, d *application.DeadLetter) error {
	return scan(append([]any{&d.ID, &d.Tenant, &d.MessageID, &d.RequestID, &d.Function, &d.Reason, &d.Detail, (*string)(&d.State), &d.ResumedAs, moment{&d.At}}, eventDest(&d.Event)...)...)
}
