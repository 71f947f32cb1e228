package cel

import (
	"fmt"
	"io"
	"strings"
)

// Report writes each policy with its test cases and how they went, for whoever
// writes policies, and then what is wrong. It returns the error of
// [Policies.Prepare], or that of w.
func (p *Policies) Report(w io.Writer) error {
	all, err := p.prepare()
	var b strings.Builder
	for _, one := range all {
		fmt.Fprintf(&b, "%s  %s\n", one.name, one.description)
		for _, t := range one.tests {
			mark := "ok  "
			if !t.passed() {
				mark = "FAIL"
			}
			fmt.Fprintf(&b, "  %s  %s: %s\n", mark, t.name, t.outcome())
		}
	}
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintf(&b, "%s %s\n", p.file, strings.TrimSuffix(line, "\n"))
		}
	}
	if _, failed := io.WriteString(w, b.String()); failed != nil {
		return failed
	}
	if err != nil {
		return p.broken(err)
	}
	return nil
}

func (r result) outcome() string {
	switch {
	case r.err != nil:
		return r.err.Error()
	case r.got == broken:
		return "refused"
	case r.got == idle:
		return "allowed, not concerned"
	}
	return "allowed"
}
