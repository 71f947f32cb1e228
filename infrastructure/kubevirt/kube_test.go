package kubevirt_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// kube is what a test says to an API server beside the driver, in plain JSON.
type kube struct {
	base      string
	transport http.RoundTripper
}

type fields = map[string]any

// try asks and decodes; the status tells how it went.
func (k kube) try(ctx context.Context, method, path, kind string, body any) (fields, int, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, 0, err
	}
	req, err := http.NewRequestWithContext(ctx, method, k.base+path, bytes.NewReader(data))
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Accept", "application/json")
	resp, err := k.transport.RoundTrip(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	data, err = io.ReadAll(resp.Body)
	if err != nil {
		return nil, 0, err
	}
	var out fields
	if err := json.Unmarshal(data, &out); err != nil {
		out = fields{"message": string(data)}
	}
	return out, resp.StatusCode, nil
}

// do asks for what must work. Statuses named besides are fine, too.
func (k kube) do(t testing.TB, method, path, kind string, body any, fine ...int) (fields, int) {
	t.Helper()
	out, status, err := k.try(context.WithoutCancel(t.Context()), method, path, kind, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	ok := status < 300
	for _, s := range fine {
		ok = ok || s == status
	}
	if !ok {
		t.Fatalf("%s %s: %d %v", method, path, status, out["message"])
	}
	return out, status
}

func (k kube) create(t testing.TB, path string, o fields, fine ...int) fields {
	t.Helper()
	out, _ := k.do(t, http.MethodPost, path+strictly, "application/json", o, fine...)
	return out
}

// patch changes what may have gone meanwhile.
func (k kube) patch(t testing.TB, path string, change fields) {
	t.Helper()
	k.do(t, http.MethodPatch, path, merge, change, http.StatusNotFound)
}

func (k kube) items(t testing.TB, path string) []fields {
	t.Helper()
	out, _ := k.do(t, http.MethodGet, path, "application/json", nil)
	var all []fields
	list, _ := out["items"].([]any)
	for _, x := range list {
		all = append(all, x.(fields))
	}
	return all
}

// at follows a path of keys, nil where it ends early.
func at(o any, keys ...string) any {
	for _, key := range keys {
		m, ok := o.(fields)
		if !ok {
			return nil
		}
		o = m[key]
	}
	return o
}

func text(o any, keys ...string) string {
	s, _ := at(o, keys...).(string)
	return s
}

// Classes of storage that prepare makes.
const (
	atOnce = "kbnt-test-immediate"
	atLast = "kbnt-test-first-consumer"
)

// namespace makes one for a test.
func (k kube) namespace(t testing.TB) string {
	t.Helper()
	name := "kbnt-" + strings.ToLower(rand.Text()[:10])
	k.create(t, "/api/v1/namespaces", fields{"apiVersion": "v1", "kind": "Namespace", "metadata": fields{"name": name}})
	return name
}

// prepare installs the custom resources of others that the driver needs, where they
// are missing: the operator of a real cluster has them with Multus and CDI.
func prepare(t testing.TB, base string, transport http.RoundTripper) kube {
	t.Helper()
	k := kube{base, transport}
	for _, crd := range []fields{
		definition("k8s.cni.cncf.io", "v1", "NetworkAttachmentDefinition", "network-attachment-definitions", networkSchema()),
		definition("cdi.kubevirt.io", "v1beta1", "DataVolume", "datavolumes", importSchema()),
	} {
		k.create(t, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd, http.StatusConflict)
	}
	for name, binding := range map[string]string{atOnce: "Immediate", atLast: "WaitForFirstConsumer"} {
		k.create(t, "/apis/storage.k8s.io/v1/storageclasses", fields{"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": fields{"name": name},
			"provisioner": "kbnt.dev/none", "volumeBindingMode": binding}, http.StatusConflict)
	}
	for _, path := range []string{nadsPath, "/apis/cdi.kubevirt.io/v1beta1/namespaces/{ns}/datavolumes"} {
		eventually(t, path, func() bool {
			_, status, err := k.try(t.Context(), http.MethodGet, strings.ReplaceAll(path, "{ns}", "default"), "application/json", nil)
			return err == nil && status == http.StatusOK
		})
	}
	return k
}

// eventually asks again until the answer is yes: a server learns of new kinds, roles and
// quotas by itself, and there is nothing to wait for but that.
func eventually(t testing.TB, what string, yes func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !yes(); {
		if time.Now().After(end) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

func definition(group, version, kind, plural string, schema fields) fields {
	return fields{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": fields{"name": plural + "." + group},
		"spec": fields{"group": group, "scope": "Namespaced", "names": fields{"kind": kind, "plural": plural, "listKind": kind + "List"},
			"versions": []fields{{"name": version, "served": true, "storage": true, "subresources": subresources(kind), "schema": fields{"openAPIV3Schema": schema}}}}}
}

func subresources(kind string) fields {
	if kind == "DataVolume" {
		return fields{"status": fields{}}
	}
	return nil
}

func networkSchema() fields {
	return fields{"type": "object", "properties": fields{"spec": fields{"type": "object", "properties": fields{"config": fields{"type": "string"}}}}}
}

// importSchema is the part of a DataVolume that is used here.
func importSchema() fields {
	str := fields{"type": "string"}
	obj := func(properties fields, required ...string) fields {
		o := fields{"type": "object", "properties": properties}
		if len(required) > 0 {
			o["required"] = required
		}
		return o
	}
	return obj(fields{
		"spec": obj(fields{
			"source": obj(fields{"registry": obj(fields{"url": str}), "http": obj(fields{"url": str, "checksum": str}, "url")}),
			"pvc": obj(fields{"accessModes": fields{"type": "array", "items": str}, "volumeMode": str, "storageClassName": str,
				"resources": obj(fields{"requests": fields{"type": "object", "additionalProperties": str}})}),
		}),
		"status": obj(fields{"phase": str, "progress": str}),
	}, "spec")
}

// compare holds answers against those of a real server that are kept.
func compare(t *testing.T, got []reply) {
	t.Helper()
	data, err := os.ReadFile("testdata/answers.json")
	if err != nil {
		t.Fatal(err)
	}
	var want []reply
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Errorf("got %d answers, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if g, w := got[i], want[i]; g.Name != w.Name || g.Status != w.Status || g.Type != w.Type || !reflect.DeepEqual(plain(g.Body), plain(w.Body)) {
			t.Errorf("%s:\ngot  %d %s %s\nwant %d %s %s", g.Name, g.Status, g.Type, show(g.Body), w.Status, w.Type, show(w.Body))
		}
	}
}

func plain(v any) any {
	data, _ := json.Marshal(v)
	var out any
	_ = json.Unmarshal(data, &out)
	return out
}

func show(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(err)
	}
	return string(data)
}
