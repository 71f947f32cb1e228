package config

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

func TestKubeVirtCluster(t *testing.T) {
	t.Parallel()
	var k KubeVirtCluster
	if got := decoded(t, &k, `
namespace: machines
storage:
  SSD: {class: fast.example, mode: ReadWriteMany, block: true, iops: 5000}
  HDD: {}
segments: {bridged: default/office, vlan-100: lab}
bridge: br-tenants
dns: 10.0.0.53 10.0.1.53
securityGroups: MultiNetworkPolicies
dial: true
`); got != nil {
		t.Fatalf("a good file: %q", got)
	}
	iops := 5000
	want := KubeVirtCluster{
		Path: k.Path, Namespace: "machines", Storage: map[string]KubeVirtStorage{"SSD": {Class: "fast.example", Mode: "ReadWriteMany", Block: true, IOPS: &iops}, "HDD": {}},
		Segments: map[string]string{"bridged": "default/office", "vlan-100": "lab"}, Bridge: "br-tenants",
		DNS: []netip.Addr{netip.MustParseAddr("10.0.0.53"), netip.MustParseAddr("10.0.1.53")}, SecurityGroups: "MultiNetworkPolicies", Dial: true,
	}
	if !reflect.DeepEqual(k, want) {
		t.Errorf("got  %+v\nwant %+v", k, want)
	}
	var least KubeVirtCluster
	if got := decoded(t, &least, "storage: {SSD: {}}\n"); got != nil || least.Namespace != "kbnt-machines" || least.Dial || least.Bridge != "" {
		t.Errorf("the least there is: got %+v, %q, want kbnt-machines and the driver's defaults", least, got)
	}
}

func TestKubeVirtClusterMistakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason, content string
		want            []string // beginnings
	}{
		"all at once": {"an operator corrects everything in one go",
			"namespace: Machines\nstorage:\n  TAPE: {}\n  SSD: {class: Fast, mode: RWO, block: 1, iops: many}\nsegments: {bridged: a/b/c}\nbridge: a-bridge-of-a-long-name\ndns: dns.example\nsecurityGroups: Firewalls\ndial: \"true\"\nowner: me\n",
			[]string{"line 1, namespace: the name", "line 3, storage.TAPE: a class", "line 4, storage.SSD.class: the name of a StorageClass", "line 4, storage.SSD.mode: ReadWriteOnce,", "line 4, storage.SSD.block: true or false",
				"line 4, storage.SSD.iops: a whole number", "line 5, segments.bridged: the name of a Net", "line 6, bridge: the name of a bridge", "line 7, dns: addresses", "line 8, securityGroups: NetworkPolicies or", "line 9, dial: true or false", "line 10, owner: one of namespace"}},
		"no storage":    {"no volume could be made", "namespace: machines\n", []string{"line 1, storage: one class"}},
		"a dot":         {"namespaces are labels", "namespace: a.b\nstorage: {SSD: {}}\n", []string{"line 1, namespace: the name"}},
		"a lost value":  {"a template left nothing", "storage: {SSD: }\n", []string{"line 1, storage.SSD: a mapping"}},
		"a dash":        {"names end with a letter or a digit", "storage: {SSD: {class: fast-}}\n", []string{"line 1, storage.SSD.class: the name"}},
		"half a target": {"both have a name", "storage: {SSD: {}}\nsegments: {bridged: /office}\n", []string{"line 2, segments.bridged: the name"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var k KubeVirtCluster
			if got := decoded(t, &k, c.content); !begin(got, c.want) {
				t.Errorf("%s\ngot  %q\nwant %q (%s)", c.content, got, c.want, c.reason)
			}
		})
	}
}

// The driver of KubeVirt needs its file, something to boot, and a cluster; a laptop
// and a pod are told alike.
func TestKubeVirtNeeds(t *testing.T) {
	good := map[string]string{
		"KBNT_HYPERVISOR": "kubevirt", "KBNT_KUBEVIRT": file(t, "storage: {SSD: {}}\n"),
		"KBNT_IMAGES": file(t, "default: x\nimages: {x: {kubevirt: {containerDisk: x}}}\n"), "KUBERNETES_SERVICE_HOST": "10.96.0.1",
	}
	for name, c := range map[string]struct {
		reason string
		change map[string]string
		want   string
	}{
		"in a pod":            {"Kubernetes says where it is", nil, ""},
		"elsewhere":           {"a kubeconfig says where it is", map[string]string{"KUBERNETES_SERVICE_HOST": "", "KUBECONFIG": file(t, "kind: Config\n")}, ""},
		"nothing":             {"everything is told at once", map[string]string{"KBNT_KUBEVIRT": "", "KBNT_IMAGES": "", "KUBERNETES_SERVICE_HOST": ""}, "KBNT_KUBEVIRT KBNT_IMAGES KUBECONFIG"},
		"another's images":    {"nothing could boot", map[string]string{"KBNT_IMAGES": file(t, "default: x\nimages: {x: {libvirt: {volume: x}}}\n")}, "KBNT_IMAGES"},
		"no such kubeconfig":  {"it is read at the start", map[string]string{"KUBECONFIG": "/nonexistent/config"}, "KUBECONFIG"},
		"another hypervisor":  {"what is not used is not looked at", map[string]string{"KBNT_HYPERVISOR": "simulated", "KUBECONFIG": "/a:/b"}, ""},
		"a file with a fault": {"what it contradicts is not known yet", map[string]string{"KBNT_KUBEVIRT": file(t, "storage: {TAPE: {}}\n")}, "KBNT_KUBEVIRT"},
	} {
		for platform, set := range map[string]map[string]string{"laptop": {}, "cluster": needed(new(Provision))} {
			t.Run(name+"/"+platform, func(t *testing.T) {
				for _, of := range []map[string]string{good, c.change} {
					for variable, value := range of {
						set[variable] = value
					}
				}
				var err error
				if platform == "laptop" {
					environ(t, new(Local), set)
					_, err = ReadLocal()
				} else {
					environ(t, new(Provision), set)
					_, err = ReadProvision()
				}
				var got []string
				for _, m := range mistakes(t, err) {
					got = append(got, m.Variable)
				}
				if strings.Join(got, " ") != c.want {
					t.Errorf("%v: got mistakes in %v, want %q (%s)", c.change, got, c.want, c.reason)
				}
			})
		}
	}
}
