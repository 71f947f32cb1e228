package local

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// unknownFields lists the fields of v, decoded JSON, that the type t does not
// have, as paths such as spec.delivery.retries. Unlike a strict decoder it
// finds all of them, says where, and does not take Retry for retry. A field of
// type any is open, and so is metadata.
func unknownFields(v any, t reflect.Type, path string) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Struct:
		object, ok := v.(map[string]any)
		if !ok || t == reflect.TypeFor[metadata]() {
			return nil // a value of the wrong type is the decoder's to report
		}
		known := make(map[string]reflect.Type, t.NumField())
		for i := range t.NumField() {
			known[t.Field(i).Tag.Get("json")] = t.Field(i).Type
		}
		var unknown []string
		for _, name := range slices.Sorted(maps.Keys(object)) {
			at := strings.TrimPrefix(path+"."+name, ".")
			if field, ok := known[name]; ok {
				unknown = append(unknown, unknownFields(object[name], field, at)...)
			} else {
				unknown = append(unknown, at)
			}
		}
		return unknown
	case reflect.Slice:
		items, _ := v.([]any)
		var unknown []string
		for i, item := range items {
			unknown = append(unknown, unknownFields(item, t.Elem(), fmt.Sprintf("%s[%d]", path, i))...)
		}
		return unknown
	}
	return nil
}
