package intake

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

// maxBody is the most that is read of a posted request.
const maxBody = 64 << 10

// posted is a request as it came: the document, and what its carrier says.
type posted struct {
	document    []byte
	transport   string // "JSON" or "CloudEvent"
	event       *carrier
	correlation string // of the carrier; may be empty
	trace       string // valid, or empty
}

// read takes the body, by its Content-Type. Nothing of it is judged yet.
func (x *exchange) read() (posted, error) {
	kind, err := mediaType(x.r.Header)
	if err != nil {
		return posted{}, err
	}
	if encoding := x.r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return posted{}, unsupported("compressed bodies are not read")
	}
	_ = http.NewResponseController(x.w).SetReadDeadline(time.Now().Add(x.f.Patience)) // where the server has none of its own
	body, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return posted{}, tooLarge()
	}
	if err != nil {
		return posted{}, &refusal{status: http.StatusBadRequest, code: "body-cut-off", detail: "the body ended before its announced length, or came too slowly"}
	}
	if isEvent(kind, x.r.Header) {
		return unwrap(x.r, kind, body)
	}
	if !isJSON(kind) {
		return posted{}, unsupported("a body of type " + clip(kind) + " is not read here")
	}
	p := posted{document: body, transport: "JSON", correlation: x.r.Header.Get("X-Correlation-Id")}
	if t := x.r.Header.Get("Traceparent"); isTrace(t) {
		p.trace = t
	}
	return p, nil
}

// mediaType returns the type of the body in lower case, without parameters. The
// only charset is UTF-8 (RFC 8259, section 8.1).
func mediaType(h http.Header) (string, error) {
	given := h.Get("Content-Type")
	if given == "" {
		return "", unsupported("Content-Type is missing")
	}
	kind, parameters, err := mime.ParseMediaType(given)
	if err != nil {
		return "", unsupported("Content-Type is not valid")
	}
	if charset := parameters["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return "", unsupported("the charset of JSON is UTF-8")
	}
	return kind, nil
}

func isJSON(kind string) bool { return kind == "application/json" || kind == "text/json" }
