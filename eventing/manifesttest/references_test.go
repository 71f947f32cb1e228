package manifesttest

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// world is everything that is there when one rendering was applied and the
// functions were deployed.
type world map[key]object

// foreign reports whether an object is one that the repository does not bring: the
// services of other teams, which the examples of Triggers name.
func (k key) foreign() bool {
	return k.group == "serving.knative.dev" && k.kind == "Service" && strings.HasSuffix(k.name, "-example")
}

func newWorld(objects ...[]object) world {
	w := world{}
	for _, list := range objects {
		for _, o := range list {
			w[o.key()] = o
		}
	}
	return w
}

// kafkaNamespace is where the Kafka cluster is, and its topics with it.
const kafkaNamespace = "kafka"

// checkNamespace says whether the namespace of an object is one that nothing makes.
func (w world) checkNamespace(o object) []string {
	if o.GetNamespace() == kafkaNamespace || o.GetNamespace() == "knative-eventing" {
		return nil // there before us
	}
	namespace := key{"", "Namespace", "", o.GetNamespace()}
	if _, ok := w[namespace]; ok || o.GetNamespace() == "" {
		return nil
	}
	return []string{fmt.Sprintf("metadata.namespace: %q, which nothing makes", o.GetNamespace())}
}

// secretTemplates are the Secrets that an operator makes: no kustomization has
// them, so that no password is in the repository.
func secretTemplates(t *testing.T) []object {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(top, "config/cluster/secrets/*.example"))
	if err != nil {
		t.Fatal(err)
	}
	var list []object
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		o, err := parse(text)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		o.file = strings.TrimPrefix(filepath.ToSlash(file), top+"/")
		list = append(list, o)
	}
	return list
}

// mention is one object named by another.
type mention struct {
	path string // where
	of   key
	data string // the key in a ConfigMap or Secret that is needed, if one is
}

// checkReferences says which objects that o names are not there.
func (w world) checkReferences(o object) []string {
	var m mistakes
	for _, ref := range mentions(o) {
		target, ok := w[ref.of]
		m.want(ok || ref.of.foreign(), "%s: names the %s, which nothing brings", ref.path, ref.of)
		m.want(!ok || ref.data == "" || has(target, ref.data), "%s: names the key %q, which the %s does not have", ref.path, ref.data, ref.of)
	}
	return m
}

// has reports whether a ConfigMap or a Secret has a key; nothing has none.
func has(o object, name string) bool {
	for _, data := range []string{"data", "stringData", "binaryData"} {
		if _, ok, _ := unstructured.NestedFieldNoCopy(o.Object, data, name); ok {
			return true
		}
	}
	return false
}

// mentions are all objects that o names, in the ways that the kinds in use have.
func mentions(o object) (list []mention) {
	add := func(path, group, kind, namespace, name, data string) {
		if name != "" {
			list = append(list, mention{path, key{group, kind, namespace, name}, data})
		}
	}
	own := o.GetNamespace()
	walk("", o.Object, func(f found) {
		if strings.HasPrefix(f.path, "metadata") && !strings.HasPrefix(f.path, "metadata.annotations") || f.path == "" {
			return
		}
		if text, ok := f.value.(string); ok {
			if kind, namespace, name, ok := ingress(text); ok {
				add(f.path, "eventing.knative.dev", kind, namespace, name, "")
			}
			if last(f.path) == "serviceAccountName" {
				add(f.path, "", "ServiceAccount", own, text, "")
			}
			return
		}
		fields, ok := f.value.(map[string]any)
		if !ok {
			return
		}
		text := func(name string) string { s, _ := fields[name].(string); return s }
		namespace := text("namespace")
		if namespace == "" {
			namespace = own
		}
		switch last(f.path) {
		case "secretKeyRef":
			add(f.path, "", "Secret", own, text("name"), text("key"))
		case "configMapKeyRef":
			add(f.path, "", "ConfigMap", own, text("name"), text("key"))
		case "secret":
			add(f.path, "", "Secret", own, text("secretName"), "")
			if ref, ok := fields["ref"].(map[string]any); ok {
				name, _ := ref["name"].(string)
				add(f.path, "", "Secret", own, name, "")
			}
		case "configMap":
			add(f.path, "", "ConfigMap", own, text("name"), "")
		case "roleRef":
			if text("kind") == "ClusterRole" {
				namespace = ""
			}
			add(f.path, text("apiGroup"), text("kind"), namespace, text("name"), "")
		default:
			if group, err := schema.ParseGroupVersion(text("apiVersion")); err == nil && text("apiVersion") != "" {
				add(f.path, group.Group, text("kind"), namespace, text("name"), "")
			} else if text("kind") == "ServiceAccount" {
				add(f.path, "", "ServiceAccount", namespace, text("name"), "")
			}
		}
	})
	switch o.GetKind() {
	case "Trigger":
		broker, _, _ := unstructured.NestedString(o.Object, "spec", "broker")
		add("spec.broker", "eventing.knative.dev", "Broker", own, broker, "")
	case "KafkaSink", "KafkaSource", "Broker":
		for path, topic := range topics(o) {
			add(path, "kafka.strimzi.io", "KafkaTopic", kafkaNamespace, topic, "")
		}
	case "ConfigMap": // of a Broker
		secret, _, _ := unstructured.NestedString(o.Object, "data", "auth.secret.ref.name")
		add("data[auth.secret.ref.name]", "", "Secret", own, secret, "")
	}
	return list
}

// last is the name at the end of a path: secretKeyRef of spec.env[0].secretKeyRef.
func last(path string) string {
	name := path[strings.LastIndex(path, ".")+1:]
	name, _, _ = strings.Cut(name, "[")
	return name
}

// ingress reads the address of a KafkaSink or of a Kafka Broker.
func ingress(text string) (kind, namespace, name string, ok bool) {
	hosts := map[string]string{
		"kafka-sink-ingress.knative-eventing.svc.cluster.local":   "KafkaSink",
		"kafka-broker-ingress.knative-eventing.svc.cluster.local": "Broker",
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return "", "", "", false
	}
	kind, ok = hosts[u.Hostname()]
	if !ok && strings.Contains(u.Hostname(), "-ingress.knative-eventing") {
		return "ingress", "", u.Hostname(), true // nothing brings such a one
	}
	namespace, name, _ = strings.Cut(strings.Trim(u.Path, "/"), "/")
	return kind, namespace, name, ok
}

// topics are those that a KafkaSink, a KafkaSource or a Broker uses, by path.
func topics(o object) map[string]string {
	found := map[string]string{}
	if topic, ok, _ := unstructured.NestedString(o.Object, "spec", "topic"); ok {
		found["spec.topic"] = topic
	}
	if topic, ok := o.GetAnnotations()["kafka.eventing.knative.dev/external.topic"]; ok {
		found["metadata.annotations[external.topic]"] = topic
	}
	list, _, _ := unstructured.NestedStringSlice(o.Object, "spec", "topics")
	for i, topic := range list {
		found[fmt.Sprintf("spec.topics[%d]", i)] = topic
	}
	return found
}
