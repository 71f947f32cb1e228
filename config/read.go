package config

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kelseyhightower/envconfig"
)

// prefix of all our own variables.
const prefix = "KBNT"

// checker is a struct with rules between its fields. check is called after all
// fields were read; a mistake in it names both variables.
type checker interface{ check() []*Mistake }

// read fills the struct that spec points to from the environment. It returns
// every mistake, joined; then the struct is of no use.
func read(spec any) error {
	var single, between []*Mistake
	for f := range fields(prefix, reflect.ValueOf(spec).Elem()) {
		single = append(single, f.read()...)
	}
	if c, ok := spec.(checker); ok {
		between = c.check()
	}
	return join(single, between)
}

// read sets the field. envconfig stops at the first mistake in a struct, so it
// is given a struct of this one field, under the name that was found to be set.
func (f field) read() []*Mistake {
	variable, value, _ := f.lookup()
	if strings.HasPrefix(strings.TrimSpace(value), "{{") {
		return f.mistake("the value itself: only func deploy replaces a reference to a Secret or a ConfigMap, func run takes it as it stands; give it the value with -e")
	}
	tag := reflect.StructTag(fmt.Sprintf("envconfig:%q default:%q required:%q", cmp.Or(variable, unset), f.tag.Get("default"), f.tag.Get("required")))
	one := reflect.New(reflect.StructOf([]reflect.StructField{{Name: f.key, Type: f.value.Type(), Tag: tag}}))
	if err := envconfig.Process("", one.Interface()); err != nil {
		if wrong, ok := errors.AsType[*envconfig.ParseError](err); ok { // which does not unwrap
			if all, ok := errors.AsType[faults](wrong.Err); ok {
				return f.mistakes(all)
			}
		}
		return f.mistake(f.want(err))
	}
	f.value.Set(one.Elem().Field(0))
	if low, high := f.bounds(); !within(f.value, low, high) {
		return f.mistake(f.span())
	}
	return nil
}

// unset is a name that no variable can have.
const unset = "="

// mistakes are those in the file that the variable names.
func (f field) mistakes(all faults) (wrong []*Mistake) {
	for _, one := range all {
		m := f.mistake(one.want)[0]
		if m.Place = one.place(); one.value != "" {
			m.Place += fmt.Sprintf("=%q", one.value)
		}
		wrong = append(wrong, m)
	}
	return wrong
}

// mistake is about the value that envconfig took.
func (f field) mistake(want string) []*Mistake {
	m := &Mistake{Variable: f.name, Value: f.tag.Get("default"), Want: want}
	if variable, value, ok := f.lookup(); ok {
		m.Variable, m.Value = variable, value
	}
	if c, ok := f.value.Interface().(confidential); ok {
		m.Value = c.hide(m.Value)
	}
	return []*Mistake{m}
}

// confidential is a type whose values may hold a secret. hide is what a mistake
// shows of one that was refused.
type confidential interface{ hide(refused string) string }

// lookup is the first of the field's variables that is set to something.
func (f field) lookup() (variable, value string, ok bool) {
	for _, variable := range f.variables() {
		if value := os.Getenv(variable); value != "" {
			return variable, value, true
		}
	}
	return "", "", false
}

// given is the value that is set, nothing if there is none.
func (f field) given() string {
	_, value, _ := f.lookup()
	return value
}

// want says what would have been right. Our own types say it themselves.
func (f field) want(err error) string {
	wrong, parsed := errors.AsType[*envconfig.ParseError](err)
	decoder, ours := f.value.Addr().Interface().(envconfig.Decoder)
	switch {
	case !parsed && ours: // it is missing: nothing is wrong in the same way, and says what would be right
		if err := decoder.Decode(""); err != nil {
			return err.Error() + "; there is no default"
		}
		return "a value: there is no default"
	case !parsed:
		return "a value: there is no default"
	case ours:
		return wrong.Err.Error()
	}
	form := ""
	switch f.value.Interface().(type) {
	case slog.Level:
		return "DEBUG, INFO, WARN or ERROR"
	case time.Duration:
		form = "a duration with its unit, such as 500ms, 20s or 10m"
	case bool:
		return "true or false"
	default:
		form = "a number"
		if f.value.CanInt() || f.value.CanUint() {
			form = "a whole number"
		}
	}
	if span := f.span(); span != "" {
		form += ", " + span
	}
	return form
}

// bounds are those of the tags min and max. A tag that cannot be read is a
// mistake in the program, which the tests of the package find.
func (f field) bounds() (low, high float64) {
	bound := func(name string, otherwise float64) float64 {
		text, ok := f.tag.Lookup(name)
		if !ok {
			return otherwise
		}
		if d, err := time.ParseDuration(text); err == nil && f.value.Type() == reflect.TypeFor[time.Duration]() {
			return float64(d)
		}
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			panic(fmt.Sprintf("config: %s of %s: %v", name, f.name, err))
		}
		return n
	}
	return bound("min", math.Inf(-1)), bound("max", math.Inf(1))
}

// within reports whether a number lies between two others; NaN never does. What
// is no number is always within.
func within(v reflect.Value, low, high float64) bool {
	n := 0.0
	switch {
	case v.CanInt():
		n = float64(v.Int())
	case v.CanUint():
		n = float64(v.Uint())
	case v.CanFloat():
		n = v.Float()
	default:
		return true
	}
	return low <= n && n <= high
}

// span says the bounds in words, nothing if there are none.
func (f field) span() string {
	low, least := f.tag.Lookup("min")
	high, most := f.tag.Lookup("max")
	switch {
	case least && most:
		return low + " to " + high
	case least:
		return low + " or more"
	case most:
		return high + " or less"
	}
	return ""
}

// unknown finds variables of ours that no field of spec reads: a name that was
// mistyped would otherwise silently mean the default.
func unknown(spec any, environ []string) []*Mistake {
	var known []string
	for f := range fields(prefix, reflect.ValueOf(spec).Elem()) {
		known = append(known, f.variables()...)
	}
	var strange []*Mistake
	for _, line := range environ {
		variable, value, _ := strings.Cut(line, "=")
		if strings.HasPrefix(variable, prefix+"_") && value != "" && !slices.Contains(known, variable) {
			strange = append(strange, &Mistake{Variable: variable, Value: value, Want: "a variable that exists: nothing reads this one"})
		}
	}
	return strange
}
