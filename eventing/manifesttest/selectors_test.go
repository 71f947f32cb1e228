package manifesttest

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

// selectors are where kinds say which pods they are about.
var selectors = map[string][]string{
	"PodMonitor":    {"spec", "selector"},
	"NetworkPolicy": {"spec", "podSelector"},
}

// checkSelector says whether the selector of a PodMonitor or a NetworkPolicy fits
// no pod: it would watch, or guard, nothing, and nobody would be told.
func (w world) checkSelector(o object) []string {
	path, ok := selectors[o.GetKind()]
	if !ok {
		return nil
	}
	where := strings.Join(path, ".")
	tree, _, _ := unstructured.NestedMap(o.Object, path...)
	var said metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(tree, &said); err != nil {
		return []string{where + ": " + err.Error()}
	}
	selector, err := metav1.LabelSelectorAsSelector(&said)
	if err != nil {
		return []string{where + ": " + err.Error()}
	}
	for _, p := range w.pods() {
		if selector.Matches(p.labels) && watches(o, p.namespace) {
			return nil
		}
	}
	return []string{where + ": " + selector.String() + ": fits no pod"}
}

// watches reports whether an object is about pods of that namespace: of its own,
// unless it is a PodMonitor that names others.
func watches(o object, namespace string) bool {
	everywhere, _, _ := unstructured.NestedBool(o.Object, "spec", "namespaceSelector", "any")
	names, _, _ := unstructured.NestedStringSlice(o.Object, "spec", "namespaceSelector", "matchNames")
	if len(names) == 0 {
		names = []string{o.GetNamespace()}
	}
	return everywhere || slices.Contains(names, namespace)
}

// pod is what selectors see of one.
type pod struct {
	namespace string
	labels    labels.Set
}

// pods are the labels of those that Knative makes: of each function, of the adapter
// of each ApiServerSource, and the doors of its data plane for Kafka
// (eventing-kafka-broker data-plane/config/{sink,broker}/500-receiver.yaml).
func (w world) pods() []pod {
	all := []pod{{"knative-eventing", labels.Set{"app": "kafka-sink-receiver"}}, {"knative-eventing", labels.Set{"app": "kafka-broker-receiver"}}}
	for _, o := range w {
		switch o.GetKind() {
		case "Service": // serving pkg/reconciler/revision/resources/meta.go
			set, _, _ := unstructured.NestedStringMap(o.Object, "spec", "template", "metadata", "labels") // a copy
			set["serving.knative.dev/service"] = o.GetName()
			set["serving.knative.dev/configuration"] = o.GetName()
			all = append(all, pod{o.GetNamespace(), set})
		case "ApiServerSource": // eventing pkg/reconciler/apiserversource/resources/labels.go
			all = append(all, pod{o.GetNamespace(), labels.Set{"eventing.knative.dev/source": "apiserver-source-controller", "eventing.knative.dev/sourceName": o.GetName()}})
		}
	}
	return all
}
