package local

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		want time.Duration
		ok   bool
	}{
		"PT0.3S":    {300 * time.Millisecond, true},
		"PT0,25S":   {250 * time.Millisecond, true},
		"PT600S":    {10 * time.Minute, true},
		"PT1H2M3S":  {time.Hour + 2*time.Minute + 3*time.Second, true},
		"P1DT1S":    {24*time.Hour + time.Second, true},
		"P1W":       {7 * 24 * time.Hour, true},
		"PT0S":      {0, true},
		"":          {},
		"P":         {},
		"PT":        {},
		"P1DT":      {},
		"300ms":     {},
		"PT-1S":     {},
		"P1M":       {},
		"PT1S ":     {},
		"PT999999H": {},
	}
	for text, test := range tests {
		got, err := parseDuration(text)
		if got != test.want || (err == nil) != test.ok {
			t.Errorf("parseDuration(%q) = %s, %v, want %s, ok %t", text, got, err, test.want, test.ok)
		}
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reason   string
		delivery delivery
		want     []time.Duration // of retry 1, 2, 3
	}{
		"exponential": {
			reason:   "delay*2^n with n from 1: the first wait is two delays",
			delivery: delivery{delay: 100 * time.Millisecond},
			want:     []time.Duration{200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond},
		},
		"linear": {
			reason:   "delay*n",
			delivery: delivery{delay: 100 * time.Millisecond, linear: true},
			want:     []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 300 * time.Millisecond},
		},
		"none": {
			reason:   "a delay of zero waits for nothing",
			delivery: delivery{},
			want:     []time.Duration{0, 0, 0},
		},
	}
	for name, test := range tests {
		for i, want := range test.want {
			if got := test.delivery.backoff(i + 1); got != want {
				t.Errorf("%s: backoff(%d) = %s, want %s (%s)", name, i+1, got, want, test.reason)
			}
		}
	}
	if got := (delivery{delay: time.Hour}).backoff(1000); got != maxDuration {
		t.Errorf("backoff(1000) of an hour = %s, want the bound %s: it must not overflow", got, maxDuration)
	}
}

// The waits of a KafkaSource without a delivery block add up to what KafkaSource
// documents as ten minutes: 0.3 s * (2 + 4 + ... + 1024).
func TestDefaultBackoffSum(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		delivery delivery
		want     time.Duration
	}{
		"KafkaSource": {sourceDelivery, 613_800 * time.Millisecond},
		"Broker":      {brokerDelivery, 409_200 * time.Millisecond},
		"PingSource":  {pingDelivery, 3_100 * time.Millisecond},
	} {
		var sum time.Duration
		for n := range test.delivery.retries {
			sum += test.delivery.backoff(n + 1)
		}
		if sum != test.want {
			t.Errorf("%s: the default backoffs add up to %s, want %s", name, sum, test.want)
		}
	}
}
