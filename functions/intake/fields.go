package intake

import (
	"encoding/json"
	"slices"
)

// fields takes the members of one object out of the tree, one by one, and
// complains about those of a wrong type and those that nobody took.
type fields struct {
	pointer string
	object  *object
	taken   []string
	*complaints
}

// open makes the members of n ready to be taken. A missing n (nil) has none.
func open(n *node, c *complaints) fields {
	f := fields{object: &object{}, complaints: c}
	if n == nil {
		return f
	}
	f.pointer = n.pointer
	if o, ok := n.value.(*object); ok {
		f.object = o
	} else {
		f.wrongType(n, "an object")
	}
	return f
}

func (f *fields) wrongType(n *node, want string) {
	hint := ""
	if n.value == nil {
		hint = "; leave the field out instead"
	}
	f.add(n.pointer, "wrong-type", "is %s, not %s%s", n.kind(), want, hint)
}

// take returns a member, nil when it is missing.
func (f *fields) take(key string) *node {
	f.taken = append(f.taken, key)
	return f.object.members[key]
}

// done complains about every member that was not taken.
func (f *fields) done() {
	for _, key := range f.object.keys {
		if !slices.Contains(f.taken, key) {
			f.add(f.object.members[key].pointer, "unknown-field", "is no field here")
		}
	}
}

// text takes a string, "" when it is missing.
func (f *fields) text(key string) (s string, given *node) {
	n := f.take(key)
	if n == nil {
		return "", nil
	}
	s, ok := n.value.(string)
	if !ok {
		f.wrongType(n, "a string")
		return "", nil
	}
	return s, n
}

// number takes a number, "" when it is missing.
func (f *fields) number(key string) (v json.Number, given *node) {
	n := f.take(key)
	if n == nil {
		return "", nil
	}
	v, ok := n.value.(json.Number)
	if !ok {
		f.wrongType(n, "a number")
		return "", nil
	}
	return v, n
}

// either takes a member that may be a string or a number.
func (f *fields) either(key string) *node {
	n := f.take(key)
	if n == nil {
		return nil
	}
	switch n.value.(type) {
	case string, json.Number:
		return n
	}
	f.wrongType(n, "a string or a number")
	return nil
}

// texts takes an array of strings.
func (f *fields) texts(key string) (all []string, given *node) {
	n := f.take(key)
	if n == nil {
		return nil, nil
	}
	items, ok := n.value.([]*node)
	if !ok {
		f.wrongType(n, "an array of strings")
		return nil, nil
	}
	for _, item := range items {
		s, ok := item.value.(string)
		if !ok {
			f.wrongType(item, "a string")
			continue
		}
		all = append(all, s)
	}
	return all, n
}
