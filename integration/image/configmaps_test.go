package image

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// base is what config/cluster/base makes ConfigMaps of.
type base struct {
	GeneratorOptions struct {
		DisableNameSuffixHash bool `json:"disableNameSuffixHash"`
	} `json:"generatorOptions"`
	ConfigMaps []struct {
		Name      string   `json:"name"`
		Namespace string   `json:"namespace"`
		Literals  []string `json:"literals"`
		Files     []string `json:"files"`
	} `json:"configMapGenerator"`
}

// reference is what func makes a configMapKeyRef of.
var reference = regexp.MustCompile(`^\{\{ (configMap|secret):([a-z0-9-]+):([A-Za-z0-9._-]+) \}\}$`)

// A pod whose ConfigMap lacks a key never starts, and a file that is not where its
// variable says keeps the function from starting.
func TestFuncYAMLFindsItsConfigMaps(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(root(t), "config/cluster/base")
	data, err := os.ReadFile(filepath.Join(folder, "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var b base
	if err := yaml.Unmarshal(data, &b); err != nil {
		t.Fatal(err)
	}
	if !b.GeneratorOptions.DisableNameSuffixHash {
		t.Error("the names of ConfigMaps get a suffix, which func.yaml cannot know")
	}
	keys := map[string][]string{}
	for _, m := range b.ConfigMaps {
		if m.Namespace != "kbnt" {
			t.Errorf("ConfigMap %s: namespace %q, want kbnt", m.Name, m.Namespace)
		}
		keys[m.Name] = slices.Clone(m.Files)
		for _, literal := range m.Literals {
			key, _, _ := strings.Cut(literal, "=")
			keys[m.Name] = append(keys[m.Name], key)
		}
	}
	used := map[string]bool{}
	for role, file := range files() {
		f := readFuncYAML(t, file)
		mounted := map[string]string{} // path -> ConfigMap
		for _, volume := range f.Run.Volumes {
			name, ok := volume["configMap"].(string)
			if !ok {
				continue
			}
			if _, known := keys[name]; !known {
				t.Errorf("%s mounts the ConfigMap %s, which config/cluster/base does not make", role, name)
			}
			used[name] = true
			mounted[volume["path"].(string)] = name
		}
		for _, e := range f.Run.Envs {
			if r := reference.FindStringSubmatch(e.Value); r != nil && r[1] == "configMap" {
				used[r[2]] = true
				if !slices.Contains(keys[r[2]], r[3]) {
					t.Errorf("%s: %s is the key %s of %s, which has %q", role, e.Name, r[3], r[2], keys[r[2]])
				}
			} else if strings.HasPrefix(e.Value, "{{") && r == nil {
				t.Errorf("%s: %s is %q, which func does not understand", role, e.Name, e.Value)
			}
			if strings.HasPrefix(e.Value, "/etc/kbnt/") && path.Ext(e.Value) != "" {
				name := mounted[path.Dir(e.Value)]
				if !slices.Contains(keys[name], path.Base(e.Value)) {
					t.Errorf("%s: %s is %s, want a file of a ConfigMap that is mounted there: %v", role, e.Name, e.Value, mounted)
				}
			}
		}
	}
	for name := range keys {
		if !used[name] {
			t.Errorf("no func.yaml uses the ConfigMap %s", name)
		}
	}
}
