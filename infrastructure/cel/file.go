package cel

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"kbnt.dev/virtualization/domain"
)

// document is the file as it is written.
type document struct {
	Policies []written `yaml:"policies"`
}

// written is one policy of the file.
type written struct {
	Name        text       `yaml:"name"`
	Description text       `yaml:"description"`
	When        text       `yaml:"when"`
	Require     text       `yaml:"require"`
	Message     text       `yaml:"message"`
	Tests       []testCase `yaml:"tests"`
}

// testCase is a request and what the policy has to say of it.
type testCase struct {
	Name    text    `yaml:"name"`
	Caller  caller  `yaml:"caller"`
	Draft   request `yaml:"draft"`
	Hourly  float64 `yaml:"hourlyCostUSD"`
	Allowed *bool   `yaml:"allowed"`
}

// text is a text of the file, and where it begins.
type text struct {
	value string
	line  int
	block bool // written with |: its lines are those of the file
}

// UnmarshalYAML implements [yaml.Unmarshaler].
func (t *text) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: this is no text", n.Line)}}
	}
	*t = text{value: strings.TrimSpace(n.Value), line: n.Line, block: n.Style&yaml.LiteralStyle != 0}
	return nil
}

// at is the line of the file on which a line of the text is.
func (t text) at(line int) int {
	if !t.block {
		return t.line
	}
	return t.line + line
}

// Limits of a file.
const (
	maxPolicies   = 200
	maxTests      = 20
	maxExpression = 4 << 10
	maxMessage    = 500
)

// mistake is one mistake in a file.
type mistake struct {
	line   int
	policy string // empty: of none
	text   string
}

// Error reads "line 7, policy small-machines: ...".
func (m mistake) Error() string {
	if m.policy == "" {
		return fmt.Sprintf("line %d: %s", m.line, m.text)
	}
	return fmt.Sprintf("line %d, policy %s: %s", m.line, m.policy, m.text)
}

// mistakes are all that is wrong with a file, in order.
type mistakes []mistake

func (all mistakes) Error() string {
	var lines []string
	for _, m := range all {
		lines = append(lines, m.Error())
	}
	return strings.Join(lines, "\n")
}

// The patterns are compiled when a file is read, not when the program starts.
func patterns() (atLine, noField, name *regexp.Regexp) {
	return regexp.MustCompile(`(?s)^(?:yaml: )?line ([0-9]+): (.*)$`), regexp.MustCompile(`^field (\S+) not found in type \S+$`),
		regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
}

// parse reads a file as it is written, and says all that is wrong with its form.
func parse(data []byte) (document, mistakes) {
	in := yaml.NewDecoder(bytes.NewReader(data))
	in.KnownFields(true)
	var d document
	var wrong mistakes
	err := in.Decode(&d)
	switch form, ok := errors.AsType[*yaml.TypeError](err); {
	case ok:
		for _, e := range form.Errors {
			wrong = append(wrong, placed(e))
		}
		return d, wrong
	case errors.Is(err, io.EOF):
		return d, mistakes{{line: 1, text: "the file has no policies"}}
	case err != nil:
		return d, mistakes{placed(err.Error())}
	}
	if err := in.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		wrong = append(wrong, mistake{line: 1, text: "the file has more than one YAML document"})
	}
	return d, append(wrong, d.check()...)
}

// placed reads what the parser of YAML says.
func placed(said string) mistake {
	atLine, noField, _ := patterns()
	m := mistake{line: 1, text: strings.TrimPrefix(said, "yaml: ")}
	if parts := atLine.FindStringSubmatch(said); parts != nil {
		m.line, _ = strconv.Atoi(parts[1])
		m.text = parts[2]
	}
	if parts := noField.FindStringSubmatch(m.text); parts != nil {
		m.text = parts[1] + " is no field here"
	}
	return m
}

// check says what is missing or too much.
func (d document) check() (wrong mistakes) {
	if d.Policies == nil { // an empty list was written by somebody; no list at all may be a mount that failed
		wrong = append(wrong, mistake{line: 1, text: "the file has no policies; if there are to be none, say policies: []"})
	}
	if len(d.Policies) > maxPolicies {
		wrong = append(wrong, mistake{line: 1, text: fmt.Sprintf("the file has %d policies; want %d at most", len(d.Policies), maxPolicies)})
	}
	names := map[string]bool{}
	_, _, name := patterns()
	for _, p := range d.Policies {
		line := p.line()
		bad := func(is bool, line int, format string, args ...any) {
			if is {
				wrong = append(wrong, mistake{line: line, policy: p.Name.value, text: fmt.Sprintf(format, args...)})
			}
		}
		bad(!name.MatchString(p.Name.value) || len(p.Name.value) > 63, line, "a policy needs a name of 1 to 63 of a-z 0-9 -")
		bad(names[p.Name.value], line, "there is another policy of this name")
		names[p.Name.value] = true
		bad(p.Require.value == "", line, "it has no require: the expression that a request has to fulfil")
		bad(p.Message.value == "" || len(p.Message.value) > maxMessage, line, "it needs a message of at most %d bytes: what a client hears that is refused", maxMessage)
		bad(len(p.When.value) > maxExpression, p.When.line, "when is longer than %d bytes", maxExpression)
		bad(len(p.Require.value) > maxExpression, p.Require.line, "require is longer than %d bytes", maxExpression)
		bad(len(p.Tests) > maxTests, line, "it has more than %d tests", maxTests)
		for _, outcome := range []bool{true, false} {
			some := slices.ContainsFunc(p.Tests, func(t testCase) bool { return t.Allowed != nil && *t.Allowed == outcome })
			bad(!some, line, "it has no test with allowed: %t", outcome)
		}
		for _, t := range p.Tests {
			at := t.Name.line
			if at == 0 {
				at = line
			}
			bad(t.Name.value == "", at, "a test needs a name")
			bad(t.Allowed == nil, at, "test %q does not say what is allowed: true or false", t.Name.value)
			bad(t.Draft.Type != "" && !domain.RequestType(t.Draft.Type).Known(), at, "test %q: %q is no request type", t.Name.value, t.Draft.Type)
		}
	}
	return wrong
}

// line is where a policy begins, as far as that is known.
func (p written) line() int {
	for _, t := range []text{p.Name, p.Require, p.Message, p.When, p.Description} {
		if t.line > 0 {
			return t.line
		}
	}
	return 1
}
