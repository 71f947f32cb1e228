package local

import (
	"testing"
	"time"
)

func TestSchedule(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.March, 1, 10, 0, 30, 0, time.UTC)
	tests := map[string]struct {
		reason         string
		text, timezone string
		want           time.Time // zero: refused
	}{
		"every minute": {reason: "five fields begin with the minute", text: "*/1 * * * *", want: now.Truncate(time.Minute).Add(time.Minute)},
		"seconds":      {reason: "six fields begin with the second", text: "*/10 * * * * *", want: now.Add(10 * time.Second)},
		"time zone":    {reason: "the hour is that of the time zone", text: "0 12 * * *", timezone: "Europe/Berlin", want: time.Date(2026, time.March, 1, 11, 0, 0, 0, time.UTC)},
		"descriptor":   {reason: "descriptors are fine", text: "@hourly", want: now.Truncate(time.Hour).Add(time.Hour)},
		"every":        {reason: "the webhook refuses @every", text: "@every 5s"},
		"empty":        {reason: "a schedule is required", text: ""},
		"four fields":  {reason: "four fields are too few", text: "* * * *"},
		"range":        {reason: "there is no minute 61", text: "61 * * * *"},
		"zone":         {reason: "there is no such zone", text: "* * * * *", timezone: "Mars/Olympus"},
	}
	for name, test := range tests {
		s, err := parseSchedule(test.text, test.timezone)
		if err != nil {
			if !test.want.IsZero() {
				t.Errorf("%s: parseSchedule(%q): %v (%s)", name, test.text, err, test.reason)
			}
			continue
		}
		if got := s.Next(now); !got.Equal(test.want) {
			t.Errorf("%s: parseSchedule(%q).Next(%s) = %s, want %s (%s)", name, test.text, now, got, test.want, test.reason)
		}
	}
}
