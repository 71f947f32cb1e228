package intake

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/cloudevents/sdk-go/v2/types"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
)

// carrier is the event that a request was posted in.
type carrier struct {
	id     string
	source string
}

const structured = "application/cloudevents+json"

// maxEventID bounds what goes on as the causationid of every event that follows.
const maxEventID = 256

func isEvent(kind string, h http.Header) bool {
	return strings.HasPrefix(kind, "application/cloudevents") || h.Get("Ce-Specversion") != "" || h.Get("Ce-Type") != "" || h.Get("Ce-Id") != ""
}

// unwrap takes the document out of a CloudEvent in binary or structured mode.
// The SDK decodes it, after the envelope was found to be sound JSON: the SDK
// does not notice keys given twice, broken UTF-8 or endless nesting.
func unwrap(r *http.Request, kind string, body []byte) (posted, error) {
	switch {
	case kind == structured:
		var c complaints
		if parse(body, &c); len(c) > 0 {
			return posted{}, malformed(c)
		}
	case strings.HasPrefix(kind, "application/cloudevents"):
		return posted{}, unsupported("only single events in JSON are read, no batches and no other formats")
	}
	carried := r.Clone(r.Context())
	carried.Body = io.NopCloser(bytes.NewReader(body))
	e, err := cehttp.NewEventFromHTTPRequest(carried)
	if err != nil {
		return posted{}, badEvent("not-an-event", "the CloudEvent cannot be read; it needs specversion, id, source and type")
	}
	if err := e.Validate(); err != nil {
		return posted{}, badEvent("not-an-event", "the CloudEvent is not valid: "+clipLong(err.Error()))
	}
	if v := e.SpecVersion(); v != event.CloudEventsVersionV1 {
		return posted{}, badEvent("not-an-event", "the CloudEvent has the specversion "+clip(v)+"; send 1.0")
	}
	if e.Type() != eventing.TypeRequest {
		return posted{}, badEvent("event-type", fmt.Sprintf("the event has the type %q; requests have %q", clip(e.Type()), eventing.TypeRequest))
	}
	if t := e.DataContentType(); t != "" {
		if dataKind, _, err := mime.ParseMediaType(t); err != nil || !isJSON(dataKind) && !strings.HasSuffix(dataKind, "+json") {
			return posted{}, unsupported("the data of the event is " + clip(t) + ", not JSON")
		}
	}
	attribute := func(s string) string { return s }
	if kind != structured {
		attribute = unescape
	}
	p := posted{document: e.Data(), transport: "CloudEvent", event: &carrier{id: attribute(e.ID()), source: attribute(e.Source())}}
	if len(p.event.id) > maxEventID || strings.ContainsFunc(p.event.id, unicode.IsControl) {
		return posted{}, badEvent("event-id", fmt.Sprintf("the id of the event has more than %d bytes, or control characters", maxEventID))
	}
	p.correlation = orHeader(attribute(extension(e, eventing.ExtCorrelationID)), r, "X-Correlation-Id")
	if p.trace = extension(e, eventing.ExtTraceParent); !isTrace(p.trace) {
		p.trace = ""
	}
	if t := r.Header.Get("Traceparent"); p.trace == "" && isTrace(t) {
		p.trace = t
	}
	return p, nil
}

func badEvent(code, detail string) error {
	return &domain.Error{Op: "decode", Kind: domain.Malformed, Code: code, Detail: detail,
		Remedy:     "send the type " + eventing.TypeRequest + " with specversion 1.0, id and source",
		Violations: []domain.Violation{{Code: code, Detail: detail}}}
}

func extension(e *event.Event, name string) string {
	v, ok := e.Extensions()[name]
	if !ok {
		return ""
	}
	s, err := types.Format(v)
	if err != nil {
		return ""
	}
	return s
}

func orHeader(s string, r *http.Request, header string) string {
	if s != "" {
		return s
	}
	return r.Header.Get(header)
}

// clipLong keeps what the SDK says of an event in one line of bearable length.
func clipLong(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 200 {
		return string(r[:200]) + "..."
	}
	return s
}

// unescape undoes the percent-encoding of binary mode (CloudEvents HTTP binding,
// section 3.1.3.2), which the SDK leaves in. What is none stays as it is.
func unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil && utf8.ValidString(u) {
		return u
	}
	return s
}

// escapeAttribute is the same the other way round.
func escapeAttribute(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// reply sends the answer to a posted event as an event in binary mode: a Trigger
// takes the body of a 2xx only as one.
func (x *exchange) reply(status int, a application.Answer, caused *carrier, body []byte) error {
	q := a.Request
	for name, value := range map[string]string{
		"specversion":             event.CloudEventsVersionV1,
		"id":                      domain.AcceptedID(q.MessageID),
		"type":                    eventing.TypeAccepted,
		"source":                  eventing.SourceIntake,
		"subject":                 a.Resource.VirtualID,
		"time":                    q.AcceptedAt.UTC().Format(time.RFC3339Nano),
		eventing.ExtCorrelationID: q.CorrelationID,
		eventing.ExtCausationID:   caused.id,
		eventing.ExtRequestID:     q.ID,
		eventing.ExtTenantID:      q.Tenant,
		eventing.ExtOperation:     string(q.Type),
		eventing.ExtPriority:      string(q.Priority),
		eventing.ExtPartitionKey:  a.Resource.CreatedBy,
		eventing.ExtTraceParent:   q.TraceParent,
		eventing.ExtChecksum:      checksum(body),
	} {
		if value != "" {
			x.w.Header().Set("Ce-"+name, escapeAttribute(value))
		}
	}
	return x.send(status, eventing.ContentTypeJSON, body)
}
