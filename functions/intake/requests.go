package intake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// requestsPage is a page of requests, newest first.
type requestsPage struct {
	Requests   []requestView `json:"requests"`
	NextCursor string        `json:"nextCursor,omitempty"`
}

func (f *Function) listRequests(x *exchange) error {
	q, err := x.query("status", "type", "limit", "cursor")
	if err != nil {
		return err
	}
	var filter application.RequestFilter
	if filter.Status, err = oneOf(q, "status", []domain.Outcome{domain.Processing, domain.Completed, domain.Fault, domain.Cancelled}); err != nil {
		return err
	}
	if filter.Type, err = oneOf(q, "type", domain.RequestTypes()); err != nil {
		return err
	}
	if filter.Limit, filter.Before, err = q.page(); err != nil {
		return err
	}
	found, err := f.Records.Requests(x.ctx, x.caller.Tenant, filter)
	if err != nil {
		return err
	}
	page := requestsPage{Requests: []requestView{}, NextCursor: next(found, filter.Limit, func(r domain.Request) string { return r.MessageID })}
	for _, r := range found {
		page.Requests = append(page.Requests, viewRequest(r))
	}
	return x.write(http.StatusOK, page)
}

// showRequest answers how far a request is, at once or, when the client prefers
// to wait, as soon as it has ended.
func (f *Function) showRequest(x *exchange) error {
	if _, err := x.query(); err != nil {
		return err
	}
	id, err := x.id("request")
	if err != nil {
		return err
	}
	ctx, wait := x.ctx, preferredWait(x.r.Header)
	if wait > 0 {
		select {
		case f.streams <- struct{}{}:
			defer func() { <-f.streams }()
			x.lift(time.Now().Add(wait + f.Patience))
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(x.r.Context(), wait+f.Patience)
			defer cancel()
			x.w.Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(wait/time.Second)))
		default:
			wait = 0 // too many wait already: a preference is no promise
		}
	}
	r, err := f.Track.Wait(ctx, x.caller.Tenant, id, wait)
	if err != nil {
		x.w.Header().Del("Preference-Applied")
		return err
	}
	return x.tagged(encode(viewRecord(r)))
}

const waitMost = 30 * time.Second

// preferredWait reads "Prefer: wait=N" (RFC 7240), at most 30 s. What cannot be
// understood is no preference.
func preferredWait(h http.Header) time.Duration {
	for _, line := range h.Values("Prefer") {
		for preference := range strings.SplitSeq(line, ",") {
			preference, _, _ = strings.Cut(preference, ";")
			name, value, _ := strings.Cut(preference, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
			if err != nil {
				return 0
			}
			return min(time.Duration(n)*time.Second, waitMost)
		}
	}
	return 0
}

// tagged sends a JSON answer with an ETag, or 304 when the client has it.
func (x *exchange) tagged(body []byte) error {
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	x.w.Header().Set("ETag", tag)
	x.w.Header().Set("Cache-Control", "private, no-cache")
	if matches(x.r.Header.Values("If-None-Match"), tag) {
		x.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return x.send(http.StatusOK, "application/json", body)
}

// matches compares weakly, as RFC 9110 asks of If-None-Match.
func matches(lines []string, tag string) bool {
	for _, line := range lines {
		for candidate := range strings.SplitSeq(line, ",") {
			candidate = strings.TrimSpace(candidate)
			if candidate == "*" || strings.TrimPrefix(candidate, "W/") == tag {
				return true
			}
		}
	}
	return false
}

// cancelling is the answer to a cancel. It says nothing that changes, so that
// the second cancel has the same answer.
type cancelling struct {
	RequestID         string `json:"requestId"`
	Status            string `json:"status"`
	Reason            string `json:"reason"`
	VirtualResourceID string `json:"virtualResourceId"`
	CorrelationID     string `json:"correlationId"`
	TrackingURL       string `json:"trackingUrl"`
}

func (f *Function) cancelRequest(x *exchange) error {
	if _, err := x.query(); err != nil {
		return err
	}
	id, err := x.id("request")
	if err != nil {
		return err
	}
	r, err := f.Cancel.Cancel(x.ctx, x.caller, id)
	if err != nil {
		return err
	}
	q := r.Request
	x.correlation = q.CorrelationID
	x.w.Header().Set("Location", trackingURL(q.ID))
	return x.write(http.StatusAccepted, cancelling{
		RequestID: q.ID, Status: string(domain.Processing), Reason: q.Reason,
		VirtualResourceID: r.Resource.VirtualID, CorrelationID: q.CorrelationID, TrackingURL: trackingURL(q.ID),
	})
}
