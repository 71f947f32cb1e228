package eventing_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// asyncapi is the part of asyncapi.yaml that has typed access.
type asyncapi struct {
	Channels   map[string]channel `json:"channels"`
	Operations map[string]struct {
		Action   string `json:"action"`
		Bindings struct {
			Kafka struct {
				GroupID struct {
					Const string `json:"const"`
				} `json:"groupId"`
			} `json:"kafka"`
		} `json:"bindings"`
	} `json:"operations"`
	Components struct {
		Messages map[string]message `json:"messages"`
	} `json:"components"`
}

type channel struct {
	Address  string         `json:"address"`
	Servers  []any          `json:"servers"`
	Messages map[string]any `json:"messages"`
	Bindings struct {
		Kafka struct {
			Partitions int `json:"partitions"`
			Replicas   int `json:"replicas"`
			Config     struct {
				Cleanup   []string `json:"cleanup.policy"`
				Retention int64    `json:"retention.ms"`
			} `json:"topicConfiguration"`
		} `json:"kafka"`
	} `json:"bindings"`
}

type message struct {
	Name        string `json:"name"`
	ContentType string `json:"contentType"`
	Headers     any    `json:"headers"`
	Payload     struct {
		Schema struct {
			Ref string `json:"$ref"`
		} `json:"schema"`
	} `json:"payload"`
}

// readAsyncAPI reads the description, typed and as a tree.
func readAsyncAPI(t *testing.T) (asyncapi, map[string]any) {
	t.Helper()
	text, err := os.ReadFile("asyncapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var typed asyncapi
	var tree map[string]any
	if err := yaml.Unmarshal(text, &typed); err != nil {
		t.Fatalf("asyncapi.yaml: %v", err)
	}
	if err := yaml.UnmarshalStrict(text, &tree); err != nil {
		t.Fatalf("asyncapi.yaml: %v", err)
	}
	return typed, tree
}

// walk visits every key of a tree with its value.
func walk(node any, visit func(key string, value any)) {
	switch node := node.(type) {
	case map[string]any:
		for key, value := range node {
			visit(key, value)
			walk(value, visit)
		}
	case []any:
		for _, value := range node {
			walk(value, visit)
		}
	}
}

// follow resolves a reference within the tree.
func follow(tree map[string]any, ref string) (any, error) {
	var node any = tree
	for step := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		fields, _ := node.(map[string]any)
		next, ok := fields[step]
		if !ok {
			return nil, fmt.Errorf("reference %s: there is no %q", ref, step)
		}
		node = next
	}
	return node, nil
}

// attribute is the CloudEvents attribute that a header carries: ce_<name> in a
// Kafka record, ce-<name> over HTTP.
func attribute(header string) (string, bool) {
	if name, ok := strings.CutPrefix(header, "ce_"); ok {
		return name, true
	}
	return strings.CutPrefix(header, "ce-")
}

// headers visits the attributes in a tree, with what is said of their values.
func headers(tree any, visit func(name string, schema map[string]any)) {
	walk(tree, func(key string, value any) {
		name, ok := attribute(key)
		if schema, isSchema := value.(map[string]any); ok && isSchema {
			visit(name, schema)
		}
	})
}

// fixed lists, once each, the values that the description allows for an attribute.
func fixed(tree any, attribute string) []string {
	var list []string
	headers(tree, func(name string, schema map[string]any) {
		if name != attribute {
			return
		}
		if value, ok := schema["const"].(string); ok {
			list = append(list, value)
		}
		enum, _ := schema["enum"].([]any)
		for _, value := range enum {
			list = append(list, fmt.Sprint(value))
		}
	})
	slices.Sort(list)
	return slices.Compact(list)
}
