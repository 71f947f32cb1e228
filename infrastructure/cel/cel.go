// Package cel judges requests by the operator's security policies: expressions of
// the Common Expression Language (cel.dev) in a YAML file. docs/policies.md is
// the page for those who write them.
//
// It is not where the built-in rules are: those are the domain's and the
// application's, and hold whatever the file says.
//
// # Configuration
//
// The text of the file. Nothing is parsed or compiled before it is needed: most
// of the cost of this package is in CEL.
//
// # Guarantees
//
// A policy is applied if all of them compile and all their test cases go as they
// say; else none is, and nothing is admitted. An expression can read what is
// declared and nothing else, and ends: its cost is bounded, and so is its time.
//
// # Errors
//
// Unavailable with the code application.PoliciesBroken. The detail names the
// policy and its place in the file.
//
// # Limits
//
// 200 policies, 20 test cases each, expressions of 4 KiB that cost 100 000 at most.
package cel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// Bounds of one judgement. A comparison costs 1, a look into a list or a text
// some more; a policy of ten lines is below 100.
const (
	maxCost = 100_000
	maxTime = time.Second // of all policies together: what the cost does not see, such as a machine that stands still
)

// Policies are the policies of one file. It is safe for concurrent use.
type Policies struct {
	file    string
	prepare func() ([]policy, error)
}

var _ application.Policies = (*Policies)(nil)

// Options of [Policies].
type Options struct {
	File string       // how errors call it, which anybody may read: "policies.yaml"
	Text []byte       // what is in it
	Log  *slog.Logger // is told once of all that is wrong; slog.Default when nil
}

// New does not look into the file.
func New(o Options) *Policies {
	log := cmp.Or(o.Log, slog.Default())
	return &Policies{file: o.File, prepare: sync.OnceValues(func() ([]policy, error) {
		all, err := compile(o.Text)
		if err != nil {
			log.Error("policies cannot be applied; nothing is admitted", "file", o.File, "error", err)
		}
		return all, err
	})}
}

// Prepare compiles the policies and runs their test cases, once; nil: they can be
// applied. It takes some 10 ms, whatever becomes of ctx.
func (p *Policies) Prepare(context.Context) error {
	_, err := p.ready()
	return err
}

func (p *Policies) ready() ([]policy, error) {
	all, err := p.prepare()
	if err != nil {
		return nil, p.broken(err)
	}
	return all, nil
}

// broken says the first mistake to anybody, and all of them to the operator.
func (p *Policies) broken(err error) error {
	detail := err.Error()
	if all, ok := errors.AsType[mistakes](err); ok {
		if detail = all[0].Error(); len(all) > 1 {
			detail += fmt.Sprintf(" (and %d more)", len(all)-1)
		} else {
			err = nil // the detail says it all
		}
	}
	return &domain.Error{Op: "policies", Kind: domain.Unavailable, Code: application.PoliciesBroken, Detail: p.file + " " + detail,
		Remedy: "tell the operator; the same request may be sent again when the policies are mended", Err: err}
}

// Judge implements [application.Policies].
func (p *Policies) Judge(c domain.Caller, d domain.Draft, hourly domain.Money) (application.Judgement, error) {
	all, err := p.ready()
	if err != nil {
		return application.Judgement{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), maxTime) // a judgement is whole or none: whose request it is does not matter
	defer cancel()
	values := variables(c, requestOf(d), hourly.USD())
	var judged application.Judgement
	var looked []string
	for _, one := range all {
		v, err := one.judge(ctx, values)
		if err != nil {
			return application.Judgement{}, p.broken(mistakes{{line: one.line, policy: one.name, text: err.Error()}})
		}
		looked = append(looked, one.name+" "+v.String()+one.seen(values))
		if v == broken {
			judged.Broken = append(judged.Broken, domain.Violation{Code: "policy-" + one.name, Kind: domain.Invalid, Detail: one.message})
		}
	}
	judged.Values = clip(strings.Join(looked, "; "), 4096)
	return judged, nil
}

// verdict is what one policy says.
type verdict string

const (
	idle   verdict = "not concerned" // its condition does not hold
	kept   verdict = "kept"
	broken verdict = "broken"
)

func (v verdict) String() string { return string(v) }

// clip keeps what is stored short.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
