package manifesttest

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/types"
)

// The overlay minimal is on KubeVirt and, without the one line that it says is to be
// taken out on a cluster without, simulated: then nothing that is made is KubeVirt's.
func TestMinimalChoosesItsHypervisor(t *testing.T) {
	t.Parallel()
	const file, line = "/config/cluster/minimal/kustomization.yaml", "- ../components/kubevirt"
	for want, change := range map[string]string{"kubevirt": line, "simulated": "#"} {
		disk := manifestTree(t)
		text, err := disk.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(text), line) != 1 {
			t.Fatalf("%s: want the line %q once", file, line)
		}
		if err := disk.WriteFile(file, []byte(strings.Replace(string(text), line, change, 1))); err != nil {
			t.Fatal(err)
		}
		objects, err := build(disk, types.Kustomization{BuildMetadata: []string{types.OriginAnnotations}, Resources: []string{"../config/cluster/minimal"}})
		if err != nil {
			t.Fatalf("with %q: does not render: %v", change, err)
		}
		settings := newWorld(objects)[key{"", "ConfigMap", "kbnt", "kbnt-settings"}]
		if got, _, _ := unstructured.NestedString(settings.Object, "data", "hypervisor"); got != want {
			t.Errorf("with %q: got hypervisor=%q, want %q", change, got, want)
		}
		if _, machines := newWorld(objects)[key{"", "Namespace", "", "kbnt-machines"}]; machines != (want == "kubevirt") {
			t.Errorf("with %q: namespace kbnt-machines: got %v, want %v", change, machines, want == "kubevirt")
		}
	}
}
