package manifesttest

import (
	"cmp"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// object is one Kubernetes object, as the API server would be given it.
type object struct {
	unstructured.Unstructured
	file string // that it was written in, from the root; a folder, if it was generated
}

// parse reads one document. Whole numbers stay whole.
func parse(text []byte) (object, error) {
	text, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return object{}, err
	}
	var o object
	err = o.UnmarshalJSON(text)
	return o, err
}

// origin is the annotation in which kustomize says where an object comes from.
const origin = "config.kubernetes.io/origin"

// takeOrigin removes that annotation and returns what it says.
func (o object) takeOrigin() string {
	annotations := o.GetAnnotations()
	var said struct {
		Path         string `json:"path"`
		ConfiguredIn string `json:"configuredIn"`
	}
	if err := yaml.Unmarshal([]byte(annotations[origin]), &said); err != nil {
		return "?"
	}
	delete(annotations, origin)
	if len(annotations) == 0 {
		annotations = nil
	}
	o.SetAnnotations(annotations)
	return strings.TrimPrefix(cmp.Or(said.Path, said.ConfiguredIn, "?"), "../")
}

// String is, for example, eventing/manifests/x.yaml: KafkaSink kbnt/virtualization-requests.
func (o object) String() string {
	name := o.GetName()
	if o.GetNamespace() != "" {
		name = o.GetNamespace() + "/" + name
	}
	return fmt.Sprintf("%s: %s %s", o.file, o.GetKind(), name)
}

// copy is an object that may be changed.
func (o object) copy() object { return object{*o.DeepCopy(), o.file} }

// into decodes the object strictly: a field that v does not have, that is written
// with other capitals or that is there twice is a mistake.
func (o object) into(v any) []string {
	text, err := o.MarshalJSON()
	if err != nil {
		return []string{err.Error()}
	}
	strict, err := json.UnmarshalStrict(text, v)
	if err != nil {
		strict = append(strict, err)
	}
	var mistakes []string
	for _, err := range strict {
		mistakes = append(mistakes, err.Error())
	}
	return mistakes
}

// key names an object among all of a cluster.
type key struct{ group, kind, namespace, name string }

func (k key) String() string {
	return fmt.Sprintf("%s %s/%s of the group %q", k.kind, k.namespace, k.name, k.group)
}

func (o object) key() key {
	return key{o.GroupVersionKind().Group, o.GetKind(), o.GetNamespace(), o.GetName()}
}

// found is one value somewhere in an object.
type found struct {
	path  string // spec.sink.ref
	value any
}

// walk yields every value of a tree with its path, parents first.
func walk(at string, value any, visit func(found)) {
	visit(found{at, value})
	switch value := value.(type) {
	case map[string]any:
		for _, name := range sorted(maps.Keys(value)) {
			walk(strings.TrimPrefix(at+"."+name, "."), value[name], visit)
		}
	case []any:
		for i, element := range value {
			walk(at+"["+strconv.Itoa(i)+"]", element, visit)
		}
	}
}
