package manifesttest

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// top is the root of the repository.
const top = "../.."

// rendering is what kubectl apply -k would send for one folder.
type rendering struct {
	folder  string // from the root: config/cluster/minimal
	objects []object
	part    bool // of another one, which is held against the rules in its stead
}

// platform reports whether, with the functions and the Secrets, nothing is missing.
func (r rendering) platform() bool {
	return !r.part && (strings.HasPrefix(r.folder, "config/cluster/") || r.folder == everything)
}

// everything is the rendering of all components together, on top of all bases. No
// folder of that name exists.
const everything = "all components"

// bases are what a component is added to; those that do not exist are left out.
var bases = []string{"config/cluster/base", "eventing/manifests"}

// render renders every folder of the repository that has a kustomization, and all
// components together: one may need another.
func render(t *testing.T) []rendering {
	t.Helper()
	disk := manifestTree(t)
	found := kustomizations(t, disk)
	if len(found) == 0 {
		t.Fatal("there is no kustomization in the repository, want eventing/manifests at least")
	}
	var list []rendering
	add := func(folder string, part bool, resources, components []string) {
		root := types.Kustomization{BuildMetadata: []string{types.OriginAnnotations}}
		for _, r := range resources {
			root.Resources = append(root.Resources, "../"+r)
		}
		for _, c := range components {
			root.Components = append(root.Components, "../"+c)
		}
		objects, err := build(disk, root)
		if err != nil {
			t.Errorf("%s: does not render: %v", folder, err)
			return
		}
		list = append(list, rendering{folder, objects, part})
	}
	present := slices.DeleteFunc(slices.Clone(bases), func(base string) bool { _, ok := found[base]; return !ok })
	var components []string
	for _, folder := range sorted(maps.Keys(found)) {
		if found[folder].Kind == types.ComponentKind {
			components = append(components, folder)
			add(folder, true, present, []string{folder})
			continue
		}
		part := false
		for other, k := range found {
			part = part || other != folder && includes(other, k, folder)
		}
		add(folder, part, []string{folder}, nil)
	}
	if len(components) > 0 {
		add(everything, false, present, components)
	}
	return list
}

// build renders one kustomization that lies beside the folders of the repository.
func build(disk filesys.FileSystem, root types.Kustomization) ([]object, error) {
	text, err := yaml.Marshal(root)
	if err != nil {
		return nil, err
	}
	if err := disk.WriteFile("/.root/kustomization.yaml", text); err != nil {
		return nil, err
	}
	rendered, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(disk, "/.root")
	if err != nil {
		return nil, err
	}
	var list []object
	for _, resource := range rendered.Resources() {
		text, err := resource.AsYAML()
		if err != nil {
			return nil, err
		}
		o, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", resource.CurId(), err)
		}
		o.file = o.takeOrigin()
		list = append(list, o)
	}
	return list, nil
}

// manifestTree copies into memory whatever a kustomization may name: every file
// of the repository but code and what tests and builds leave behind. The wrapper
// of build is written there, so nothing in the work tree changes.
func manifestTree(t *testing.T) filesys.FileSystem {
	t.Helper()
	memory := filesys.MakeFsInMemory()
	err := fs.WalkDir(os.DirFS(top), ".", func(name string, d fs.DirEntry, err error) error {
		switch base := path.Base(name); {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "vendor" || name == "bin"):
			return fs.SkipDir
		case !d.Type().IsRegular() || path.Ext(name) == ".go":
			return nil
		}
		text, err := fs.ReadFile(os.DirFS(top), name)
		if err != nil {
			return err
		}
		return memory.WriteFile("/"+name, text)
	})
	if err != nil {
		t.Fatalf("read the repository: %v", err)
	}
	return memory
}

// kustomizations are those of the tree, by folder. A field that kustomize does
// not know is a mistake: it would be passed over.
func kustomizations(t *testing.T, disk filesys.FileSystem) map[string]types.Kustomization {
	t.Helper()
	found := map[string]types.Kustomization{}
	err := disk.Walk("/", func(name string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() || !slices.Contains([]string{"kustomization.yaml", "kustomization.yml", "Kustomization"}, path.Base(name)) {
			return err
		}
		text, err := disk.ReadFile(name)
		if err != nil {
			return err
		}
		var k types.Kustomization
		if err := yaml.UnmarshalStrict(text, &k); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		found[strings.TrimPrefix(path.Dir(name), "/")] = k
		return nil
	})
	if err != nil {
		t.Fatalf("look for kustomizations: %v", err)
	}
	return found
}

// includes reports whether the kustomization k of a folder names another folder.
func includes(folder string, k types.Kustomization, other string) bool {
	return slices.ContainsFunc(slices.Concat(k.Resources, k.Components), func(entry string) bool {
		return path.Join(folder, entry) == other
	})
}
