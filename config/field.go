package config

import (
	"fmt"
	"iter"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/kelseyhightower/envconfig"
)

// field is one variable: a field of a struct, or of a struct within it.
type field struct {
	name   string // as documented: KBNT_QUOTA_MACHINES, KAFKA_BROKERS
	prefix string // KBNT_QUOTA
	key    string // MACHINES
	tag    reflect.StructTag
	value  reflect.Value // addressable
}

// fields yields the variables of a struct in the order of its fields. A struct
// within it that does not read itself groups variables: its name goes before
// theirs, unless it is embedded.
func fields(prefix string, s reflect.Value) iter.Seq[field] {
	return func(yield func(field) bool) { walk(prefix, s, yield) }
}

func walk(prefix string, s reflect.Value, yield func(field) bool) bool {
	for i := range s.NumField() {
		t, v := s.Type().Field(i), s.Field(i)
		f := field{prefix: prefix, key: words(t.Name), tag: t.Tag, value: v}
		f.name = prefix + "_" + f.key
		if bare := t.Tag.Get("envconfig"); bare != "" {
			f.name = bare
		}
		if _, whole := v.Addr().Interface().(envconfig.Decoder); t.Type.Kind() == reflect.Struct && !whole {
			group := f.name
			if t.Anonymous {
				group = prefix
			}
			if !walk(group, v, yield) {
				return false
			}
			continue
		}
		if !yield(f) {
			return false
		}
	}
	return true
}

// variables are the names by which the field can be set; the first one wins.
func (f field) variables() []string {
	if bare := f.tag.Get("envconfig"); bare != "" {
		return []string{f.prefix + "_" + bare, bare}
	}
	return []string{f.name}
}

// words turns the name of a field into that of a variable: MaxAttempts is
// MAX_ATTEMPTS, and OIDCIssuer would be OIDC_ISSUER.
func words(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		starts := i > 0 && unicode.IsUpper(r) &&
			(!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))
		if starts {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String()
}

// required reports whether there is no default.
func (f field) required() bool { return f.tag.Get("required") == "true" }

// Variables are the names of a struct of this package, given by pointer, as the
// documentation has them.
func Variables(spec any) []string { return names(spec, func(field) bool { return true }) }

// Required are those of [Variables] without which the struct cannot be read.
func Required(spec any) []string { return names(spec, field.required) }

func names(spec any, which func(field) bool) (all []string) {
	for f := range fields(prefix, reflect.ValueOf(spec).Elem()) {
		if which(f) {
			all = append(all, f.name)
		}
	}
	return all
}

// settings shows a struct to slog, by the names of its variables.
func settings(spec any) slog.Value {
	var attrs []slog.Attr
	for f := range fields(prefix, reflect.ValueOf(spec).Elem()) {
		attrs = append(attrs, slog.String(f.name, fmt.Sprint(f.value.Interface())))
	}
	return slog.GroupValue(attrs...)
}

// Table documents a struct of this package, given by pointer, in Markdown: one
// row per variable with its default and its meaning. Variables of the structs
// named after it are left out: another table has them.
func Table(spec any, without ...any) string {
	var elsewhere []string
	for _, other := range without {
		elsewhere = append(elsewhere, Variables(other)...)
	}
	var b strings.Builder
	b.WriteString("| variable | default | meaning |\n|---|---|---|\n")
	for f := range fields(prefix, reflect.ValueOf(spec).Elem()) {
		if slices.Contains(elsewhere, f.name) {
			continue
		}
		fallback := f.tag.Get("default")
		switch {
		case f.required():
			fallback = "required"
		case fallback != "":
			fallback = "`" + fallback + "`"
		}
		meaning := f.tag.Get("desc")
		if span := f.span(); span != "" {
			meaning += " (" + span + ")"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.name, fallback, strings.ReplaceAll(meaning, "|", `\|`))
	}
	return b.String()
}
