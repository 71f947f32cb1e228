package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// Manifests is what [Parse] found to play. It is immutable and may be opened
// more than once.
type Manifests struct {
	topics   []topic
	sinks    []sink
	brokers  []broker
	sources  []source
	triggers []trigger
	pings    []ping
	reports  []Report
}

// Reports lists, in the order of the files, what is skipped, what is played
// differently from a cluster, and what is dangerous in it.
func (m *Manifests) Reports() []Report { return slices.Clone(m.reports) }

// Services lists, sorted, the Knative Services that receive events from
// sources or as dead letters: what [Eventing.StartSources] must be given.
// Subscribers of Triggers are not among them, as they may be missing.
func (m *Manifests) Services() []string {
	var names []string
	for _, d := range m.destinations() {
		if d.kind == toService {
			names = append(names, d.name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Parse reads the manifests of a folder as `kubectl apply -k` does: if it has a
// kustomization.yaml, that names the files; without one every .yaml and .yml
// file below is read.
//
// It is strict. An unknown field of a kind that is played, a setting that
// cannot be played and a reference to something that does not exist are
// errors; all of them are joined into one error, each with its file, object
// and field. Kinds that mean nothing on one machine are skipped with a [Report].
func Parse(manifests fs.FS) (*Manifests, error) {
	p := &parser{m: new(Manifests)}
	p.folder(manifests, ".", "")
	p.resolve()
	if err := errors.Join(p.errs...); err != nil {
		return nil, err
	}
	return p.m, nil
}

// parser collects what it reads and every mistake on the way.
type parser struct {
	m    *Manifests
	errs []error
}

// object says where something was read.
type object struct {
	file      string
	kind      string
	namespace string
	name      string
}

func (o object) String() string { return o.kind + " " + o.namespace + "/" + o.name }

func (p *parser) problem(o object, field, text string, args ...any) {
	p.errs = append(p.errs, errors.New(newReport(o, field, text, args...).String()))
}

func (p *parser) report(o object, field, text string, args ...any) {
	p.m.reports = append(p.m.reports, newReport(o, field, text, args...))
}

func newReport(o object, field, text string, args ...any) Report {
	r := Report{File: o.file, Field: field, Text: fmt.Sprintf(text, args...)}
	if o.kind != "" {
		r.Object = o.String()
	}
	return r
}

// file reads every document of one file.
func (p *parser) file(manifests fs.FS, name, namespace string) {
	data, err := fs.ReadFile(manifests, name)
	if err != nil {
		p.errs = append(p.errs, fmt.Errorf("read manifest: %w", err))
		return
	}
	for i, text := range splitDocuments(string(data)) {
		text, err := yaml.YAMLToJSONStrict([]byte(text))
		if err != nil {
			p.problem(object{file: name}, "", "document %d is no YAML: %v", i+1, err)
			continue
		}
		var head document[any]
		if err := json.Unmarshal(text, &head); err != nil {
			p.problem(object{file: name}, "", "document %d is no Kubernetes object: %v", i+1, err)
			continue
		}
		if string(text) == "null" {
			continue // comments only
		}
		if namespace != "" {
			head.Metadata.Namespace = namespace
		}
		if head.Metadata.Namespace == "" {
			head.Metadata.Namespace = "default"
		}
		o := object{file: name, kind: head.Kind, namespace: head.Metadata.Namespace, name: head.Metadata.Name}
		if o.kind == "" || o.name == "" || head.APIVersion == "" {
			p.problem(object{file: name}, "", "document %d lacks apiVersion, kind or metadata.name", i+1)
			continue
		}
		p.document(o, head.APIVersion, head.Metadata, text)
	}
}

// splitDocuments cuts a YAML stream at its "---" and "..." lines. In YAML those
// can only stand in the first column as markers, not inside a value.
func splitDocuments(stream string) []string {
	var documents []string
	var current strings.Builder
	flush := func() {
		if strings.TrimSpace(current.String()) != "" {
			documents = append(documents, current.String())
		}
		current.Reset()
	}
	for line := range strings.Lines(stream) {
		rest, marker := strings.CutPrefix(line, "---")
		if marker && (rest == "" || strings.ContainsRune(" \t\r\n", rune(rest[0]))) {
			flush()
			current.WriteString(rest)
			continue
		}
		if strings.TrimRight(line, " \t\r\n") == "..." {
			flush()
			continue
		}
		current.WriteString(line)
	}
	flush()
	return documents
}

// decode reads a document of a kind that is played into its typed subset.
func decode[Spec any](p *parser, o object, text []byte, versions map[string]bool) (spec Spec, ok bool) {
	var doc document[Spec]
	var open any
	if err := json.Unmarshal(text, &open); err != nil {
		p.problem(o, "", "%v", err)
		return spec, false
	}
	ok = true
	for _, field := range unknownFields(open, reflect.TypeFor[document[Spec]](), "") {
		p.problem(o, field, "unknown field")
		ok = false
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			p.problem(o, wrong.Field, "is a %s, want %s", wrong.Value, wrong.Type)
		} else {
			p.problem(o, "", "%v", err)
		}
		return spec, false
	}
	if !versions[doc.APIVersion] {
		p.problem(o, "apiVersion", "%s is not served for %s", doc.APIVersion, o.kind)
		ok = false
	}
	return doc.Spec, ok
}
