package manifesttest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// crdFolders are where the modules of Knative keep their definitions.
var crdFolders = map[string]string{
	"knative.dev/eventing": "config/core/resources",
	"knative.dev/serving":  "config/core/300-resources",
}

// crd is the schema of one version of a kind.
type crd struct {
	structure *structural.Structural
	validator validation.SchemaValidator
	scope     apiextensionsv1.ResourceScope
}

// readCRDs reads the definitions in the modules, and those in $KBNT_CRDS if it is set.
func readCRDs(t *testing.T) map[schema.GroupVersionKind]crd {
	t.Helper()
	found := map[schema.GroupVersionKind]crd{}
	for module, folder := range crdFolders {
		where, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
		if err != nil {
			t.Fatalf("find the module %s: %v", module, err)
		}
		readFolder(t, filepath.Join(strings.TrimSpace(string(where)), folder), found)
	}
	if folder := os.Getenv("KBNT_CRDS"); folder != "" {
		readFolder(t, folder, found)
	}
	return found
}

func readFolder(t *testing.T, folder string, into map[schema.GroupVersionKind]crd) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: holds no definitions (%v)", folder, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for document := range strings.SplitSeq("\n"+string(text), "\n---") {
			var definition apiextensionsv1.CustomResourceDefinition
			if err := yaml.Unmarshal([]byte(document), &definition); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if definition.Kind != "CustomResourceDefinition" {
				continue
			}
			for _, version := range definition.Spec.Versions {
				gvk := schema.GroupVersionKind{Group: definition.Spec.Group, Version: version.Name, Kind: definition.Spec.Names.Kind}
				c, err := newCRD(version)
				if err != nil {
					t.Fatalf("%s: %v", file, err)
				}
				c.scope = definition.Spec.Scope
				into[gvk] = c
			}
		}
	}
}

func newCRD(version apiextensionsv1.CustomResourceDefinitionVersion) (crd, error) {
	if version.Schema == nil || version.Schema.OpenAPIV3Schema == nil {
		return crd{}, fmt.Errorf("version %s has no schema", version.Name)
	}
	var internal apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(version.Schema.OpenAPIV3Schema, &internal, nil); err != nil {
		return crd{}, fmt.Errorf("convert the schema of %s: %w", version.Name, err)
	}
	structure, err := structural.NewStructural(&internal)
	if err != nil {
		return crd{}, fmt.Errorf("the schema of %s is not structural: %w", version.Name, err)
	}
	validator, _, err := validation.NewSchemaValidator(&internal)
	if err != nil {
		return crd{}, fmt.Errorf("the schema of %s: %w", version.Name, err)
	}
	return crd{structure: structure, validator: validator}, nil
}

// check says what the API server would: fields that are not in the schema first,
// then, after defaulting, values that do not fit. It would drop unknown fields in
// silence, or with a warning; here they are mistakes. Rules in CEL are not run:
// no schema of a kind in use has them.
func (c crd) check(o object) []string {
	tree := o.copy().Object
	unknown := pruning.PruneWithOptions(tree, c.structure, true, structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	var mistakes []string
	for _, path := range unknown {
		mistakes = append(mistakes, path+": unknown field")
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(tree, c.structure)
	defaulting.Default(tree, c.structure)
	for _, err := range slices.Concat(
		validation.ValidateCustomResource(nil, tree, c.validator),
		listtype.ValidateListSetsAndMaps(nil, c.structure, tree),
	) {
		mistakes = append(mistakes, err.Error())
	}
	if namespaced := o.GetNamespace() != ""; namespaced != (c.scope == apiextensionsv1.NamespaceScoped) {
		mistakes = append(mistakes, fmt.Sprintf("metadata.namespace: got %q, and the scope of the kind is %s", o.GetNamespace(), c.scope))
	}
	return mistakes
}
