package domain

import (
	"regexp"
	"sync"
)

// pattern compiles an expression when it is first needed. Compiled when the
// process starts, those of the domain were a tenth of what a cold start adds to
// a bare net/http server (measured 2026-11), for functions that use none of them.
func pattern(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}
