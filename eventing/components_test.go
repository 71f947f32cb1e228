package eventing_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kbnt.dev/virtualization/eventing"
	"sigs.k8s.io/yaml"
)

// object is a document of which a test wants a few fields, whatever its kind.
type object struct {
	Kind     string   `json:"kind"`
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Topic         string   `json:"topic"`
		Topics        []string `json:"topics"`
		ConsumerGroup string   `json:"consumerGroup"`
		Delivery      delivery `json:"delivery"`
		Sink          target   `json:"sink"`
		Mode          string   `json:"mode"`
		To            []target `json:"to"`
		Reference     reference
		Attributes    []struct{ Name, Value string }
	} `json:"spec"`
}

// objects reads all documents of a folder, or of one file.
func objects(t *testing.T, path string) (list []object) {
	t.Helper()
	files := []string{path}
	if filepath.Ext(path) == "" {
		var err error
		if files, err = filepath.Glob(filepath.Join(path, "*.yaml")); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for part := range strings.SplitSeq(string(text), "\n---\n") {
			var o object
			if err := yaml.Unmarshal([]byte(part), &o); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			list = append(list, o)
		}
	}
	return list
}

// one is the only document of a kind.
func one(t *testing.T, list []object, kind string) object {
	t.Helper()
	var found []object
	for _, o := range list {
		if o.Kind == kind {
			found = append(found, o)
		}
	}
	if len(found) != 1 {
		t.Fatalf("got %d documents of kind %s, want one", len(found), kind)
	}
	return found[0]
}

func TestHintsGoThroughTheirTopic(t *testing.T) {
	t.Parallel()
	hints := objects(t, "components/hints")
	if got := one(t, hints, "KafkaTopic").Metadata.Name; got != eventing.TopicHints {
		t.Errorf("the KafkaTopic is %q, want %q", got, eventing.TopicHints)
	}
	sink := one(t, hints, "KafkaSink")
	if sink.Metadata.Name != eventing.TopicHints || sink.Spec.Topic != eventing.TopicHints {
		t.Errorf("the KafkaSink %q feeds %q, want both %q", sink.Metadata.Name, sink.Spec.Topic, eventing.TopicHints)
	}
	watch := one(t, hints, "ApiServerSource")
	if watch.Spec.Sink.Ref != (reference{"eventing.knative.dev/v1alpha1", "KafkaSink", eventing.TopicHints, "kbnt"}) || watch.Spec.Mode != "Resource" {
		t.Errorf("the ApiServerSource sends to %v in mode %q, want the KafkaSink, and Resource: a Reference has no labels", watch.Spec.Sink.Ref, watch.Spec.Mode)
	}
	source := one(t, hints, "KafkaSource")
	if !slices.Equal(source.Spec.Topics, []string{eventing.TopicHints}) || source.Spec.ConsumerGroup != eventing.GroupHints {
		t.Errorf("the KafkaSource reads %q as %q, want %q as %q", source.Spec.Topics, source.Spec.ConsumerGroup, eventing.TopicHints, eventing.GroupHints)
	}
	if source.Spec.Sink.Ref.Name != "kbnt-provision" || source.Spec.Delivery.Retry == nil {
		t.Errorf("the KafkaSource delivers to %v with retry %v, want kbnt-provision and a number", source.Spec.Sink.Ref, source.Spec.Delivery.Retry)
	}
	if timeout, err := iso8601(source.Spec.Delivery.Timeout); err != nil || timeout <= workBudget {
		t.Errorf("a hint has %s (%v), want more than the %s that one delivery works", timeout, err, workBudget)
	}
}

// An ingress without a policy would stay open to everybody in the namespace.
func TestEveryIngressHasItsEventPolicy(t *testing.T) {
	t.Parallel()
	var got, want []string
	for _, policy := range objects(t, "components/event-policies") {
		for _, to := range policy.Spec.To {
			got = append(got, to.Ref.Kind+" "+to.Ref.Name)
		}
	}
	for _, ingress := range manifests(t, "KafkaSink", "Broker") {
		want = append(want, ingress.String())
	}
	sameSet(t, "targets of the EventPolicies", got, want)
}

func TestEveryPublicTypeHasItsEventType(t *testing.T) {
	t.Parallel()
	var got []string
	for _, o := range objects(t, "../config/cluster/base/eventtypes.yaml") {
		value := map[string]string{}
		for _, a := range o.Spec.Attributes {
			value[a.Name] = a.Value
		}
		got = append(got, value["type"])
		if name := "virtualization-" + value["type"][strings.LastIndex(value["type"], ".")+1:]; o.Metadata.Name != name {
			t.Errorf("%s is of type %q, want the name %s", o.Metadata.Name, value["type"], name)
		}
		if o.Spec.Reference.Kind != "Broker" {
			continue
		}
		if o.Spec.Reference.Name != eventing.TopicEvents || value["source"] != eventing.SourceNotify ||
			value["dataschema"] != eventing.SchemaBase+eventing.SchemaEvent+"/"+eventing.SchemaEventVersion || value["datacontenttype"] != eventing.ContentTypeJSON {
			t.Errorf("%s: got %v on %v, want what notify sends", o.Metadata.Name, value, o.Spec.Reference)
		}
		for _, ext := range without(values(t, "Ext"), eventing.ExtReason, eventing.ExtKafkaPartition, eventing.ExtKafkaOffset,
			eventing.ExtErrorDest, eventing.ExtErrorCode, eventing.ExtErrorData) {
			if _, there := value[ext]; !there {
				t.Errorf("%s does not name %s, which every event of ours has", o.Metadata.Name, ext)
			}
		}
	}
	// The others are between the functions.
	sameSet(t, "types of the EventTypes", got, []string{
		eventing.TypeRequest, eventing.TypeAccepted, eventing.TypeCompleted, eventing.TypeFailed, eventing.TypeCancelled})
}
