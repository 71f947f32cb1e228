//go:build integration

package kubevirt_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"kbnt.dev/virtualization/application/applicationtest"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/kubevirt"
)

var record = flag.Bool("record", false, "rewrite testdata/answers.json with the answers of the real server")

// cluster is the API server that KBNT_TEST_KUBECONFIG names: one whose namespaces and
// custom resources the tests may make. Nothing has to run on it but the server.
func cluster(t *testing.T) (kubevirt.Cluster, http.RoundTripper) {
	t.Helper()
	path := os.Getenv("KBNT_TEST_KUBECONFIG")
	if path == "" {
		t.Skip("KBNT_TEST_KUBECONFIG names no kubeconfig of an API server with KubeVirt's custom resources")
	}
	c, err := kubevirt.Kubeconfig(path)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := kubevirt.TransportOf(c)
	if err != nil {
		t.Fatal(err)
	}
	return c, transport
}

// TestRealServer puts the driver to the contract on a real API server, where the
// stand-in for KubeVirt's controllers writes what they would. What KubeVirt's webhooks
// would refuse is not found out: they are not there.
func TestRealServer(t *testing.T) {
	c, transport := cluster(t)
	k := prepare(t, c.Server, transport)
	for name, change := range shapes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			applicationtest.TestHypervisor(t, applicationtest.Harness{
				Parallel: true, Cannot: cannot(),
				Open: func(t *testing.T) applicationtest.World {
					w := new(world)
					w.open(t, k, change)
					return w.contract()
				},
			})
		})
	}
}

// TestPermissions gives a user the permissions of docs/hypervisors/kubevirt.md and no
// others, and leads a machine, a volume and a network through their lives as that user.
func TestPermissions(t *testing.T) {
	c, transport := cluster(t)
	k := prepare(t, c.Server, transport)
	w := new(world)
	w.open(t, k, func(*kubevirt.Options) {})
	page, err := os.ReadFile("../../docs/hypervisors/kubevirt.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(page), "## Permissions")
	_, block, _ = strings.Cut(block, "```yaml\n")
	block, _, _ = strings.Cut(block, "```")
	user := w.controllers.ns // as good a name as any
	granted := 0
	for _, document := range strings.Split(block, "---\n") {
		var role fields
		if err := yaml.Unmarshal([]byte(document), &role); err != nil {
			t.Fatal(err)
		}
		kind := text(role, "kind")
		path := "/apis/rbac.authorization.k8s.io/v1/namespaces/" + w.controllers.ns + "/"
		if kind == "ClusterRole" {
			path = "/apis/rbac.authorization.k8s.io/v1/"
		}
		role["metadata"] = fields{"name": user}
		k.create(t, path+strings.ToLower(kind)+"s", role)
		k.create(t, path+strings.ToLower(kind)+"bindings", fields{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind + "Binding", "metadata": fields{"name": user},
			"roleRef":  fields{"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": user},
			"subjects": []fields{{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}}})
		granted++
	}
	if granted != 2 {
		t.Fatalf("the page grants %d roles, want 2", granted)
	}
	h := w.client(t, as{transport, user})
	eventually(t, "a look as the user of the page's roles", func() bool {
		_, err := h.Observe(t.Context(), w.machine("a").Key)
		return err == nil
	})
	w.Hypervisor = h

	blank := w.volume("b")
	blank.Image, blank.Spec.Volume.Type = "", domain.HDD
	machine := w.machine("a")
	off := machine
	off.On = false
	things := []domain.Desired{w.network("a"), blank, w.volume("a"), machine}
	for _, want := range things {
		w.ready(t, want)
	}
	if _, err := h.Ensure(t.Context(), off); err != nil {
		t.Errorf("switch off: %v", err)
	}
	grouped := w.machine("b", func(m *domain.MachineSpec) { m.SecurityGroups = []string{"web"} })
	if _, err := h.Ensure(t.Context(), grouped); verdict(err) != "invalid/no-security-groups" {
		t.Errorf("with security groups: got %v, want invalid/no-security-groups", err)
	}
	n := 0
	for _, err := range h.List(t.Context()) {
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		n++
	}
	if n != len(things) {
		t.Errorf("list: got %d things, want %d", n, len(things))
	}
	k.create(t, w.controllers.in(secretsPath), fields{"apiVersion": "v1", "kind": "Secret", "metadata": fields{"name": w.machine("c").Key.Name()}})
	taken := w.machine("c")
	taken.Root = w.volume("a").Key
	if _, err := h.Ensure(t.Context(), taken); verdict(err) != "conflict/foreign" {
		t.Errorf("a Secret that is taken: got %v, want conflict/foreign", err)
	}
	for _, want := range append(things, taken) {
		if _, err := h.Delete(t.Context(), want.Key); err != nil {
			t.Errorf("delete %s: %v", want.Key.Name(), err)
		}
	}
}

// as is a transport that acts as another user.
type as struct {
	http.RoundTripper
	user string
}

func (a as) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Impersonate-User", a.user)
	return a.RoundTripper.RoundTrip(r)
}

func TestRealAnswers(t *testing.T) {
	c, transport := cluster(t)
	k := prepare(t, c.Server, transport)
	replies := ask(t, c.Server, transport, k.namespace(t))
	if *record {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetIndent("", " ")
		e.SetEscapeHTML(false)
		if err := e.Encode(replies); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("testdata/answers.json", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	compare(t, replies)
}
