package eventing_test

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/eventing"
)

func TestAsyncAPIReferencesResolve(t *testing.T) {
	t.Parallel()
	_, tree := readAsyncAPI(t)
	count := 0
	walk(tree, func(key string, value any) {
		ref, ok := value.(string)
		if key != "$ref" || !ok {
			return
		}
		count++
		if strings.HasPrefix(ref, "#/") {
			if _, err := follow(tree, ref); err != nil {
				t.Error(err)
			}
		} else if _, err := eventing.Schemas.Open(path.Clean(ref)); err != nil {
			t.Errorf("reference %s: %v", ref, err)
		}
	})
	if count == 0 {
		t.Error("asyncapi.yaml has no references, want those to its messages and schemas")
	}
}

func TestAsyncAPIChannelsAreTheTopics(t *testing.T) {
	t.Parallel()
	doc, _ := readAsyncAPI(t)
	topics := map[string]document{}
	for _, topic := range manifests(t, "KafkaTopic") {
		topics[topic.Metadata.Name] = topic
	}
	var addresses []string
	for name, channel := range doc.Channels {
		if !strings.Contains(fmt.Sprint(channel.Servers), "#/servers/kafka") {
			continue // HTTP
		}
		addresses = append(addresses, channel.Address)
		if name != channel.Address {
			t.Errorf("channel %s: got address %q, want the name", name, channel.Address)
		}
		topic, ok := topics[channel.Address]
		if !ok {
			if channel.Address != eventing.TopicHints { // comes with its own component
				t.Errorf("channel %s: there is no such KafkaTopic", name)
			}
			continue
		}
		got := channel.Bindings.Kafka
		if got.Partitions != topic.Spec.Partitions || got.Replicas != topic.Spec.Replicas ||
			time.Duration(got.Config.Retention)*time.Millisecond != retention(topic) ||
			!slices.Equal(got.Config.Cleanup, []string{fmt.Sprint(topic.Spec.Config["cleanup.policy"])}) {
			t.Errorf("channel %s: got %+v, want the numbers of the KafkaTopic: %+v", name, got, topic.Spec)
		}
	}
	sameSet(t, "addresses of the Kafka channels", addresses, values(t, "Topic"))
}

func TestAsyncAPIMessagesAreTheTypes(t *testing.T) {
	t.Parallel()
	doc, tree := readAsyncAPI(t)
	var want []string
	for _, value := range values(t, "Type") {
		if value == eventing.TypeHintPrefix {
			want = append(want, value+"add", value+"update", value+"delete")
		} else {
			want = append(want, value)
		}
	}
	sameSet(t, "types in the headers", fixed(tree, "type"), want)

	used := map[string]bool{}
	for name, channel := range doc.Channels {
		for key := range channel.Messages {
			used[key] = true
			if _, ok := doc.Components.Messages[key]; !ok {
				t.Errorf("channel %s: message %s is not among the components", name, key)
			}
		}
	}
	sameSet(t, "messages of the channels", slices.Collect(maps.Keys(used)), slices.Collect(maps.Keys(doc.Components.Messages)))

	for name, message := range doc.Components.Messages {
		if types := fixed(message.Headers, "type"); len(types) == 1 && types[0] != message.Name {
			t.Errorf("message %s: got name %q and type %q, want them equal", name, message.Name, types[0])
		}
	}
}

func TestAsyncAPIHeadersAreTheAttributes(t *testing.T) {
	t.Parallel()
	_, tree := readAsyncAPI(t)
	core := []string{"specversion", "id", "source", "type", "subject", "time", "dataschema"}
	seen := map[string]bool{}
	headers(tree, func(name string, _ map[string]any) { seen[name] = true })
	sameSet(t, "attributes in the headers", slices.Collect(maps.Keys(seen)), append(values(t, "Ext"), core...))

	// Every event of ours has every extension that is not Knative's or a dead letter's.
	attributes, err := follow(tree, "#/components/schemas/Attributes")
	if err != nil {
		t.Fatal(err)
	}
	var required []string
	list, _ := attributes.(map[string]any)["required"].([]any)
	for _, header := range list {
		if name, ok := attribute(fmt.Sprint(header)); ok {
			required = append(required, name)
		}
	}
	want := slices.DeleteFunc(values(t, "Ext"), func(name string) bool {
		return strings.HasPrefix(name, "knative") || name == eventing.ExtReason
	})
	sameSet(t, "required attributes", required, append(want, core...))
}

func TestAsyncAPIValuesAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	doc, tree := readAsyncAPI(t)
	sameSet(t, "sources", fixed(tree, "source"), values(t, "Source"))
	sameSet(t, "reasons", fixed(tree, "reason"), values(t, "Reason"))

	var groups []string
	for _, operation := range doc.Operations {
		if group := operation.Bindings.Kafka.GroupID.Const; group != "" {
			groups = append(groups, group)
			if operation.Action != "receive" {
				t.Errorf("group %s: got action %q, want receive", group, operation.Action)
			}
		}
	}
	sameSet(t, "consumer groups", groups, values(t, "Group"))

	var schemas []string
	for _, schema := range dataSchemas(t) {
		schemas = append(schemas, schema.uri())
	}
	sameSet(t, "data schemas", fixed(tree, "dataschema"), schemas)
}

func TestAsyncAPIMessagesSayWhatTheirDataIs(t *testing.T) {
	t.Parallel()
	type data struct{ source, schema, contentType string }
	message := data{eventing.SourceIntake, eventing.SchemaMessage + "-" + eventing.SchemaMessageVersion + ".avsc", eventing.ContentTypeAvro}
	result := data{eventing.SourceProvision, eventing.SchemaResult + "-" + eventing.SchemaResultVersion + ".avsc", eventing.ContentTypeAvro}
	event := data{eventing.SourceNotify, eventing.SchemaEvent + "-" + eventing.SchemaEventVersion + ".schema.json", eventing.ContentTypeJSON}
	want := map[string]data{
		eventing.TypeRequested:   message,
		eventing.TypeProvisioned: result,
		eventing.TypeRejected:    result,
		eventing.TypeCompleted:   event,
		eventing.TypeFailed:      event,
		eventing.TypeCancelled:   event,
	}
	doc, _ := readAsyncAPI(t)
	for _, message := range doc.Components.Messages {
		expect, ok := want[message.Name]
		if !ok {
			continue
		}
		delete(want, message.Name)
		got := data{strings.Join(fixed(message.Headers, "source"), " "), path.Base(message.Payload.Schema.Ref), message.ContentType}
		if got != expect {
			t.Errorf("message %s: got %+v, want %+v", message.Name, got, expect)
		}
		uris := fixed(message.Headers, "dataschema")
		if len(uris) != 1 || !strings.HasPrefix(got.schema, strings.ReplaceAll(strings.TrimPrefix(uris[0], eventing.SchemaBase), "/", "-")+".") {
			t.Errorf("message %s: got dataschema %q, want that of %s", message.Name, uris, got.schema)
		}
	}
	for name := range want {
		t.Errorf("message %s is missing", name)
	}
}
