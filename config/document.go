package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// document reads a YAML file of settings and notes every mistake with its place.
// It knows mappings and single values; what else YAML has, anchors for example,
// is refused: nobody needs it here, and it hides what is set.
type document struct{ faults faults }

// readDocument reads a file and hands its outermost mapping to read. The error is
// [faults], or says what file is wanted instead.
func readDocument(path string, read func(*document, *yaml.Node)) error {
	data, err := readFile(path)
	if err != nil {
		return err
	}
	var d document
	in := yaml.NewDecoder(bytes.NewReader(data))
	var root, more yaml.Node
	if err := in.Decode(&root); errors.Is(err, io.EOF) { // comments alone
		return errEmpty
	} else if err != nil {
		return unreadable(err)
	}
	if err := in.Decode(&more); !errors.Is(err, io.EOF) {
		return faults{{line: max(more.Line, 1), want: "one YAML document in the file"}}
	}
	read(&d, root.Content[0])
	if len(d.faults) > 0 {
		return d.faults
	}
	return nil
}

// unreadable places what the parser of YAML says: "yaml: line 3: ...".
func unreadable(err error) faults {
	said, line := strings.TrimPrefix(err.Error(), "yaml: "), 1
	if place, text, ok := strings.Cut(said, ": "); ok {
		if n, err := strconv.Atoi(strings.TrimPrefix(place, "line ")); err == nil {
			line, said = n, text
		}
	}
	return faults{{line: line, want: "YAML: " + said}}
}

func (d *document) want(n *yaml.Node, field, format string, args ...any) {
	f := fault{line: n.Line, field: field, want: fmt.Sprintf(format, args...)}
	if n.Kind == yaml.ScalarNode {
		f.value = n.Value
	}
	d.faults = append(d.faults, f)
}

// each calls read for the members of a mapping, in order. A name that comes twice
// is a mistake.
func (d *document) each(n *yaml.Node, field string, read func(key, value *yaml.Node, field string)) {
	if n.Kind != yaml.MappingNode {
		d.want(n, field, "a mapping of names to values")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name := member(field, key.Value)
		switch {
		case key.Kind != yaml.ScalarNode || key.Tag == "!!merge":
			d.want(key, field, "names that are plain text, without merging")
		case seen[key.Value]:
			d.want(key, name, "this name once")
		default:
			seen[key.Value] = true
			read(key, value, name)
		}
	}
}

// members is [document.each] for a mapping with fixed names.
func (d *document) members(n *yaml.Node, field string, known map[string]func(n *yaml.Node, field string), names string) {
	d.each(n, field, func(key, value *yaml.Node, name string) {
		if read, ok := known[key.Value]; ok {
			read(value, name)
			return
		}
		d.want(key, name, "one of %s", names)
	})
}

// text is a single value as it is written, if it passes.
func (d *document) text(into *string, passes func(string) bool, want string) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || !passes(n.Value) {
			d.want(n, field, "%s", want)
			return
		}
		*into = n.Value
	}
}

// whole is a whole number of 0 to most.
func whole[T ~int](d *document, into **T, most int) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		v, err := strconv.Atoi(n.Value)
		if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || err != nil || v < 0 || v > most {
			d.want(n, field, "a whole number, 0 to %d", most)
			return
		}
		t := T(v)
		*into = &t
	}
}

// amount is a number of 0 to most.
func (d *document) amount(into **float64, most float64) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		v, err := strconv.ParseFloat(n.Value, 64)
		if n.Kind != yaml.ScalarNode || n.Tag != "!!int" && n.Tag != "!!float" || err != nil || math.IsNaN(v) || v < 0 || v > most {
			d.want(n, field, "a number, 0 to %g", most)
			return
		}
		*into = &v
	}
}

// member names a value in a mapping.
func member(field, name string) string {
	if name == "" || strings.ContainsAny(name, " .\"\n\t") {
		name = strconv.Quote(name)
	}
	if field == "" {
		return name
	}
	return field + "." + name
}
