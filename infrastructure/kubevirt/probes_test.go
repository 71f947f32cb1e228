package kubevirt_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// probe is one question to an API server. Its answers by a real one are kept in
// testdata/answers.json, and the fake one is held against them.
type probe struct {
	name   string
	method string
	path   string // "{ns}" is the namespace, "{uid:x}" the uid that the answer to the probe x had
	kind   string // of the body; default JSON
	body   string // the same placeholders
	as     string // user; default: one who may do everything
	until  int    // repeated until it is answered so: the server takes some time to see a quota
}

const (
	vmsPath     = "/apis/kubevirt.io/v1/namespaces/{ns}/virtualmachines"
	claimsPath  = "/api/v1/namespaces/{ns}/persistentvolumeclaims"
	secretsPath = "/api/v1/namespaces/{ns}/secrets"
	quotaPath   = "/api/v1/namespaces/{ns}/resourcequotas"
	nadsPath    = "/apis/k8s.cni.cncf.io/v1/namespaces/{ns}/network-attachment-definitions"
	strictly    = "?fieldValidation=Strict"
	merge       = "application/merge-patch+json"
)

func vmBody(name, more string) string {
	return `{"apiVersion":"kubevirt.io/v1","kind":"VirtualMachine","metadata":{"name":"` + name + `","labels":{"app":"probe"}},"spec":{"runStrategy":"Halted",` + more +
		`"template":{"metadata":{"labels":{"a":"b"}},"spec":{"domain":{"devices":{}}}}}}`
}

func claimBody(name, size string) string {
	return `{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"` + name + `"},"spec":{"accessModes":["ReadWriteOnce"],"storageClassName":"none","resources":{"requests":{"storage":"` + size + `"}}}}`
}

func secretBody(name string) string {
	return `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"` + name + `","labels":{"app":"probe"}},"data":{"userdata":"aGVsbG8="}}`
}

func uidIs(uid string) string {
	return `{"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Background","preconditions":{"uid":"` + uid + `"}}`
}

// probes are asked in this order, in a new namespace.
func probes() []probe {
	const stranger = "11111111-2222-3333-4444-555555555555"
	return []probe{
		{name: "a group that is not served", method: "GET", path: "/apis/nothing.kbnt.dev/v1/namespaces/{ns}/things/a"},
		{name: "a machine that does not exist", method: "GET", path: vmsPath + "/a"},
		{name: "into a namespace that does not exist", method: "POST", path: strings.ReplaceAll(vmsPath, "{ns}", "kbnt-nowhere") + strictly, body: vmBody("a", "")},
		{name: "an unknown field", method: "POST", path: vmsPath + strictly, body: vmBody("a", `"coffee":true,`)},
		{name: "two unknown fields, one deep", method: "POST", path: vmsPath + strictly, body: strings.Replace(vmBody("a", `"coffee":true,`), `"devices":{}`, `"devices":{"disks":[{"name":"a","tea":1}]}`, 1)},
		{name: "a required field is missing", method: "POST", path: vmsPath + strictly, body: `{"apiVersion":"kubevirt.io/v1","kind":"VirtualMachine","metadata":{"name":"a"},"spec":{"runStrategy":"Halted"}}`},
		{name: "a value of another type", method: "POST", path: vmsPath + strictly, body: strings.Replace(vmBody("a", ""), `"devices":{}`, `"cpu":{"cores":"many"},"devices":{}`, 1)},
		{name: "a name that is none", method: "POST", path: vmsPath + strictly, body: vmBody("A_b", "")},
		{name: "a machine of no permission", method: "POST", path: vmsPath + strictly, body: vmBody("a", ""), as: "nobody"},
		{name: "a machine", method: "POST", path: vmsPath + strictly, body: vmBody("a", "")},
		{name: "the same machine", method: "POST", path: vmsPath + strictly, body: vmBody("a", "")},
		{name: "the machine", method: "GET", path: vmsPath + "/a"},
		{name: "the machine, by nobody", method: "GET", path: vmsPath + "/a", as: "nobody"},
		{name: "power with its uid", method: "PATCH", kind: merge, path: vmsPath + "/a" + strictly, body: `{"metadata":{"uid":"{uid:a machine}"},"spec":{"runStrategy":"Always"}}`},
		{name: "power with another uid", method: "PATCH", kind: merge, path: vmsPath + "/a" + strictly, body: `{"metadata":{"uid":"` + stranger + `"},"spec":{"runStrategy":"Halted"}}`},
		{name: "power of what does not exist", method: "PATCH", kind: merge, path: vmsPath + "/b" + strictly, body: `{"metadata":{"uid":"` + stranger + `"},"spec":{"runStrategy":"Halted"}}`},
		{name: "a change of an unknown field", method: "PATCH", kind: merge, path: vmsPath + "/a" + strictly, body: `{"spec":{"coffee":true}}`},
		{name: "a change of the status only", method: "PATCH", kind: merge, path: vmsPath + "/a" + strictly, body: `{"status":{"printableStatus":"Running"}}`},
		{name: "the status", method: "PATCH", kind: merge, path: vmsPath + "/a/status" + strictly, body: `{"spec":{"runStrategy":"Halted"},"status":{"printableStatus":"Running"}}`},
		{name: "a finalizer", method: "PATCH", kind: merge, path: vmsPath + "/a" + strictly, body: `{"metadata":{"finalizers":["kbnt.dev/test"]}}`},
		{name: "deletion of another uid", method: "DELETE", path: vmsPath + "/a", body: uidIs(stranger)},
		{name: "deletion", method: "DELETE", path: vmsPath + "/a", body: uidIs("{uid:a machine}")},
		{name: "deletion of what goes", method: "DELETE", path: vmsPath + "/a", body: uidIs("{uid:a machine}")},
		{name: "the machine while it goes", method: "POST", path: vmsPath + strictly, body: vmBody("a", "")},
		{name: "the last finalizer", method: "PATCH", kind: merge, path: vmsPath + "/a" + strictly, body: `{"metadata":{"finalizers":null}}`},
		{name: "the machine when it has gone", method: "GET", path: vmsPath + "/a"},
		{name: "deletion of what does not exist", method: "DELETE", path: vmsPath + "/a", body: uidIs(stranger)},
		{name: "a machine without finalizers", method: "POST", path: vmsPath + strictly, body: vmBody("c", "")},
		{name: "its deletion", method: "DELETE", path: vmsPath + "/c", body: uidIs("{uid:a machine without finalizers}")},

		{name: "a claim", method: "POST", path: claimsPath + strictly, body: claimBody("a", "1024Mi")},
		{name: "a claim of no size", method: "POST", path: claimsPath + strictly, body: claimBody("b", "0")},
		{name: "a claim with an unknown field", method: "POST", path: claimsPath + strictly, body: strings.Replace(claimBody("b", "1Gi"), `"spec":{`, `"spec":{"coffee":1,`, 1)},
		{name: "the claim again", method: "POST", path: claimsPath + strictly, body: claimBody("a", "1024Mi")},
		{name: "deletion of a claim", method: "DELETE", path: claimsPath + "/a", body: uidIs("{uid:a claim}")},
		{name: "a claim while it goes", method: "POST", path: claimsPath + strictly, body: claimBody("a", "1024Mi")},
		{name: "a claim that does not exist", method: "GET", path: claimsPath + "/b"},

		{name: "a secret", method: "POST", path: secretsPath + strictly, body: secretBody("a")},
		{name: "the secret again", method: "POST", path: secretsPath + strictly, body: secretBody("a")},
		{name: "a secret that is not base64", method: "POST", path: secretsPath + strictly, body: strings.Replace(secretBody("b"), "aGVsbG8=", "no", 1)},
		{name: "deletion of a secret", method: "DELETE", path: secretsPath + "/a", body: uidIs("{uid:a secret}")},

		{name: "a network", method: "POST", path: nadsPath + strictly, body: `{"apiVersion":"k8s.cni.cncf.io/v1","kind":"NetworkAttachmentDefinition","metadata":{"name":"a"},"spec":{"config":"{}"}}`},
		{name: "a network with an unknown field", method: "POST", path: nadsPath + strictly, body: `{"apiVersion":"k8s.cni.cncf.io/v1","kind":"NetworkAttachmentDefinition","metadata":{"name":"b"},"spec":{"conf":"{}"}}`},

		{name: "one of three", method: "POST", path: vmsPath + strictly, body: vmBody("l1", "")},
		{name: "two of three", method: "POST", path: vmsPath + strictly, body: vmBody("l2", "")},
		{name: "three of three", method: "POST", path: vmsPath + strictly, body: strings.Replace(vmBody("l3", ""), `"app":"probe"`, `"app":"other"`, 1)},
		{name: "a list with a selector", method: "GET", path: vmsPath + "?labelSelector=app%3Dprobe"},
		{name: "a list by a set", method: "GET", path: vmsPath + "?labelSelector=app+in+%28other%2Cnone%29"},
		{name: "a selector that is none", method: "GET", path: vmsPath + "?labelSelector=app+in+other"},
		{name: "a first page", method: "GET", path: vmsPath + "?limit=1&labelSelector=app%3Dprobe"},
		{name: "a page after nothing", method: "GET", path: vmsPath + "?limit=1&continue=coffee"},
		{name: "a class that does not exist", method: "GET", path: "/apis/storage.k8s.io/v1/storageclasses/kbnt-none"},

		{name: "a quota", method: "POST", path: quotaPath, body: `{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"few"},"spec":{"hard":{"count/virtualmachines.kubevirt.io":"1"}}}`},
		{name: "its status", method: "PATCH", kind: merge, path: quotaPath + "/few/status", body: `{"status":{"hard":{"count/virtualmachines.kubevirt.io":"1"},"used":{"count/virtualmachines.kubevirt.io":"1"}}}`},
		{name: "one too many", method: "POST", path: vmsPath + strictly + "&dryRun=All", body: vmBody("q", ""), until: 403},
		{name: "what is no JSON", method: "POST", path: vmsPath + strictly, body: `{`},
		{name: "an empty body", method: "POST", path: vmsPath + strictly, body: ``},
	}
}

// reply is an answer as it is kept: what is different each time is replaced.
type reply struct {
	Name   string
	Status int
	Type   string
	Body   any
}

// ask puts all probes to a server.
func ask(t *testing.T, base string, transport http.RoundTripper, namespace string) []reply {
	t.Helper()
	uids := map[string]string{}
	fill := func(s string) string {
		s = strings.ReplaceAll(s, "{ns}", namespace)
		for name, uid := range uids {
			s = strings.ReplaceAll(s, "{uid:"+name+"}", uid)
		}
		return s
	}
	var all []reply
	for _, p := range probes() {
		var r reply
		var body any
		eventually(t, p.name, func() bool {
			r, body = p.ask(t, base, transport, fill)
			return p.until == 0 || r.Status == p.until
		})
		if uid := text(body, "metadata", "uid"); uid != "" {
			uids[p.name] = uid
		}
		r.Body = settled(body, namespace, uids)
		all = append(all, r)
	}
	return all
}

// ask puts one probe, filled in, to a server.
func (p probe) ask(t *testing.T, base string, transport http.RoundTripper, fill func(string) string) (reply, any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), p.method, base+fill(p.path), strings.NewReader(fill(p.body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	if p.kind != "" {
		req.Header.Set("Content-Type", p.kind)
	}
	if p.as != "" {
		req.Header.Set("Impersonate-User", p.as)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	data, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	var body any
	if json.Unmarshal(data, &body) != nil {
		body = string(data)
	}
	return reply{Name: p.name, Status: resp.StatusCode, Type: strings.SplitN(resp.Header.Get("Content-Type"), ";", 2)[0]}, body
}

// settled replaces what is different each time, and drops who managed which field.
func settled(v any, namespace string, uids map[string]string) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			switch {
			case k == "managedFields":
			case k == "resourceVersion" && x != "", k == "continue" && x != "":
				out[k] = "<" + k + ">"
			case slices.Contains([]string{"creationTimestamp", "deletionTimestamp"}, k) && x != nil:
				out[k] = "<time>"
			default:
				out[k] = settled(x, namespace, uids)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = settled(x, namespace, uids)
		}
		return out
	case string:
		if strings.Contains(v, "managedFields") {
			return "<the whole object>"
		}
		v = strings.ReplaceAll(v, namespace, "<ns>")
		for _, uid := range uids {
			if len(uid) == 36 {
				v = strings.ReplaceAll(v, uid, "<uid>")
			}
		}
		return v
	}
	return v
}
