package config

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// environ gives the test an environment with these variables of ours and no
// others. envconfig reads the process's, so such a test cannot be parallel.
func environ(t *testing.T, spec any, set map[string]string) {
	t.Helper()
	unset := func(variable string) {
		if value, ok := os.LookupEnv(variable); ok {
			t.Setenv(variable, value) // so that it is restored afterwards
			if err := os.Unsetenv(variable); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, line := range os.Environ() {
		if variable, _, _ := strings.Cut(line, "="); strings.HasPrefix(variable, prefix+"_") {
			unset(variable)
		}
	}
	for f := range fields(prefix, reflect.ValueOf(spec).Elem()) {
		for _, variable := range f.variables() {
			unset(variable)
		}
	}
	for variable, value := range set {
		t.Setenv(variable, value)
	}
}

// mistakes lists the joined errors.
func mistakes(t *testing.T, err error) []*Mistake {
	t.Helper()
	switch e := err.(type) {
	case nil:
		return nil
	case *Mistake:
		return []*Mistake{e}
	case interface{ Unwrap() []error }:
		var all []*Mistake
		for _, part := range e.Unwrap() {
			all = append(all, mistakes(t, part)...)
		}
		return all
	}
	t.Fatalf("error %v is a %T, want a *Mistake or several joined", err, err)
	return nil
}
