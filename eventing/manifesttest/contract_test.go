package manifesttest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kbnt.dev/virtualization/eventing"
)

// contract are the words of eventing/contract.go, by the prefix of the constants.
// The source is read, so that a constant which nothing mentions is seen too.
type contract map[string][]string

// prefixes of the constants that manifests use.
var prefixes = []string{"Topic", "Group", "Type", "Ext", "Source", "ContentType"}

func readContract(t *testing.T) contract {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(top, "eventing/contract.go"), nil, 0)
	if err != nil {
		t.Fatalf("read the contract: %v", err)
	}
	words := contract{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, name := range spec.Names {
			literal, ok := spec.Values[i].(*ast.BasicLit)
			if !ok {
				continue
			}
			value, err := strconv.Unquote(literal.Value)
			for _, prefix := range prefixes {
				if err == nil && strings.HasPrefix(name.Name, prefix) {
					words[prefix] = append(words[prefix], value)
				}
			}
		}
		return true
	})
	for _, prefix := range prefixes {
		if len(words[prefix]) == 0 {
			t.Fatalf("eventing/contract.go has no constant that begins with %s", prefix)
		}
	}
	return words
}

// check holds the words in an object against the contract.
func (c contract) check(o object) []string {
	var m mistakes
	for path, topic := range topics(o) {
		m.oneOf(path, topic, c["Topic"]...)
	}
	switch o.GetKind() {
	case "KafkaTopic":
		m.oneOf("metadata.name", o.GetName(), c["Topic"]...)
	case "KafkaSource":
		group, _, _ := unstructured.NestedString(o.Object, "spec", "consumerGroup")
		m.oneOf("spec.consumerGroup", group, c["Group"]...)
		m.deadLetters(o)
	case "Broker":
		m.deadLetters(o)
	case "EventType":
		c.attributes(&m, o)
	case "Trigger":
		filters, _, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "filters")
		c.filters(&m, filters)
		m.deadLetters(o)
	}
	return m
}

// filters holds attributes and types of every dialect against the contract. The
// expressions of CESQL are opaque: Knative's own parser reads those.
func (c contract) filters(m *mistakes, tree any) {
	attributes := append(slices.Clone(core), c["Ext"]...)
	public := []string{eventing.TypeCompleted, eventing.TypeFailed, eventing.TypeCancelled}
	walk("spec.filters", tree, func(f found) {
		dialect := last(f.path)
		fields, ok := f.value.(map[string]any)
		if !ok || !slices.Contains([]string{"exact", "prefix", "suffix"}, dialect) {
			return
		}
		for name, value := range fields {
			m.oneOf(f.path, name, attributes...)
			if name == "type" && dialect == "exact" {
				text, _ := value.(string)
				m.oneOf(f.path+".type", text, public...)
			}
		}
	})
}

// core are the attributes of CloudEvents 1.0 itself.
var core = []string{"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"}

// schemas are the values of dataschema.
var schemas = []string{
	eventing.SchemaBase + eventing.SchemaMessage + "/" + eventing.SchemaMessageVersion,
	eventing.SchemaBase + eventing.SchemaResult + "/" + eventing.SchemaResultVersion,
	eventing.SchemaBase + eventing.SchemaEvent + "/" + eventing.SchemaEventVersion,
}

// attributes holds what an EventType says of an event against the contract.
func (c contract) attributes(m *mistakes, o object) {
	list, _, _ := unstructured.NestedSlice(o.Object, "spec", "attributes")
	for i, element := range list {
		attribute, _ := element.(map[string]any)
		name, _ := attribute["name"].(string)
		value, fixed := attribute["value"].(string)
		where := fmt.Sprintf("spec.attributes[%d]", i)
		m.oneOf(where+".name", name, append(slices.Clone(core), c["Ext"]...)...)
		if words := map[string][]string{"type": c["Type"], "source": c["Source"], "dataschema": schemas, "datacontenttype": c["ContentType"]}[name]; words != nil && fixed {
			m.oneOf(where+".value", value, words...)
		}
	}
}

// unburied are the topics whose readers have no dead letter sink, with the reason.
var unburied = map[string]string{
	eventing.TopicDeadLetters: "it would be the topic that is read",
	eventing.TopicHints:       "nothing is lost with a hint",
}

// deadLetters wants a dead letter sink, unless there is a reason to have none.
func (m *mistakes) deadLetters(o object) {
	if read := slices.Sorted(maps.Values(topics(o))); o.GetKind() == "KafkaSource" && len(read) == 1 && unburied[read[0]] != "" {
		return
	}
	sink, _, _ := unstructured.NestedMap(o.Object, "spec", "delivery", "deadLetterSink")
	m.want(len(sink) > 0, "spec.delivery.deadLetterSink: missing: what is given up would be lost")
}
