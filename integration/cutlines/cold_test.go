//go:build integration

package cutlines

import (
	"fmt"
	"testing"
)

// A life that begins without connections, and at intake with an empty database: what
// is cut now are sessions that begin, tables that are made and statements that are
// prepared.
func TestEveryAnswerLostAtTheBeginning(t *testing.T) {
	t.Parallel()
	server(t)
	var tests []subtest
	for _, line := range []string{provToStore, intakeToStore, notifyToStore} {
		for how := range cuts {
			c := chain{"create", line, how}
			tests = append(tests, subtest{c.String(), func(t *testing.T) { fromTheBeginning(t, c) }})
		}
	}
	together(t, tests)
}

// fromTheBeginning lives all lives of a chain, each on a platform of its own.
func fromTheBeginning(t *testing.T, c chain) {
	url := server(t).Schema(t)
	for n, fired := 1, true; fired; n++ {
		sound := t.Run(fmt.Sprint(n), func(t *testing.T) {
			if c.line == intakeToStore {
				url = server(t).Schema(t)
			}
			p := start(t, setting{url: url})
			var err error
			if fired, err = p.live(t.Context(), c, n); err != nil {
				t.Errorf("cut at the %d. exchange: %v", n, err)
			}
		})
		if !sound || n == mostAnswersEver {
			t.Fatalf("stopped at the %d. exchange", n)
		}
		if !fired {
			t.Logf("%d exchanges were cut", n-1)
		}
	}
}
