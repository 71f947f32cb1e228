package manifesttest

import (
	"fmt"
	"iter"
	"slices"
	"testing"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// checker says what is wrong with single objects.
type checker struct {
	crds  map[schema.GroupVersionKind]crd
	types map[schema.GroupVersionKind]func(object) []string
}

func newChecker(t *testing.T) checker {
	t.Helper()
	c := checker{crds: readCRDs(t), types: map[schema.GroupVersionKind]func(object) []string{}}
	for _, table := range []map[string]func(object) []string{knativeKinds, kafkaKinds, coreKinds, networkKinds, monitoringKinds} {
		for name, check := range table {
			gvk := parseKind(name)
			if _, twice := c.types[gvk]; twice {
				t.Fatalf("%s has two rules", name)
			}
			c.types[gvk] = check
		}
	}
	return c
}

// parseKind reads apps/v1.Deployment, or v1.Secret, as the tables write kinds.
func parseKind(name string) schema.GroupVersionKind {
	dot := len(name) - 1
	for name[dot] != '.' {
		dot--
	}
	return schema.FromAPIVersionAndKind(name[:dot], name[dot+1:])
}

// check returns the mistakes in an object, each beginning with the field where
// that is known. One that nothing knows is a mistake as a whole.
func (c checker) check(o object) []string {
	gvk := o.GroupVersionKind()
	crd, schematic := c.crds[gvk]
	typed, known := c.types[gvk]
	if !schematic && !known {
		return []string{fmt.Sprintf("nothing validates %s: want a schema (KBNT_CRDS) or a row in one of the tables of kinds", gvk)}
	}
	mistakes := checkMeta(o)
	if schematic {
		mistakes = append(mistakes, crd.check(o)...)
	}
	if known {
		mistakes = append(mistakes, typed(o)...)
	}
	slices.Sort(mistakes)
	return slices.Compact(mistakes)
}

// checkMeta holds names, labels and annotations against the rules of all kinds.
func checkMeta(o object) []string {
	var meta struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ObjectMeta `json:"metadata"`
	}
	top := object{file: o.file}
	top.Object = map[string]any{"apiVersion": o.GetAPIVersion(), "kind": o.GetKind(), "metadata": o.Object["metadata"]}
	mistakes := top.into(&meta)
	errs := apivalidation.ValidateObjectMeta(&meta.ObjectMeta, meta.Namespace != "", apivalidation.NameIsDNSSubdomain, field.NewPath("metadata"))
	errs = append(errs, metav1validation.ValidateLabels(meta.Labels, field.NewPath("metadata", "labels"))...)
	return append(mistakes, texts(errs)...)
}

func texts(errs field.ErrorList) []string {
	var list []string
	for _, err := range errs {
		list = append(list, err.Error())
	}
	return list
}

func sorted(names iter.Seq[string]) []string { return slices.Sorted(names) }
