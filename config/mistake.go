package config

import (
	"errors"
	"fmt"
	"slices"
)

// Mistake is one variable that cannot be used as it is. Reading joins all of
// them into one error, a line each; errors.As finds the first.
type Mistake struct {
	Variable string // KBNT_ADDR
	Value    string // as set, or its default; *** for a secret
	Place    string // where in the file that Value names, and what is there: line 3, tenants.acme.cores="many"; empty: it is about Value itself
	Want     string // completes the sentence "want ...", with the reason where it is no matter of form

	with string // another variable that it contradicts, if that is the mistake
}

// Error is, for example, KBNT_MAX_ATTEMPTS="0": want 1 to 30.
func (m *Mistake) Error() string {
	if m.Place != "" {
		return fmt.Sprintf("%s=%q, %s: want %s", m.Variable, m.Value, m.Place, m.Want)
	}
	return fmt.Sprintf("%s=%q: want %s", m.Variable, m.Value, m.Want)
}

// join makes one error of the mistakes in single variables and those between
// two. The latter count only when both variables are right by themselves: what
// a wrong one contradicts is not known yet.
func join(single, between []*Mistake) error {
	wrong := func(variable string) bool {
		return slices.ContainsFunc(single, func(m *Mistake) bool { return m.Variable == variable })
	}
	var all []error
	for _, m := range single {
		all = append(all, m)
	}
	for _, m := range between {
		if !wrong(m.Variable) && !wrong(m.with) {
			all = append(all, m)
		}
	}
	return errors.Join(all...)
}
