package function

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// stubborn is a function that takes its time to stop.
type stubborn struct {
	Function
	takes time.Duration
	err   error
}

func (s stubborn) Stop(context.Context) error {
	time.Sleep(s.takes)
	return s.err
}

func TestStopEndsInTime(t *testing.T) {
	t.Parallel()
	trouble := errors.New("the store is not closed")
	cases := map[string]struct {
		reason string
		takes  time.Duration
		err    error
		want   string // of the error; empty: none
	}{
		"at once":   {"the usual one", 0, nil, ""},
		"in time":   {"transactions come to their end", 29 * time.Second, nil, ""},
		"trouble":   {"main prints it", 0, trouble, "the store is not closed"},
		"too long":  {"Kubernetes would kill the process, and nobody would know why", time.Hour, nil, "did not stop within 30s"},
		"and fails": {"what comes later is of no use", time.Hour, trouble, "did not stop within 30s"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				err := instance{stubborn{takes: c.takes, err: c.err}, slog.New(slog.DiscardHandler)}.Stop(ctx)
				if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
					t.Errorf("Stop() of a function that takes %s: %v, want %q (%s)", c.takes, err, c.want, c.reason)
				}
				time.Sleep(c.takes) // what was given up on ends, too
			})
		})
	}
}
