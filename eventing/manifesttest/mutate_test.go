package manifesttest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// gone, as a value, deletes the field.
type gone struct{}

// mutation makes a good object wrong in one place.
type mutation struct {
	reason string // the rule that it breaks
	at     string // spec.rules[0].verbs; a name with dots is in quotes
	put    any    // JSON, with int64 for numbers
	want   string // in the mistake that has to be found
	only   string // name of the object, if the mutation makes sense for one alone
}

// apply changes a copy of the object.
func (m mutation) apply(t *testing.T, o object) object {
	t.Helper()
	changed := o.copy()
	if err := put(changed.Object, steps(m.at), m.put); err != nil {
		t.Fatalf("%s: cannot put %v at %s: %v", o, m.put, m.at, err)
	}
	return changed
}

// steps splits a path: metadata."a.b/c"[0] is metadata, a.b/c, 0.
func steps(path string) (list []any) {
	for path != "" {
		switch path[0] {
		case '.':
			path = path[1:]
		case '"':
			name, rest, _ := strings.Cut(path[1:], `"`)
			list, path = append(list, name), rest
		case '[':
			index, rest, _ := strings.Cut(path[1:], "]")
			n, err := strconv.Atoi(index)
			if err != nil {
				n = -1 // out of every range
			}
			list, path = append(list, n), rest
		default:
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			list, path = append(list, path[:end]), path[end:]
		}
	}
	return list
}

// put sets what the steps lead to. Maps on the way are made, lists are not.
func put(tree any, path []any, value any) error {
	switch step := path[0].(type) {
	case string:
		fields, ok := tree.(map[string]any)
		switch _, remove := value.(gone); {
		case !ok:
			return fmt.Errorf("%q: its parent is no map", step)
		case len(path) == 1 && remove:
			if _, there := fields[step]; !there {
				return fmt.Errorf("%q is not there", step)
			}
			delete(fields, step)
		case len(path) == 1:
			fields[step] = value
		default:
			if fields[step] == nil {
				fields[step] = map[string]any{}
			}
			return put(fields[step], path[1:], value)
		}
	case int:
		list, ok := tree.([]any)
		switch {
		case !ok || step < 0 || step >= len(list):
			return fmt.Errorf("there is no element %d", step)
		case len(path) == 1:
			list[step] = value
		default:
			return put(list[step], path[1:], value)
		}
	}
	return nil
}
