package manifesttest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// A wrong copy of every object is refused, for the reason expected; a kind of
// which no wrong copy was tried fails. The objects are those of the renderings,
// and for kinds that none of them has, and the shapes that mutations need, the
// examples in testdata.
func TestWrongObjectsAreRefused(t *testing.T) {
	t.Parallel()
	j := newJudge(t)
	tried := map[string]bool{}
	attempt := func(o object, w world) {
		kind := o.GetKind()
		tried[kind] = true
		if len(mutations[kind]) == 0 {
			t.Errorf("%s: mutations_test.go has no wrong copy of this kind", o)
		}
		for _, m := range slices.Concat(mutations[""], mutations[kind]) {
			if m.only != "" && m.only != o.GetName() {
				continue
			}
			wrong := m.apply(t, o)
			found := slices.Concat(j.alone(wrong), j.among(wrong, w))
			if says(slices.Concat(j.alone(o), j.among(o, w)), m.want) {
				t.Errorf("%s: %q is said of it before it is made wrong at %s", o, m.want, m.at)
			}
			if !says(found, m.want) {
				t.Errorf("%s: with %s: %v\ngot mistakes %q\nwant one with %q: %s", o, m.at, m.put, found, m.want, m.reason)
			}
		}
	}
	for _, r := range render(t) {
		if r.part {
			continue
		}
		w := j.world(t, r)
		for _, o := range slices.Concat(r.objects, j.services) {
			attempt(o, w)
		}
	}
	good := examples(t)
	w := newWorld(good, j.services)
	for _, o := range good {
		report(t, "example", o, append(j.alone(o), j.among(o, w)...))
		attempt(o, w)
	}
	for kind := range mutations {
		if kind != "" && !tried[kind] {
			t.Errorf("%s: neither a rendering nor testdata/examples.yaml has one", kind)
		}
	}
}

// says reports whether one of the mistakes contains a text.
func says(mistakes []string, text string) bool {
	return slices.ContainsFunc(mistakes, func(mistake string) bool { return strings.Contains(mistake, text) })
}

// examples are good objects of each kind, in shapes that the mutations know.
func examples(t *testing.T) (list []object) {
	t.Helper()
	const file = "testdata/examples.yaml"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		o, err := parse([]byte(document))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		o.file = file
		list = append(list, o)
	}
	return list
}

// A kind that nothing knows is not passed over.
func TestUnknownKindIsRefused(t *testing.T) {
	t.Parallel()
	j := newJudge(t)
	for _, gvk := range []string{"example.com/v1.Widget", "eventing.knative.dev/v1.KafkaSink", "serving.knative.dev/v2.Service"} {
		kind := parseKind(gvk)
		o := object{file: "none.yaml"}
		o.Object = map[string]any{"metadata": map[string]any{"name": "a", "namespace": "kbnt"}}
		o.SetGroupVersionKind(kind)
		if got := fmt.Sprint(j.alone(o)); !strings.Contains(got, "nothing validates") {
			t.Errorf("%s: got %s, want that nothing validates it", gvk, got)
		}
	}
}

// A wrong func.yaml is refused: by func, which would not read it, or by Serving.
func TestWrongFunctionsAreRefused(t *testing.T) {
	t.Parallel()
	j := newJudge(t)
	cases := map[string]struct{ reason, from, to, want string }{
		"unknown field":       {"func's schema allows no other fields", "scale: {min: 0", "scale: {minimum: 0", "minimum"},
		"wrong type":          {"a port or a number is no list", "invoke: http", "invoke: [http]", "cannot unmarshal"},
		"metric":              {"autoscaling.knative.dev/metric", "metric: concurrency", "metric: cpus", "autoscaling.knative.dev/metric"},
		"utilization":         {"autoscaling.knative.dev/target-utilization-percentage", "utilization: 70", "utilization: 170", "target-utilization-percentage"},
		"max below min":       {"the span would be empty", "scale: {min: 0", "scale: {min: 90", "max-scale=20 is less than min-scale=90"},
		"annotation":          {"func puts annotations on the Service too, where Serving takes no scale", "annotations: {", `annotations: {autoscaling.knative.dev/min-scale: "1", `, "autoscaling.knative.dev/min-scale"},
		"memory":              {"a quantity of Kubernetes", "memory: 256Mi", "memory: 256 MB", "memory"},
		"request above limit": {"a container cannot ask for more than it may have", "requests: {cpu: 50m", `requests: {cpu: "7"`, "requests 7 of cpu"},
		"concurrency":         {"1000 or less", "concurrency: 100}", "concurrency: 100000}", "containerConcurrency"},
		"variable":            {"a reference has three parts", "{{ secret:kbnt-store:url }}", "{{ secret:kbnt-store }}", "want {{ secret:name:key }}"},
		"probe":               {"a path begins with a slash, which nothing repairs", "liveness: /health/liveness", "liveness: [/health]", "cannot unmarshal"},
		"label":               {"labels of Kubernetes", "value: intake}", `value: "in take"}`, "in take"},
		"mount":               {"a mount path is absolute", "path: /tmp}", "path: tmp}", "mountPath"},
		"account":             {"names of Kubernetes", "serviceAccountName: kbnt-intake", "serviceAccountName: KBNT_intake", "serviceAccountName: invalid"},
		"file":                {"files come from volumes", "  envs:\n", "  envs:\n  - {name: KBNT_FILE, value: /etc/none/a.yaml}\n", "/etc/none/a.yaml is in no volume"},
		"key":                 {"files are keys of a ConfigMap", "  envs:\n", "  - {configMap: virtualization-events-broker, path: /etc/x}\n  envs:\n  - {name: KBNT_FILE, value: /etc/x/a.yaml}\n", `has no key "a.yaml"`},
		"volume":              {"the ConfigMap exists", "  envs:\n", "  - {configMap: nothing, path: /etc/x}\n  envs:\n", "ConfigMap kbnt/nothing"},
		"sink":                {"sinks are brought by manifests", "/kbnt/virtualization-requests", "/kbnt/virtualization-request", "KafkaSink kbnt/virtualization-request of"},
	}
	text, err := os.ReadFile(top + "/" + functionFiles["intake"])
	if err != nil {
		t.Fatal(err)
	}
	var w world
	for _, r := range render(t) {
		if !r.part {
			w = j.world(t, r)
			break
		}
	}
	refused := func(text string) []string {
		f, err := parseFunction([]byte(text))
		if err != nil {
			return []string{err.Error()}
		}
		service, err := f.service()
		if err != nil {
			return []string{err.Error()}
		}
		return slices.Concat(j.alone(service), j.among(service, w))
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(string(text), c.from) {
				t.Fatalf("func.yaml has no %q to make wrong", c.from)
			}
			if says(refused(string(text)), c.want) {
				t.Errorf("%q is said of func.yaml as it is", c.want)
			}
			if found := refused(strings.ReplaceAll(string(text), c.from, c.to)); !says(found, c.want) {
				t.Errorf("%s instead of %s: got %q, want one with %q: %s", c.to, c.from, found, c.want, c.reason)
			}
		})
	}
}
