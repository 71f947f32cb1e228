package intake_test

import (
	"net/http"
	"strings"
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
)

const structured = `{"specversion":"1.0","id":"order-1","source":"/shop","type":"dev.kbnt.virtualization.request",
	"correlationid":"corr-9","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","data":` + volume + `}`

var binaryHeaders = []string{"Ce-Specversion", "1.0", "Ce-Id", "order-1", "Ce-Source", "/shop", "Ce-Type", "dev.kbnt.virtualization.request",
	"Ce-Correlationid", "corr-9", "Ce-Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}

func TestVirtualize_cloudEvent(t *testing.T) {
	t.Parallel()
	for name, post := range map[string]func(*bench) answer{
		"structured": func(b *bench) answer { return b.post(structured, "Content-Type", "application/cloudevents+json") },
		"binary":     func(b *bench) answer { return b.post(volume, binaryHeaders...) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, setup{})
			a := post(b)
			id := domain.RequestIDOf("/shop", "order-1")
			if a.status != http.StatusAccepted || a.text("requestId") != id || a.text("correlationId") != "corr-9" {
				t.Fatalf("got %d %s, want 202 for %s", a.status, a.body, id)
			}
			r, err := b.store.Request(t.Context(), "acme", id)
			if err != nil {
				t.Fatal(err)
			}
			if q := r.Request; q.Transport != "CloudEvent" || q.CausationID != "order-1" || q.TraceParent != "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" {
				t.Errorf("the request: got %s %s %s", q.Transport, q.CausationID, q.TraceParent)
			}
			response := &http.Response{StatusCode: a.status, Header: a.header, Body: http.NoBody}
			e, err := cehttp.NewEventFromHTTPResponse(response)
			if err != nil || e.Validate() != nil {
				t.Fatalf("the answer is no event: %v %v %v", err, e, a.header)
			}
			if e.Type() != eventing.TypeAccepted || e.Source() != eventing.SourceIntake || e.ID() != domain.AcceptedID(r.Request.MessageID) ||
				e.Subject() != r.Resource.VirtualID || e.Extensions()["causationid"] != "order-1" || e.Extensions()["requestid"] != id ||
				e.DataContentType() != cloudevents.ApplicationJSON {
				t.Errorf("the answer: got %v", e)
			}
			if again := post(b); again.status != 202 || again.header.Get("Ce-Id") != a.header.Get("Ce-Id") {
				t.Errorf("again: got %d %v, want the same event", again.status, again.header)
			}
		})
	}
}

func TestVirtualize_badEvents(t *testing.T) {
	t.Parallel()
	swap := func(old, replaced string) string { return strings.Replace(structured, old, replaced, 1) }
	for name, c := range map[string]struct {
		reason string
		body   string
		status int
		code   string
	}{
		"another type":   {"only requests are taken", swap("virtualization.request", "virtualization.requested"), 400, "event-type"},
		"no id":          {"an event has an id", swap(`"id":"order-1",`, ""), 400, "not-an-event"},
		"no specversion": {"an event has a specversion", swap(`"specversion":"1.0",`, ""), 400, "not-an-event"},
		"no envelope":    {"structured mode has an envelope", volume, 400, "not-an-event"},
		"not JSON":       {"the envelope is JSON", "hello", 400, "malformed"},
		"twice":          {"an attribute given twice means two things", swap(`"id":"order-1",`, `"id":"order-1","id":"order-2",`), 400, "malformed"},
		"no data":        {"a request has a document", swap(`,"data":`+volume, ""), 400, "malformed"},
		"XML data":       {"the document is JSON", swap(`"data":`+volume, `"datacontenttype":"text/xml","data":"<a/>"`), 415, "unsupported-media-type"},
		"bad document":   {"the document is judged as any other", swap(`"iops"`, `"iop"`), 400, "malformed"},
		"array":          {"an envelope is an object", "[]", 400, "not-an-event"},
		"long id":        {"an id travels on in every event", swap("order-1", strings.Repeat("x", 257)), 400, "event-id"},
		"NUL in id":      {"an id is text", swap("order-1", `a\u0000b`), 400, "event-id"},
		"attribute type": {"attributes are of simple types", swap(`"order-1"`, `{}`), 400, "not-an-event"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, setup{})
			a := b.post(c.body, "Content-Type", "application/cloudevents+json; charset=utf-8")
			if a.status != c.status || a.text("code") != c.code {
				t.Errorf("%s: got %d %s, want %d %s", c.reason, a.status, a.body, c.status, c.code)
			}
			b.untouched()
		})
	}
	a := newBench(t, setup{}).post(volume, "Ce-Specversion", "1.0", "Ce-Type", eventing.TypeRequest)
	if a.status != 400 || a.text("code") != "not-an-event" {
		t.Errorf("binary mode without id and source: got %d %s", a.status, a.body)
	}
}

// Attributes that no header can hold are percent-encoded in binary mode: there
// they mean the same as in structured mode.
func TestVirtualize_escapedEvent(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{})
	headers := append(binaryHeaders[:2:2], "Ce-Id", "caf%C3%A9 1", "Ce-Source", "/shop", "Ce-Type", eventing.TypeRequest, "Ce-Correlationid", "corr-%C3%A9")
	a := b.post(volume, headers...)
	if a.status != http.StatusAccepted || a.text("requestId") != domain.RequestIDOf("/shop", "caf\u00e9 1") || a.text("correlationId") != "corr-\u00e9" {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if got := a.header.Get("Ce-Causationid"); got != "caf%C3%A9%201" {
		t.Errorf("causationid: got %q", got)
	}
}
