package intake

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// accepted is the answer to a posted request.
type accepted struct {
	RequestID         string `json:"requestId"`
	Status            string `json:"status"`
	EstimatedTime     string `json:"estimatedTime"` // ISO 8601
	EstimatedSeconds  int    `json:"estimatedSeconds"`
	TrackingURL       string `json:"trackingUrl"`
	CorrelationID     string `json:"correlationId"`
	ResponseTime      string `json:"responseTime"`
	QueuePosition     int    `json:"queuePosition"`
	VirtualResourceID string `json:"virtualResourceId"`
	Cost              price  `json:"cost"`
}

// judged is the answer to a dry run: what would have been decided, and why.
type judged struct {
	Valid            bool            `json:"valid"`
	Type             string          `json:"type"`
	Decision         []domain.Ruling `json:"decision"`
	Specification    any             `json:"specification,omitempty"`
	EstimatedTime    string          `json:"estimatedTime"`
	EstimatedSeconds int             `json:"estimatedSeconds"`
	QueuePosition    int             `json:"queuePosition"`
	Cost             price           `json:"cost"`
}

// virtualize takes a request. 202 is said only of what is durable.
func (f *Function) virtualize(x *exchange) error {
	q, err := x.query("dryRun")
	if err != nil {
		return err
	}
	dry, err := q.flag("dryRun")
	if err != nil {
		return err
	}
	p, err := x.read()
	if err != nil {
		return err
	}
	if isCorrelation(p.correlation) {
		x.correlation = p.correlation
	}
	d, err := decode(p.document)
	if isCorrelation(d.draft.CorrelationID) {
		x.correlation = d.draft.CorrelationID
	}
	if err != nil {
		return err
	}
	x.fill(&d, p)

	if dry {
		a, err := f.Submit.Try(x.ctx, x.caller, d.draft)
		if err != nil {
			return x.refusedBy(d, err)
		}
		return x.write(http.StatusOK, judgedView(a))
	}
	a, err := f.Submit.Submit(x.ctx, x.caller, d.draft, x.received)
	if err != nil {
		return x.refusedBy(d, err)
	}
	x.correlation = a.Request.CorrelationID
	if a.ResponseTime <= 0 { // a repetition that came before the first answer was noted
		a.ResponseTime = f.Clock().Sub(x.received)
	}
	f.Log.LogAttrs(x.ctx, slog.LevelInfo, "request accepted", slog.String("step", string(domain.RequestAccepted)),
		slog.String("requestId", a.Request.ID), slog.String("messageId", a.Request.MessageID), slog.String("correlationId", a.Request.CorrelationID),
		slog.String("tenant", a.Request.Tenant), slog.String("user", a.Request.User), slog.String("type", string(a.Request.Type)),
		slog.String("traceId", application.TraceID(a.Request.TraceParent)), slog.Bool("repeated", a.Repeated), slog.Float64("tookMs", float64(a.ResponseTime)/float64(time.Millisecond)))
	view := acceptedView(a)
	x.w.Header().Set("Location", view.TrackingURL)
	if p.event != nil {
		return x.reply(http.StatusAccepted, a, p.event, encode(view))
	}
	return x.write(http.StatusAccepted, view)
}

// fill completes a draft from what came around the document: the header, the
// carrier, the caller, and the operator's offer.
func (x *exchange) fill(d *decoded, p posted) {
	draft := &d.draft
	draft.Transport, draft.TraceParent = p.transport, p.trace
	if draft.TraceParent == "" {
		draft.TraceParent = x.f.NewTrace()
	}
	if draft.User == "" {
		draft.User = x.caller.User
	}
	if m := draft.Spec.Machine; m != nil && m.Image == "" {
		m.Image = x.f.Submit.Offer.Image
	}
	if draft.CorrelationID == "" {
		draft.CorrelationID = x.correlation
		if p.correlation != "" {
			draft.CorrelationID = p.correlation // a bad one is judged, not replaced
		}
	}
	draft.RequestID = d.asked
	if key, given := x.r.Header["Idempotency-Key"]; given {
		switch {
		case len(key) > 1 || !usableID(key[0]):
			d.faults.add("/metadata/requestId", "invalid-id", "Idempotency-Key: %s", idRule)
		case draft.RequestID == "":
			draft.RequestID = key[0]
		case draft.RequestID != key[0]:
			d.faults.add("/metadata/requestId", "disagrees", "is %q, but the header Idempotency-Key says %q; they are the same thing", draft.RequestID, key[0])
		}
	}
	if p.event != nil {
		draft.CausationID = p.event.id
		if draft.RequestID == "" {
			draft.RequestID = domain.RequestIDOf(p.event.source, p.event.id)
		}
	}
	if draft.RequestID == "" {
		draft.RequestID = x.f.NewID()
	}
	draft.Faults = d.faults
}

// refusedBy passes on what a use case refused, which it has counted, with
// pointers that name what the client wrote.
func (x *exchange) refusedBy(d decoded, err error) error {
	x.counted = true
	if e, ok := errors.AsType[*domain.Error](err); ok {
		renamed := *e
		renamed.Violations = d.rename(e.Violations)
		return &renamed
	}
	return err
}

func acceptedView(a application.Answer) accepted {
	q := a.Request
	return accepted{
		RequestID: q.ID, Status: string(domain.Processing),
		EstimatedTime: iso8601(q.Estimate), EstimatedSeconds: int(q.Estimate / time.Second),
		TrackingURL: trackingURL(q.ID), CorrelationID: q.CorrelationID, ResponseTime: millis(a.ResponseTime),
		QueuePosition: q.QueuePosition, VirtualResourceID: a.Resource.VirtualID, Cost: moneyView(q.Cost),
	}
}

func judgedView(a application.Answer) judged {
	q := a.Request
	return judged{
		Valid: true, Type: string(q.Type), Decision: q.Decision, Specification: specView(q.Spec),
		EstimatedTime: iso8601(q.Estimate), EstimatedSeconds: int(q.Estimate / time.Second), QueuePosition: q.QueuePosition, Cost: moneyView(q.Cost),
	}
}

// iso8601 writes whole seconds: "PT30S".
func iso8601(d time.Duration) string { return "PT" + strconv.Itoa(int(d/time.Second)) + "S" }

// millis writes a duration as clients know it: "52ms", "3.421ms".
func millis(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Round(time.Microsecond))/float64(time.Millisecond), 'f', -1, 64) + "ms"
}

// checksum is the value of the extension of that name.
func checksum(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256-" + hex.EncodeToString(sum[:])
}
