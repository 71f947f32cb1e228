package eventing_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kbnt.dev/virtualization/eventing"
)

// eventSchema reads the JSON Schema of the public event as a tree.
func eventSchema(t *testing.T) map[string]any {
	t.Helper()
	text := schemaText(t, eventing.SchemaEvent+"-"+eventing.SchemaEventVersion+jsonExt)
	var schema map[string]any
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatalf("%s: %v", eventing.SchemaEvent, err)
	}
	return schema
}

func TestEventSchemaHasTheWordsOfTheContract(t *testing.T) {
	t.Parallel()
	schema := eventSchema(t)
	tests := map[string]struct {
		ref  string
		want []string
	}{
		"eventType":         {"#/properties/eventType/enum", values(t, "Event")},
		"service":           {"#/properties/service/const", []string{eventing.ServiceConsumer}},
		"fields":            {"#/properties", strings.Fields("eventId eventType originalMessageId correlationId service timestamp version payload")},
		"fields of payload": {"#/$defs/payload/properties", strings.Fields("messageType resourceType vmId resourceId virtualResourceId requestId userId status resourceSpecs endpoints metrics cost reason")},
		"status":            {"#/$defs/payload/properties/status/enum", []string{"SUCCESS", "FAILED", "CANCELLED"}},
	}
	for name, test := range tests {
		node, err := follow(schema, test.ref)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		switch node := node.(type) {
		case string:
			got = []string{node}
		case []any:
			for _, value := range node {
				got = append(got, fmt.Sprint(value))
			}
		case map[string]any:
			got = slices.Collect(maps.Keys(node))
		}
		sameSet(t, name, got, test.want)
	}
}

// Each property has a description and examples, and those satisfy its schema.
func TestEventSchemaIsDocumented(t *testing.T) {
	t.Parallel()
	schema := eventSchema(t)
	nodes := map[string]any{"event": schema}
	maps.Copy(nodes, schema["$defs"].(map[string]any))
	for name, node := range nodes {
		properties, _ := node.(map[string]any)["properties"].(map[string]any)
		for property, value := range properties {
			field, _ := value.(map[string]any)
			examples, _ := field["examples"].([]any)
			if field["description"] == nil || len(examples) == 0 {
				t.Errorf("%s.%s: got %v, want a description and examples", name, property, field)
			}
			for _, example := range examples {
				if err := validate(schema, field, example); err != nil {
					t.Errorf("%s.%s: its example: %v", name, property, err)
				}
			}
		}
	}
}

func TestEventSchemaTellsEventsFromOthers(t *testing.T) {
	t.Parallel()
	schema := eventSchema(t)
	examples, _ := schema["examples"].([]any)
	if len(examples) == 0 {
		t.Fatal("the schema has no examples of whole events")
	}
	for i, example := range examples {
		if err := validate(schema, schema, example); err != nil {
			t.Errorf("example %d: %v", i, err)
		}
	}

	tests := map[string]struct {
		reason string
		change func(event, payload map[string]any)
	}{
		"no id":           {"an event without id cannot be deduplicated", func(e, _ map[string]any) { delete(e, "eventId") }},
		"unknown outcome": {"a fourth outcome needs another schema", func(e, _ map[string]any) { e["eventType"] = "VIRTUALIZATION_PAUSED" }},
		"contradiction":   {"eventType and status say the same", func(_, p map[string]any) { p["status"] = "FAILED" }},
		"no reason":       {"a failed event says why", func(e, p map[string]any) { e["eventType"], p["status"] = "VIRTUALIZATION_FAILED", "FAILED" }},
		"other service":   {"the consumer service makes this event", func(e, _ map[string]any) { e["service"] = eventing.ServiceProducer }},
		"bad resource":    {"a resource id has a prefix and 8 digits", func(_, p map[string]any) { p["virtualResourceId"] = "VM-0909" }},
		"text as memory": {"units are in the name, values are numbers", func(_, p map[string]any) {
			p["resourceSpecs"] = map[string]any{"cpu": 4.0, "memoryMiB": "8GB", "diskMiB": 1.0}
		}},
		"null": {"what does not apply is left out", func(_, p map[string]any) { p["vmId"] = nil }},
	}
	for name, test := range tests {
		event := eventSchema(t)["examples"].([]any)[0].(map[string]any) // its own copy
		test.change(event, event["payload"].(map[string]any))
		if err := validate(schema, schema, event); err == nil {
			t.Errorf("%s: got no error, want one: %s", name, test.reason)
		}
	}
}

// validate checks a value against those keywords of JSON Schema that our schema
// uses. A keyword it does not know is an error, so that none is passed over.
func validate(root, schema map[string]any, value any) error {
	object, isObject := value.(map[string]any)
	for keyword, rule := range schema {
		var err error
		switch keyword {
		case "$schema", "$id", "$defs", "title", "description", "examples", "format": // say nothing about values here
		case "$ref":
			err = validateRef(root, rule.(string), value)
		case "type":
			err = validateType(rule.(string), value)
		case "const":
			if value != rule {
				err = fmt.Errorf("got %v, want %v", value, rule)
			}
		case "enum":
			if !slices.Contains(rule.([]any), value) {
				err = fmt.Errorf("got %v, want one of %v", value, rule)
			}
		case "pattern":
			if text, ok := value.(string); ok && !regexp.MustCompile(rule.(string)).MatchString(text) {
				err = fmt.Errorf("got %q, want %s", text, rule)
			}
		case "minimum":
			if number, ok := value.(float64); ok && number < rule.(float64) {
				err = fmt.Errorf("got %v, want %v or more", number, rule)
			}
		case "maximum":
			if number, ok := value.(float64); ok && number > rule.(float64) {
				err = fmt.Errorf("got %v, want %v or less", number, rule)
			}
		case "required":
			for _, name := range rule.([]any) {
				if _, ok := object[name.(string)]; isObject && !ok {
					err = fmt.Errorf("%s is missing", name)
				}
			}
		case "properties":
			for name, field := range object {
				if sub, ok := rule.(map[string]any)[name].(map[string]any); ok && err == nil {
					err = within(name, validate(root, sub, field))
				}
			}
		case "additionalProperties": // only beside no properties, for maps
			for name, field := range object {
				if err == nil {
					err = within(name, validate(root, rule.(map[string]any), field))
				}
			}
		case "items":
			items, _ := value.([]any)
			for _, item := range items {
				if err == nil {
					err = validate(root, rule.(map[string]any), item)
				}
			}
		case "anyOf", "oneOf":
			err = validateSome(root, keyword, rule.([]any), value)
		default:
			err = fmt.Errorf("the test does not know the keyword %q", keyword)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// within says in which field an error is.
func within(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}

func validateRef(root map[string]any, ref string, value any) error {
	node, err := follow(root, ref)
	if err != nil {
		return err
	}
	return validate(root, node.(map[string]any), value)
}

// validateSome requires one branch (oneOf) or at least one (anyOf) to fit.
func validateSome(root map[string]any, keyword string, branches []any, value any) error {
	fits := 0
	for _, branch := range branches {
		if validate(root, branch.(map[string]any), value) == nil {
			fits++
		}
	}
	if fits == 0 || keyword == "oneOf" && fits > 1 {
		return fmt.Errorf("%d branches of %s fit %v", fits, keyword, value)
	}
	return nil
}

// validateType knows the types as encoding/json decodes them.
func validateType(name string, value any) error {
	ok := false
	switch v := value.(type) {
	case string:
		ok = name == "string"
	case float64:
		ok = name == "number" || name == "integer" && v == float64(int64(v))
	case bool:
		ok = name == "boolean"
	case []any:
		ok = name == "array"
	case map[string]any:
		ok = name == "object"
	}
	if !ok {
		return fmt.Errorf("got %v (%T), want %s", value, value, name)
	}
	return nil
}
