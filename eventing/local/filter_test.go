package local

import (
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/cloudevents/sdk-go/v2/event"
)

func TestFilters(t *testing.T) {
	t.Parallel()
	e := event.New()
	e.SetID("1")
	e.SetType("dev.kbnt.virtualization.completed")
	e.SetSource("/kbnt/virtualization/notify")
	e.SetSubject("VM-1")
	e.SetExtension("priority", "HIGH")
	e.SetExtension("attempt", 3)

	tests := map[string]struct {
		reason string
		spec   string
		want   bool
	}{
		"none":                {"no filter wants everything", `{}`, true},
		"attribute":           {"equal attributes match", `{filter: {attributes: {type: dev.kbnt.virtualization.completed}}}`, true},
		"attribute differs":   {"others do not", `{filter: {attributes: {type: dev.kbnt}}}`, false},
		"attributes are and":  {"all attributes must match", `{filter: {attributes: {subject: VM-1, priority: LOW}}}`, false},
		"extension":           {"extensions are attributes", `{filter: {attributes: {priority: HIGH, attempt: "3"}}}`, true},
		"empty value":         {"an empty value is ignored", `{filter: {attributes: {type: "", missing: ""}}}`, true},
		"missing":             {"a missing attribute matches no value", `{filter: {attributes: {tenantid: x}}}`, false},
		"filters win":         {"filters override filter", `{filter: {attributes: {type: x}}, filters: [{exact: {subject: VM-1}}]}`, true},
		"empty filters":       {"an empty list overrides nothing", `{filter: {attributes: {type: x}}, filters: []}`, false},
		"prefix":              {"prefix matches the beginning", `{filters: [{prefix: {type: dev.kbnt.}}]}`, true},
		"prefix of missing":   {"a missing attribute has no prefix", `{filters: [{prefix: {tenantid: x}}]}`, false},
		"suffix":              {"suffix matches the end", `{filters: [{suffix: {type: .completed}}]}`, true},
		"list is and":         {"a list means all", `{filters: [{suffix: {type: .completed}}, {exact: {priority: LOW}}]}`, false},
		"any":                 {"any means one", `{filters: [{any: [{exact: {priority: LOW}}, {exact: {priority: HIGH}}]}]}`, true},
		"any of nothing":      {"any of an empty list matches nothing", `{filters: [{any: []}]}`, false},
		"all":                 {"all means each", `{filters: [{all: [{exact: {subject: VM-1}}, {prefix: {type: dev}}]}]}`, true},
		"not":                 {"not turns round", `{filters: [{not: {exact: {priority: LOW}}}]}`, true},
		"not of a match":      {"not turns round", `{filters: [{not: {exact: {priority: HIGH}}}]}`, false},
		"specversion":         {"specversion is an attribute", `{filters: [{exact: {specversion: "1.0"}}]}`, true},
		"time absent":         {"an absent time is empty", `{filters: [{prefix: {time: "0"}}]}`, false},
		"datacontenttype":     {"an absent content type is empty", `{filters: [{exact: {datacontenttype: application/json}}]}`, false},
		"nested deep":         {"dialects nest", `{filters: [{not: {any: [{all: [{exact: {subject: VM-2}}]}]}}]}`, true},
		"source, exact value": {"source is compared as text", `{filters: [{exact: {source: /kbnt/virtualization/notify}}]}`, true},
	}
	for name, test := range tests {
		var spec triggerSpec
		if err := yaml.UnmarshalStrict([]byte(test.spec), &spec); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		p := &parser{m: new(Manifests)}
		f := p.filters(object{}, spec)
		if len(p.errs) > 0 {
			t.Errorf("%s: filters(%s): %v", name, test.spec, p.errs)
		}
		if got := f(&e); got != test.want {
			t.Errorf("%s: filter %s wants the event: %t, want %t (%s)", name, test.spec, got, test.want, test.reason)
		}
	}
}
