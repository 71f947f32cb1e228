package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"kbnt.dev/virtualization/domain"
)

// Bounds of a document, besides its size.
const (
	maxDepth      = 16 // nesting; the deepest request needs 3
	maxComplaints = 50 // listed in one answer
	maxPointerKey = 64 // characters of one key repeated in a pointer
)

// node is one value of a JSON document, and where it stands: encoding/json
// forgets that, and a client needs to hear which field is wrong.
type node struct {
	pointer string // RFC 6901
	value   any    // string, json.Number, bool, nil, *object or []*node
}

// object keeps the order of its members, so that complaints come in the order
// of the document.
type object struct {
	keys    []string
	members map[string]*node
}

// complaints collects what makes a document one that cannot be understood.
type complaints []domain.Violation

func (c *complaints) add(pointer, code, format string, args ...any) {
	if len(*c) < maxComplaints {
		*c = append(*c, domain.Violation{Pointer: pointer, Code: code, Detail: fmt.Sprintf(format, args...), Kind: domain.Malformed})
	}
}

// parse reads exactly one JSON value. It is stricter than encoding/json: invalid
// UTF-8, half surrogate pairs, a key given twice and anything behind the value
// are complaints. A nil node means that the rest of the document is unknown too.
func parse(document []byte, c *complaints) *node {
	p := parser{in: json.NewDecoder(bytes.NewReader(document)), document: document, complaints: c}
	p.in.UseNumber()
	root, ok := p.value("", 0)
	if !ok {
		return nil
	}
	if _, err := p.in.Token(); !errors.Is(err, io.EOF) {
		c.add("", "trailing-data", "something follows the JSON value, at byte %d", p.in.InputOffset())
	}
	return root
}

type parser struct {
	in       *json.Decoder
	document []byte
	*complaints
}

// token returns the next token. Text that encoding/json would silently mend is a
// complaint about the value at pointer.
func (p *parser) token(pointer string) (json.Token, bool) {
	from := p.in.InputOffset()
	t, err := p.in.Token()
	if err != nil {
		p.broken(pointer, err)
		return nil, false
	}
	raw := p.document[from:p.in.InputOffset()]
	s, isString := t.(string)
	switch {
	case !utf8.Valid(raw):
		p.add(pointer, "invalid-utf8", "is not valid UTF-8")
	case isString && strings.ContainsRune(s, utf8.RuneError) && !bytes.ContainsRune(raw, utf8.RuneError) && !bytes.Contains(bytes.ToLower(raw), []byte(`\ufffd`)):
		p.add(pointer, "invalid-utf8", "has half a surrogate pair (a lone \\ud800 to \\udfff)")
	}
	return t, true
}

func (p *parser) broken(pointer string, err error) {
	switch {
	case len(bytes.TrimSpace(p.document)) == 0:
		p.add("", "empty", "the body is empty; send a JSON object")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		p.add(pointer, "syntax", "the JSON ends too early, at byte %d", len(p.document))
	default:
		p.add(pointer, "syntax", "is no valid JSON, at byte %d", p.in.InputOffset())
	}
}

func (p *parser) value(pointer string, depth int) (*node, bool) {
	t, ok := p.token(pointer)
	if !ok {
		return nil, false
	}
	opened, isDelim := t.(json.Delim)
	switch {
	case !isDelim:
		return &node{pointer, t}, true
	case depth == maxDepth:
		p.add(pointer, "too-deep", "is nested deeper than %d levels", maxDepth)
		return nil, false
	case opened == '[':
		return p.array(pointer, depth)
	}
	return p.object(pointer, depth)
}

func (p *parser) array(pointer string, depth int) (*node, bool) {
	var items []*node
	for p.in.More() {
		item, ok := p.value(pointer+"/"+strconv.Itoa(len(items)), depth+1)
		if !ok {
			return nil, false
		}
		items = append(items, item)
	}
	_, ok := p.token(pointer)
	return &node{pointer, items}, ok
}

func (p *parser) object(pointer string, depth int) (*node, bool) {
	o := &object{members: map[string]*node{}}
	for p.in.More() {
		t, ok := p.token(pointer)
		if !ok {
			return nil, false
		}
		key, _ := t.(string) // a key that is none was a syntax error
		at := pointer + "/" + escape(key)
		member, ok := p.value(at, depth+1)
		if !ok {
			return nil, false
		}
		if _, twice := o.members[key]; twice {
			p.add(at, "duplicate-key", "is given twice")
			continue
		}
		o.keys, o.members[key] = append(o.keys, key), member
	}
	_, ok := p.token(pointer)
	return &node{pointer, o}, ok
}

// escape makes a key a part of a JSON pointer, cut where it is absurdly long.
func escape(key string) string {
	if r := []rune(key); len(r) > maxPointerKey {
		key = string(r[:maxPointerKey]) + "..."
	}
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(strings.ToValidUTF8(key, "\uFFFD"))
}

// kind names the type of a value, as JSON calls it.
func (n *node) kind() string {
	switch n.value.(type) {
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case bool:
		return "a boolean"
	case *object:
		return "an object"
	case []*node:
		return "an array"
	}
	return "null"
}
