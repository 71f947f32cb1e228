package image

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"kbnt.dev/virtualization/config"
)

// role is what a Role or a ClusterRole allows.
type role struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	Rules []struct {
		Groups    []string `json:"apiGroups"`
		Resources []string `json:"resources"`
		Verbs     []string `json:"verbs"`
	} `json:"rules"`
}

// permissions are those of all roles in a text of YAML documents: "kind
// namespace/name: group/resource" to its verbs in order.
func permissions(t *testing.T, text string) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for document := range strings.SplitSeq(text, "\n---\n") {
		var r role
		if err := yaml.Unmarshal([]byte(document), &r); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(r.Kind, "Role") {
			continue
		}
		for _, rule := range r.Rules {
			for _, group := range rule.Groups {
				for _, resource := range rule.Resources {
					what := r.Kind + " " + r.Metadata.Namespace + "/" + r.Metadata.Name + ": " + group + "/" + resource
					all[what] = append(all[what], rule.Verbs...)
					slices.Sort(all[what])
				}
			}
		}
	}
	return all
}

// What provision is granted on KubeVirt is what the page of the driver says, which
// the driver's own test tries on an API server: no more, and no less.
func TestKubeVirtPermissions(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root(t), "docs/hypervisors/kubevirt.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(page), "## Permissions")
	_, block, _ = strings.Cut(block, "```yaml\n")
	block, _, found := strings.Cut(block, "```")
	if !found {
		t.Fatal("docs/hypervisors/kubevirt.md has no block of YAML below Permissions")
	}
	granted, err := os.ReadFile(filepath.Join(root(t), "config/cluster/components/kubevirt/role.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var told config.KubeVirtCluster
	if err := told.Decode(filepath.Join(root(t), "config/cluster/base/kubevirt.yaml")); err != nil {
		t.Fatalf("config/cluster/base/kubevirt.yaml: want %v", err)
	}
	if !strings.Contains(string(granted), "\n  namespace: "+told.Namespace+"\n") {
		t.Errorf("role.yaml grants nothing in %s, where kubevirt.yaml has everything made", told.Namespace)
	}
	got, want := permissions(t, string(granted)), permissions(t, block)
	if len(want) < 2 {
		t.Fatalf("the page grants %v, want a Role and a ClusterRole", want)
	}
	if reflect.DeepEqual(got, want) {
		return
	}
	keys := maps.Clone(got)
	maps.Copy(keys, want)
	for _, what := range slices.Sorted(maps.Keys(keys)) {
		if !slices.Equal(got[what], want[what]) {
			t.Errorf("%s: role.yaml grants %q, the page says %q", what, got[what], want[what])
		}
	}
}
