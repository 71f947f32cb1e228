package manifesttest

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kbnt.dev/virtualization/eventing"
)

// judge is all that is known against single objects.
type judge struct {
	checker  checker
	contract contract
	services []object // that func deploy makes
}

func newJudge(t *testing.T) judge {
	t.Helper()
	j := judge{checker: newChecker(t), contract: readContract(t)}
	for _, f := range readFunctions(t) {
		service, err := f.service()
		if err != nil {
			t.Errorf("%s: func deploy would fail: %v", f.file, err)
			continue
		}
		j.services = append(j.services, service)
	}
	return j
}

// alone are the mistakes in an object whatever else there is.
func (j judge) alone(o object) []string {
	return slices.Concat(j.checker.check(o), j.contract.check(o))
}

// among are the mistakes in an object where all of a rendering is there.
func (j judge) among(o object, w world) []string {
	return slices.Concat(w.checkReferences(o), w.checkSelector(o), w.checkFiles(o))
}

// world is what is there when a rendering was applied, the Secrets were made and
// the functions deployed.
func (j judge) world(t *testing.T, r rendering) world {
	t.Helper()
	return newWorld(r.objects, j.services, secretTemplates(t))
}

// Every object of every kustomization is one that a cluster takes, uses the words
// of the contract and names only what is there.
func TestManifests(t *testing.T) {
	t.Parallel()
	j := newJudge(t)
	for _, r := range render(t) {
		t.Run(r.folder, func(t *testing.T) {
			t.Parallel()
			w := j.world(t, r)
			if len(r.objects) == 0 {
				t.Errorf("%s: renders nothing", r.folder)
			}
			for _, o := range r.objects {
				report(t, r.folder, o, j.alone(o))
				if !r.part { // what a part names may come from another one
					report(t, r.folder, o, j.among(o, w))
				}
				if r.platform() {
					report(t, r.folder, o, w.checkNamespace(o))
				}
			}
		})
	}
}

// Every kind but Kubernetes' own is held against its schema. Without the folder of
// $KBNT_CRDS some are not, and the test says which.
func TestEveryKindHasItsSchema(t *testing.T) {
	t.Parallel()
	c := newChecker(t)
	without := map[string]bool{}
	for _, r := range render(t) {
		for _, o := range r.objects {
			gvk := o.GroupVersionKind()
			_, schematic := c.crds[gvk]
			if _, ours := coreKinds[o.GetAPIVersion()+"."+o.GetKind()]; !schematic && !ours {
				without[gvk.Kind] = true
			}
		}
	}
	kinds := sorted(maps.Keys(without))
	switch folder := os.Getenv("KBNT_CRDS"); {
	case len(kinds) > 0 && folder == "":
		t.Skipf("KBNT_CRDS is not set: %q were held against Go types and rules written by hand only, not against their schemas", kinds)
	case len(kinds) > 0:
		t.Errorf("KBNT_CRDS=%s: has no schema of %q", folder, kinds)
	}
}

// The templates of Secrets, which no kustomization has, are good documents too.
func TestSecretTemplates(t *testing.T) {
	t.Parallel()
	j := newJudge(t)
	for _, o := range secretTemplates(t) {
		report(t, "to copy", o, j.alone(o))
		if o.GetKind() != "Secret" {
			t.Errorf("%s: want a Secret", o)
		}
	}
}

// report fails the test once per mistake, as rendering: file: object: field: why.
func report(t *testing.T, rendering string, o object, mistakes []string) {
	t.Helper()
	for _, mistake := range mistakes {
		t.Errorf("%s: %s: %s", rendering, o, mistake)
	}
}

// public are the types that others send and receive. Where EventTypes describe
// any of them, they describe all.
var public = []string{eventing.TypeRequest, eventing.TypeAccepted, eventing.TypeCompleted, eventing.TypeFailed, eventing.TypeCancelled}

// Every topic and every consumer group of the contract is one that manifests make
// use of, and no two objects of a rendering are the same.
func TestContractIsUsed(t *testing.T) {
	t.Parallel()
	words := readContract(t)
	list := render(t)
	used := map[string]bool{}
	components, described := false, false
	for _, r := range list {
		components = components || strings.HasPrefix(r.folder, "eventing/components/")
		seen := map[key]string{}
		for _, o := range r.objects {
			if other, twice := seen[o.key()]; twice {
				t.Errorf("%s: %s is there twice; also in %s", r.folder, o, other)
			}
			seen[o.key()] = o.file
			switch o.GetKind() {
			case "KafkaTopic":
				used[o.GetName()] = true
			case "KafkaSource":
				group, _, _ := unstructured.NestedString(o.Object, "spec", "consumerGroup")
				used[group] = true
			case "EventType":
				described = true
				used[o.attribute("type")] = true
			}
		}
	}
	want := slices.Concat(words["Topic"], words["Group"])
	if described {
		want = append(want, public...)
	}
	for _, word := range want {
		if strings.HasPrefix(word, eventing.TopicHints) && !components {
			continue // it belongs to an optional component, which is not there
		}
		if !used[word] {
			t.Errorf("%q of eventing/contract.go is in no manifest; these are: %q", word, slices.Sorted(maps.Keys(used)))
		}
	}
}

// attribute is the fixed value of one, in an EventType.
func (o object) attribute(name string) string {
	list, _, _ := unstructured.NestedSlice(o.Object, "spec", "attributes")
	for _, element := range list {
		if a, _ := element.(map[string]any); a["name"] == name {
			value, _ := a["value"].(string)
			return value
		}
	}
	return ""
}
