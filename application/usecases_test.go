package application_test

import (
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
)

// An event may not be sent by two functions at once only because a sink is slow.
func TestNewWaitsLongerThanASending(t *testing.T) {
	t.Parallel()
	for sendFor, want := range map[time.Duration]time.Duration{0: 5 * time.Second, 2 * time.Second: 5 * time.Second, 20 * time.Second: 40 * time.Second} {
		u := application.New("notify", application.Ports{}, application.Tunables{SendFor: sendFor})
		if u.Unsent != want || u.Sweep.Unsent != want {
			t.Errorf("SendFor %s: others send after %s (the sweep after %s), want %s", sendFor, u.Unsent, u.Sweep.Unsent, want)
		}
	}
	if u := application.New("notify", application.Ports{}, application.Tunables{Unsent: time.Hour}); u.Unsent != time.Hour {
		t.Errorf("Unsent set to 1h: %s, want it kept", u.Unsent)
	}
}
