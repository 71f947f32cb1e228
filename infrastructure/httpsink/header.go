package httpsink

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/eventing"
)

// reserved names belong to attributes that are not extensions, and to "data".
var reserved = map[string]bool{
	"id": true, "source": true, "type": true, "specversion": true, "subject": true, "time": true,
	"dataschema": true, "datacontenttype": true, "data": true, "data_base64": true,
}

// write fills h with the attributes of e. It fails when e is no CloudEvent: a
// required attribute is missing, or an extension has a name that is none.
func write(h http.Header, e application.Event) error {
	if e.ID == "" || e.Source == "" || e.Type == "" {
		return errors.New("id, source and type must not be empty")
	}
	if !printable(e.ContentType) {
		return fmt.Errorf("content type %.80q is not printable", e.ContentType)
	}
	set(h, "Ce-Specversion", "1.0")
	set(h, "Ce-Id", cmp.Or(e.WireID, e.ID))
	set(h, "Ce-Source", e.Source)
	set(h, "Ce-Type", e.Type)
	set(h, "Ce-Subject", e.Subject)
	set(h, "Ce-Dataschema", e.DataSchema)
	if !e.Time.IsZero() {
		set(h, "Ce-Time", e.Time.UTC().Format(time.RFC3339Nano))
	}
	if e.ContentType != "" {
		h["Content-Type"] = []string{e.ContentType}
	}
	for name, value := range e.Extensions {
		if reserved[name] || !isName(name) {
			return fmt.Errorf("%.80q is no name of an extension", name)
		}
		set(h, "Ce-"+strings.ToUpper(name[:1])+name[1:], value)
	}
	if parent := e.Extensions[eventing.ExtTraceParent]; parent != "" {
		h["Traceparent"] = []string{encode(parent)}
	}
	return nil
}

// set writes an attribute under the canonical name of its header; an empty
// value is no attribute.
func set(h http.Header, name, value string) {
	if value != "" {
		h[name] = []string{encode(value)}
	}
}

// isName reports whether s is a name of an attribute: a-z and 0-9 only.
func isName(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// encode makes s a header value (CloudEvents 1.0 HTTP binding, section 3.1.3.2).
func encode(s string) string {
	if clean(s) {
		return s
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i := range len(s) {
		if c := s[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

func clean(s string) bool {
	for i := range len(s) {
		if !plain(s[i]) {
			return false
		}
	}
	return true
}

func plain(c byte) bool { return c > 0x20 && c < 0x7f && c != '"' && c != '%' }

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
