package local

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// kustomizationFiles are the names kustomize looks for, in its order.
var kustomizationFiles = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}

// harmless are the settings of a kustomization that change nothing of what is
// played. Any other, such as patches, would make the laptop differ silently.
var harmless = map[string]bool{
	"apiVersion": true, "kind": true, "metadata": true, "resources": true, "namespace": true,
	"labels": true, "commonLabels": true, "commonAnnotations": true, "buildMetadata": true,
	"configMapGenerator": true, "secretGenerator": true, "generatorOptions": true,
}

// folder reads what belongs to a folder. The namespace of an outer
// kustomization wins over the inner one's, as in kustomize.
func (p *parser) folder(manifests fs.FS, dir, namespace string) {
	for _, name := range kustomizationFiles {
		name = path.Join(dir, name)
		data, err := fs.ReadFile(manifests, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			p.problem(object{file: name}, "", "%v", err)
			return
		}
		p.kustomization(manifests, dir, name, data, namespace)
		return
	}
	entries, err := fs.ReadDir(manifests, dir)
	if err != nil {
		p.problem(object{file: dir}, "", "%v", err)
		return
	}
	for _, entry := range entries {
		name := path.Join(dir, entry.Name())
		switch {
		case entry.IsDir():
			p.folder(manifests, name, namespace)
		case isYAML(name):
			p.file(manifests, name, namespace)
		}
	}
}

func isYAML(name string) bool { return path.Ext(name) == ".yaml" || path.Ext(name) == ".yml" }

func (p *parser) kustomization(manifests fs.FS, dir, name string, data []byte, namespace string) {
	at := object{file: name}
	var settings map[string]json.RawMessage
	var k struct {
		Kind       string   `json:"kind"`
		Namespace  string   `json:"namespace"`
		Resources  []string `json:"resources"`
		Components []string `json:"components"`
	}
	if err := errors.Join(yaml.UnmarshalStrict(data, &settings), yaml.Unmarshal(data, &k)); err != nil {
		p.problem(at, "", "%v", err)
		return
	}
	if k.Kind == "Component" {
		p.report(at, "", "a component is optional and is not played")
		return
	}
	for _, setting := range slices.Sorted(maps.Keys(settings)) {
		if !harmless[setting] {
			p.problem(at, setting, "is not played: write complete manifests, and patch them in overlays only")
		}
	}
	if namespace == "" {
		namespace = k.Namespace
	}
	listed := make(map[string]bool)
	for _, resource := range k.Resources {
		target := path.Join(dir, resource)
		info, err := fs.Stat(manifests, target)
		switch {
		case err != nil:
			p.problem(at, "resources", "%s: %v", resource, err)
		case info.IsDir():
			p.folder(manifests, target, namespace)
		default:
			p.file(manifests, target, namespace)
		}
		listed[target] = true
	}
	p.unlisted(manifests, dir, listed)
}

// unlisted reports the manifests beside a kustomization that it does not name:
// kubectl does not apply them, so they are not played.
func (p *parser) unlisted(manifests fs.FS, dir string, listed map[string]bool) {
	entries, err := fs.ReadDir(manifests, dir)
	if err != nil {
		p.problem(object{file: dir}, "", "%v", err)
		return
	}
	for _, entry := range entries {
		name := path.Join(dir, entry.Name())
		if listed[name] || slices.Contains(kustomizationFiles, entry.Name()) || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		if entry.IsDir() || isYAML(name) {
			p.report(object{file: name}, "", "is not a resource of the kustomization and is not played")
		}
	}
}
