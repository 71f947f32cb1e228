package cel

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"

	"kbnt.dev/virtualization/domain"
)

// policy is one that can be applied.
type policy struct {
	name, description, message string
	line                       int
	when, require              cel.Program // when nil: always
	reads                      []string    // names of the variables in them
	tests                      []result
}

// result is how one test case went.
type result struct {
	name    string
	line    int
	allowed bool // as it should be
	got     verdict
	err     error
}

func (r result) passed() bool { return r.err == nil && (r.got != broken) == r.allowed }

// compile makes policies of a file and runs their test cases. The error is all
// mistakes; the policies that compiled are returned with it, for a report.
func compile(data []byte) ([]policy, error) {
	d, wrong := parse(data)
	if len(wrong) > 0 {
		return nil, wrong
	}
	env, err := environment()
	if err != nil {
		return nil, err
	}
	var all []policy
	for _, w := range d.Policies {
		p, bad := w.compile(env)
		wrong = append(wrong, bad...)
		if len(bad) > 0 {
			continue
		}
		for _, t := range w.Tests {
			r := p.try(t)
			if p.tests = append(p.tests, r); !r.passed() {
				wrong = append(wrong, mistake{line: r.line, policy: p.name, text: r.failure()})
			}
		}
		all = append(all, p)
	}
	if len(wrong) > 0 {
		return all, wrong
	}
	return all, nil
}

func (w written) compile(env *cel.Env) (policy, mistakes) {
	p := policy{name: w.Name.value, description: w.Description.value, message: w.Message.value, line: w.line()}
	var wrong mistakes
	expression := func(field string, t text) cel.Program {
		program, reads, bad := program(env, t)
		for _, m := range bad {
			wrong = append(wrong, mistake{line: m.line, policy: p.name, text: field + ": " + m.text})
		}
		p.reads = append(p.reads, reads...)
		return program
	}
	if w.When.value != "" {
		p.when = expression("when", w.When)
	}
	p.require = expression("require", w.Require)
	slices.Sort(p.reads)
	p.reads = slices.Compact(p.reads)
	return p, wrong
}

// program compiles one expression.
func program(env *cel.Env, t text) (p cel.Program, reads []string, wrong mistakes) {
	ast, issues := env.Compile(t.value)
	if issues.Err() != nil {
		for _, e := range issues.Errors() {
			what := strings.ReplaceAll(e.Message, " (in container '')", "")
			if strings.HasPrefix(what, "undeclared reference") {
				what += "; there are " + strings.Join(Variables(), ", ")
			}
			wrong = append(wrong, mistake{line: t.at(e.Location.Line()), text: fmt.Sprintf("column %d: %s", e.Location.Column()+1, what)})
		}
		return nil, nil, wrong
	}
	if ast.OutputType() != cel.BoolType {
		return nil, nil, mistakes{{line: t.line, text: fmt.Sprintf("this is a %s; want true or false", ast.OutputType())}}
	}
	for _, r := range ast.NativeRep().ReferenceMap() {
		if slices.Contains(Variables(), r.Name) {
			reads = append(reads, r.Name)
		}
	}
	p, err := env.Program(ast, cel.CostLimit(maxCost), cel.InterruptCheckFrequency(100), cel.EvalOptions(cel.OptOptimize))
	if err != nil { // a constant part of it has no value: a bad regular expression, for example
		return nil, nil, mistakes{{line: t.line, text: err.Error()}}
	}
	return p, reads, nil
}

// judge says what the policy makes of a request. An error is a mistake in the
// policy: it looked for a label that is not there, or took too long.
func (p policy) judge(ctx context.Context, values map[string]any) (verdict, error) {
	if p.when != nil {
		concerned, err := truth(ctx, "when", p.when, values)
		if err != nil || !concerned {
			return idle, err
		}
	}
	fulfilled, err := truth(ctx, "require", p.require, values)
	if err != nil || !fulfilled {
		return broken, err
	}
	return kept, nil
}

func truth(ctx context.Context, field string, p cel.Program, values map[string]any) (bool, error) {
	v, _, err := p.ContextEval(ctx, values)
	if err != nil {
		return false, fmt.Errorf("%s: %w", field, err)
	}
	is, ok := v.Value().(bool)
	if !ok {
		return false, fmt.Errorf("%s: the answer is a %s", field, v.Type().TypeName())
	}
	return is, nil
}

// try runs a test case.
func (p policy) try(t testCase) result {
	r := result{name: t.Name.value, line: t.Name.line, allowed: *t.Allowed}
	ctx, cancel := context.WithTimeout(context.Background(), maxTime)
	defer cancel()
	who := domain.Caller{User: t.Caller.User, Tenant: t.Caller.Tenant, Roles: t.Caller.Roles}
	r.got, r.err = p.judge(ctx, variables(who, t.Draft, t.Hourly))
	return r
}

// failure says how a test case went that did not pass.
func (r result) failure() string {
	if r.err != nil {
		return fmt.Sprintf("test %q: %v", r.name, r.err)
	}
	return fmt.Sprintf("test %q: want allowed: %t, but the policy is %s", r.name, r.allowed, r.got)
}

// seen shows the values that a policy reads.
func (p policy) seen(values map[string]any) string {
	var parts []string
	for _, name := range p.reads {
		parts = append(parts, strings.TrimPrefix(name, "request.")+" "+show(name, values[name]))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}
