package local

import (
	"strings"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
)

// filter says whether a Trigger wants an event.
type filter func(*event.Event) bool

// filters reads what a Trigger filters by. Filters, unless empty, replace
// filter; the list means all of them.
func (p *parser) filters(o object, spec triggerSpec) filter {
	if len(spec.Filters) > 0 {
		return allOf(p.filterList(o, "spec.filters", spec.Filters))
	}
	if spec.Filter != nil {
		return attributes(spec.Filter.Attributes, func(got, want string) bool { return got == want })
	}
	return allOf(nil)
}

func (p *parser) filterList(o object, field string, specs []filterSpec) []filter {
	list := make([]filter, len(specs))
	for i, spec := range specs {
		list[i] = p.dialect(o, field, spec)
	}
	return list
}

// dialect reads one filter, which must use exactly one dialect.
func (p *parser) dialect(o object, field string, spec filterSpec) filter {
	var found []filter
	if spec.Exact != nil {
		found = append(found, attributes(spec.Exact, func(got, want string) bool { return got == want }))
	}
	if spec.Prefix != nil {
		found = append(found, attributes(spec.Prefix, strings.HasPrefix))
	}
	if spec.Suffix != nil {
		found = append(found, attributes(spec.Suffix, strings.HasSuffix))
	}
	if spec.All != nil {
		found = append(found, allOf(p.filterList(o, field+".all", spec.All)))
	}
	if spec.Any != nil {
		found = append(found, anyOf(p.filterList(o, field+".any", spec.Any)))
	}
	if spec.Not != nil {
		inner := p.dialect(o, field+".not", *spec.Not)
		found = append(found, func(e *event.Event) bool { return !inner(e) })
	}
	if spec.CESQL != "" {
		p.problem(o, field, "cesql is not played: use exact, prefix, suffix, all, any or not")
		return allOf(nil)
	}
	if len(found) != 1 {
		p.problem(o, field, "a filter has %d dialects, want one of exact, prefix, suffix, all, any, not", len(found))
		return allOf(nil)
	}
	return found[0]
}

func allOf(filters []filter) filter {
	return func(e *event.Event) bool {
		for _, f := range filters {
			if !f(e) {
				return false
			}
		}
		return true
	}
}

func anyOf(filters []filter) filter {
	return func(e *event.Event) bool {
		for _, f := range filters {
			if f(e) {
				return true
			}
		}
		return false
	}
}

// attributes matches every attribute with a value to want; empty ones are
// ignored, as the data plane does. An attribute that the event lacks is empty.
func attributes(want map[string]string, match func(got, want string) bool) filter {
	return func(e *event.Event) bool {
		for name, value := range want {
			if value != "" && !match(attribute(e, name), value) {
				return false
			}
		}
		return true
	}
}

// attribute is the text of an attribute or extension of an event.
func attribute(e *event.Event, name string) string {
	switch name {
	case "specversion":
		return e.SpecVersion()
	case "id":
		return e.ID()
	case "type":
		return e.Type()
	case "source":
		return e.Source()
	case "subject":
		return e.Subject()
	case "datacontenttype":
		return e.DataContentType()
	case "dataschema", "schemaurl":
		return e.DataSchema()
	case "time":
		if e.Time().IsZero() {
			return ""
		}
		return types.FormatTime(e.Time())
	}
	value, present := e.Extensions()[name]
	if !present {
		return ""
	}
	text, err := types.Format(value)
	if err != nil {
		return ""
	}
	return text
}
