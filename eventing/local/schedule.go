package local

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// schedule says when a PingSource ticks next.
type schedule interface {
	Next(time.Time) time.Time
}

// parseSchedule reads a PingSource's schedule as its webhook does: five cron
// fields, optionally preceded by seconds, or a descriptor such as @hourly, in a
// time zone. @every is refused there and here.
func parseSchedule(text, timezone string) (schedule, error) {
	if strings.HasPrefix(text, "@every") {
		return nil, fmt.Errorf("%q: @every is refused by PingSource: write cron fields", text)
	}
	spec := text
	if timezone != "" {
		spec = "CRON_TZ=" + timezone + " " + text
	}
	parser := cron.NewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)
	s, err := parser.Parse(spec)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", text, err)
	}
	return s, nil
}

// every is the schedule that replaces a PingSource's on a laptop.
type every time.Duration

func (e every) Next(now time.Time) time.Time { return now.Add(time.Duration(e)) }
