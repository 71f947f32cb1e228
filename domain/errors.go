package domain

import (
	"errors"
	"fmt"
	"strings"
)

// Kind classes an error by what its receiver must do next. Every adapter
// translates the errors of its own technology into a Kind; nothing above an
// adapter ever inspects a vendor error or an error string.
type Kind uint8

const (
	Internal        Kind = iota // a defect, or an error nobody classed: retry, then dead-letter
	Malformed                   // cannot be understood at all: reject, never retry
	Invalid                     // breaks a rule: reject, never retry
	Unauthenticated             // nobody knows who is calling: reject
	Forbidden                   // the caller may not do this: reject, never retry
	Exhausted                   // a quota or a budget is used up: reject, never retry
	NotFound                    // the named thing does not exist
	Conflict                    // the state of the named thing does not allow it
	Unavailable                 // a dependency is away, slow or full: retry the same request
)

var kindNames = [...]string{"internal", "malformed", "invalid", "unauthenticated", "forbidden", "exhausted", "not-found", "conflict", "unavailable"}

// String returns the name used in logs, problems and metrics, such as "not-found".
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind-%d", uint8(k))
}

// Retriable reports whether the same request, sent again, may succeed.
func (k Kind) Retriable() bool { return k == Internal || k == Unavailable }

// Violation is one broken rule, and how to mend it.
type Violation struct {
	Pointer string `json:"pointer"` // JSON pointer into the request (RFC 6901), "" for the whole
	Code    string `json:"code"`    // stable, for machines: "out-of-range"
	Detail  string `json:"detail"`  // for the client: what is wrong and what would be right
	Kind    Kind   `json:"-"`       // Invalid unless said otherwise
}

// Error says which operation failed, how, and on what.
type Error struct {
	Op         string      // "submit", "sqlite.Change"
	Kind       Kind        // what the receiver must do
	Code       string      // stable, for machines: "quota-exceeded"; "" means the Kind's name
	Detail     string      // shown to the client: no addresses, no vendor text
	Remedy     string      // what the client can do about it; may be empty
	Violations []Violation // every broken rule, when rules were broken
	Err        error       // shown to the operator; may be nil
}

// Error reads "op: detail: cause", leaving out what is empty.
func (e *Error) Error() string {
	var b strings.Builder
	for _, s := range []string{e.Op, e.Detail} {
		if s == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(": ")
		}
		b.WriteString(s)
	}
	for _, v := range e.Violations {
		fmt.Fprintf(&b, "; %s %s: %s", v.Pointer, v.Code, v.Detail)
	}
	if e.Err != nil {
		if b.Len() > 0 {
			b.WriteString(": ")
		}
		b.WriteString(e.Err.Error())
	}
	if b.Len() == 0 {
		return e.Kind.String()
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the Kind of the first [Error] in err's chain, Internal if there
// is none. A nil err has no Kind; asking for it is a defect and gives Internal.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// CodeOf returns the Code of the first [Error] in err's chain, or the name of
// its Kind when it has none.
func CodeOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok && e.Code != "" {
		return e.Code
	}
	return KindOf(err).String()
}

// Refuse turns broken rules into one error, nil when there are none. A missing
// permission is answered alone, so that nobody learns more than that. Else the
// Kind is that of the first violation by this order: Conflict, Exhausted, Invalid.
func Refuse(op string, broken []Violation) error {
	if len(broken) == 0 {
		return nil
	}
	e := &Error{Op: op, Violations: broken}
	for _, k := range []Kind{Forbidden, Malformed, Conflict, Exhausted, Invalid} {
		if only := ofKind(broken, k); len(only) > 0 {
			if k == Forbidden {
				e.Violations = only
			}
			e.Kind, e.Code, e.Detail = k, only[0].Code, only[0].Detail
			break
		}
	}
	if e.Kind == Internal { // violations leave Kind at zero to mean Invalid
		e.Kind, e.Code, e.Detail = Invalid, broken[0].Code, broken[0].Detail
	}
	if len(e.Violations) > 1 {
		e.Detail = fmt.Sprintf("%d rules are broken; see errors", len(e.Violations))
	}
	return e
}

func ofKind(all []Violation, k Kind) []Violation {
	var only []Violation
	for _, v := range all {
		if v.Kind == k || (k == Invalid && v.Kind == Internal) {
			only = append(only, v)
		}
	}
	return only
}
