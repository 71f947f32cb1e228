package intake

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// problem is the body of every refusal (RFC 9457, application/problem+json).
type problem struct {
	Type      string        `json:"type"`
	Title     string        `json:"title"`
	Status    int           `json:"status"`
	Detail    string        `json:"detail"`
	Instance  string        `json:"instance"`
	Code      string        `json:"code"`
	Retryable bool          `json:"retryable"`
	Remedy    string        `json:"remedy"`
	Errors    []problemItem `json:"errors"`
}

// problemItem is one broken rule. Parameter is set instead of Pointer when it is
// about the query or a header.
type problemItem struct {
	Pointer   string `json:"pointer"`
	Parameter string `json:"parameter,omitempty"`
	Code      string `json:"code"`
	Detail    string `json:"detail"`
}

// refusal is an answer that HTTP itself asks for, before any use case is called.
type refusal struct {
	status int
	code   string
	detail string
	remedy string
	header map[string]string
	items  []problemItem
}

// Error says what the client hears.
func (r *refusal) Error() string { return r.detail }

func noSuchPath() error {
	return &refusal{status: http.StatusNotFound, code: "no-such-path", detail: "nothing is served at this path", remedy: "see /openapi.yaml for what is"}
}

func notFound(detail string) error {
	return &domain.Error{Op: "intake", Kind: domain.NotFound, Detail: detail}
}

func methodNotAllowed(allow string) error {
	return &refusal{status: http.StatusMethodNotAllowed, code: "method-not-allowed", detail: "this path takes " + allow,
		header: map[string]string{"Allow": allow}}
}

func unsupported(detail string) error {
	return &refusal{status: http.StatusUnsupportedMediaType, code: "unsupported-media-type", detail: detail,
		remedy: "send application/json, or a CloudEvent in binary or structured mode", header: map[string]string{"Accept": "application/json, application/cloudevents+json"}}
}

func tooLarge() error {
	return &refusal{status: http.StatusRequestEntityTooLarge, code: "too-large", detail: "the body is larger than 64 KiB",
		items: []problemItem{{Code: "too-large", Detail: "is larger than 65536 bytes"}}}
}

func tooBusy() error {
	return &refusal{status: http.StatusServiceUnavailable, code: "busy", detail: "too many requests are being served", header: map[string]string{"Retry-After": "1"}}
}

func badParameter(name, format string) error {
	return &refusal{status: http.StatusBadRequest, code: "bad-parameter", detail: name + " " + format,
		items: []problemItem{{Parameter: name, Code: "bad-parameter", Detail: format}}}
}

const problemBase = "https://kbnt.dev/problems/"

// titles name the classes of problems, by status; type ends in the first word.
var titles = map[int][2]string{
	http.StatusBadRequest:                  {"malformed", "The request cannot be understood"},
	http.StatusUnauthorized:                {"unauthenticated", "Nobody knows who is asking"},
	http.StatusForbidden:                   {"forbidden", "The caller may not do this"},
	http.StatusNotFound:                    {"not-found", "There is no such thing"},
	http.StatusMethodNotAllowed:            {"method-not-allowed", "The path does not take this method"},
	http.StatusConflict:                    {"conflict", "The state of a thing does not allow this"},
	http.StatusRequestEntityTooLarge:       {"too-large", "The request is too large"},
	http.StatusRequestURITooLong:           {"too-large", "The request is too large"},
	http.StatusUnsupportedMediaType:        {"unsupported-media-type", "The body is of a type that is not read here"},
	http.StatusUnprocessableEntity:         {"refused", "The request breaks rules"},
	http.StatusTooManyRequests:             {"too-many-requests", "Too much is under way"},
	http.StatusRequestHeaderFieldsTooLarge: {"too-large", "The request is too large"},
	http.StatusServiceUnavailable:          {"unavailable", "The service cannot answer just now"},
	http.StatusInternalServerError:         {"internal", "Something went wrong here"},
}

// problemOf is the one mapping from errors to HTTP. It returns the header fields
// that go along.
func problemOf(err error) (problem, map[string]string) {
	if r, ok := errors.AsType[*refusal](err); ok {
		p := problem{Status: r.status, Code: r.code, Detail: r.detail, Remedy: r.remedy, Errors: r.items, Retryable: r.status == http.StatusServiceUnavailable}
		return p.complete(), r.header
	}
	kind := kindOf(err)
	p := problem{Code: kind.String(), Retryable: kind.Retriable()}
	header := map[string]string{}
	e, _ := errors.AsType[*domain.Error](err)
	if e != nil {
		p.Detail, p.Remedy = e.Detail, e.Remedy
		for _, v := range e.Violations[:min(len(e.Violations), maxComplaints)] {
			p.Errors = append(p.Errors, problemItem{Pointer: v.Pointer, Code: v.Code, Detail: v.Detail})
		}
		if e.Code != "" {
			p.Code = e.Code
		}
	}
	switch kind {
	case domain.Malformed:
		p.Status = http.StatusBadRequest
	case domain.Unauthenticated:
		p.Status = http.StatusUnauthorized
		header["WWW-Authenticate"] = challenge(p)
	case domain.Forbidden:
		p.Status = http.StatusForbidden
	case domain.NotFound:
		p.Status = http.StatusNotFound
	case domain.Conflict:
		p.Status = http.StatusConflict
	case domain.Invalid:
		p.Status = http.StatusUnprocessableEntity
	case domain.Exhausted:
		p.Status = http.StatusUnprocessableEntity
		if onlyInFlight(e) {
			p.Status, p.Retryable = http.StatusTooManyRequests, true
			header["Retry-After"] = "10"
		}
	case domain.Unavailable: // whose detail may come from any adapter
		if p.Code != application.PoliciesBroken {
			p.Detail = "the service cannot reach what it depends on; nothing is known to have happened"
		}
		p.Status, p.Errors = http.StatusServiceUnavailable, nil
		header["Retry-After"] = "2"
	default:
		p.Status, p.Detail, p.Errors, p.Code = http.StatusInternalServerError, "an unexpected error; it was logged", nil, "internal"
	}
	return p.complete(), header
}

// challenge says how to be known (RFC 6750, section 3): whoever sent no token hears
// of no error.
func challenge(p problem) string {
	const realm = `Bearer realm="kbnt"`
	if !strings.HasPrefix(p.Code, "token-") || p.Code == "token-missing" {
		return realm
	}
	quotable := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, p.Detail)
	return realm + `, error="invalid_token", error_description="` + quotable + `"`
}

// kindOf takes an ended context for what it is here: somebody was too slow.
func kindOf(err error) domain.Kind {
	kind := domain.KindOf(err)
	if kind == domain.Internal && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
		return domain.Unavailable
	}
	return kind
}

// onlyInFlight reports whether all that is wrong passes by waiting.
func onlyInFlight(e *domain.Error) bool {
	if e == nil || len(e.Violations) == 0 {
		return false
	}
	for _, v := range e.Violations {
		if v.Code != "requests-in-flight" {
			return false
		}
	}
	return true
}

// complete fills in what follows from the status.
func (p problem) complete() problem {
	class := titles[p.Status]
	p.Type, p.Title = problemBase+class[0], class[1]
	if p.Detail == "" {
		p.Detail = class[1]
	}
	if p.Errors == nil {
		p.Errors = []problemItem{}
	}
	if p.Remedy == "" {
		p.Remedy = remedy(p.Status)
	}
	return p
}

func remedy(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "send a valid bearer token"
	case http.StatusForbidden:
		return "ask for the role, or have somebody do it who has it"
	case http.StatusTooManyRequests:
		return "wait, then send the same request again"
	case http.StatusServiceUnavailable, http.StatusInternalServerError:
		return "send the same request again, with the same requestId"
	case http.StatusNotFound:
		return "look at what there is: /api/v1/requests, /api/v1/resources, or /openapi.yaml"
	case http.StatusRequestEntityTooLarge, http.StatusRequestHeaderFieldsTooLarge:
		return "send less"
	case http.StatusConflict:
		return "look at the state of the thing, and try when it allows this"
	}
	return "change the request as errors and detail say, then send it again"
}
