package intake

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"kbnt.dev/virtualization/domain"
)

// decoded is what a document says, before anything is known of its sender.
type decoded struct {
	draft  domain.Draft
	spec   string // the name the client used: "specifications" or its alias "spec"
	asked  string // requestId of the document, as given
	faults faults
}

// faults collects values that are understood as JSON and not as what they are
// for. The rules of the domain judge them together with everything else.
type faults []domain.Violation

func (f *faults) add(pointer, code, format string, args ...any) {
	*f = append(*f, domain.Violation{Pointer: pointer, Code: code, Detail: fmt.Sprintf(format, args...), Kind: domain.Invalid})
}

// decode reads the document of a request. A document that cannot be understood
// is Malformed, with all complaints at once; what is understood, but wrong, is
// in Draft.Faults. It needs no knowledge of tenant or offer.
func decode(document []byte) (decoded, error) {
	var c complaints
	d := decoded{spec: "specifications"}
	d.draft.Priority = domain.Normal
	if root := parse(document, &c); root != nil {
		d.request(root, &c)
	}
	if len(c) > 0 {
		return d, malformed(c)
	}
	d.draft.Faults = d.faults
	return d, nil
}

func malformed(c complaints) error {
	e := &domain.Error{Op: "decode", Kind: domain.Malformed, Code: "malformed", Detail: c[0].Detail, Violations: c,
		Remedy: "send one JSON object as described at /openapi.yaml"}
	if len(c) > 1 {
		e.Detail = fmt.Sprintf("the request cannot be understood in %d places; see errors", len(c))
	} else if c[0].Pointer != "" {
		e.Detail = c[0].Pointer + " " + c[0].Detail
	}
	return e
}

func (d *decoded) request(root *node, c *complaints) {
	f := open(root, c)
	name, given := f.text("type")
	d.draft.Type = domain.RequestType(name)
	if !d.draft.Type.Known() {
		d.draft.Type = "" // whatever a client writes here must not become a key of anything
		if given == nil {
			d.faults.add("/type", "required", "is missing; use one of %s", typeNames())
		} else {
			d.faults.add("/type", "unknown-type", "%q is no request type; use one of %s", clip(name), typeNames())
		}
	}
	d.draft.ResourceID = d.name(f.text("resourceId"))
	d.draft.VirtualResourceID = d.name(f.text("virtualResourceId"))

	spec, alias := f.take("specifications"), f.take("spec")
	switch {
	case spec != nil && alias != nil:
		c.add(alias.pointer, "given-twice", "spec is another name of specifications; give only one of them")
	case alias != nil:
		spec, d.spec = alias, "spec"
	}
	if spec != nil {
		d.specification(spec, c)
	}
	if m := f.take("metadata"); m != nil {
		d.metadata(m, c)
	}
	f.done()
}

// name takes an id that the store will be asked for. One with control characters
// names nothing, and some stores cannot even be asked for it.
func (d *decoded) name(s string, given *node) string {
	if given != nil && (s == "" || len(s) > 128 || strings.ContainsFunc(s, unicode.IsControl)) {
		d.faults.add(given.pointer, "invalid-name", "use 1 to %d of A-Z a-z 0-9 . _ -", domain.MaxName)
		return ""
	}
	return s
}

func (d *decoded) metadata(n *node, c *complaints) {
	f := open(n, c)
	var given *node
	if d.asked, given = f.text("requestId"); given != nil && !usableID(d.asked) {
		d.faults.add(given.pointer, "invalid-id", "%s", idRule)
		d.asked = ""
	}
	if d.draft.User, given = f.text("userId"); given != nil && d.draft.User == "" {
		d.faults.add(given.pointer, "invalid-id", "is empty; leave it out to mean yourself")
	}
	d.draft.CorrelationID, _ = f.text("correlationId")
	if priority, given := f.text("priority"); given != nil {
		d.draft.Priority = domain.Priority(priority)
	}
	if labels := f.take("labels"); labels != nil {
		d.labels(labels, c)
	}
	f.done()
}

func (d *decoded) labels(n *node, c *complaints) {
	f := open(n, c)
	if len(f.object.keys) > domain.MaxLabels {
		d.faults.add(n.pointer, "too-many", "%d labels, at most %d", len(f.object.keys), domain.MaxLabels)
		return
	}
	for _, key := range f.object.keys {
		v, given := f.text(key)
		if given == nil {
			continue
		}
		if d.draft.Labels == nil {
			d.draft.Labels = domain.Labels{}
		}
		d.draft.Labels[key] = v
	}
}

const idRule = "use 1 to 64 of A-Z a-z 0-9 . _ -, not only one or two dots"

// usableID reports whether s may be a request id. Dots alone would be one, but
// no tracking URL can end in them (RFC 3986, section 5.2.4).
func usableID(s string) bool { return domain.IsRequestID(s) && s != "." && s != ".." }

func typeNames() string {
	var names []string
	for _, t := range domain.RequestTypes() {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}

// clip keeps what a client wrote short enough to be repeated to it.
func clip(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "..."
	}
	return s
}

// rename gives the pointers of err the name the client used for its
// specifications.
func (d *decoded) rename(broken []domain.Violation) []domain.Violation {
	renamed := slices.Clone(broken)
	for i, v := range renamed {
		if rest, ok := strings.CutPrefix(v.Pointer, "/specifications"); ok && (rest == "" || rest[0] == '/') {
			renamed[i].Pointer = "/" + d.spec + rest
		}
	}
	return renamed
}
