package local

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// isoDuration is the part of ISO 8601 that Knative's delivery fields use:
// weeks, days and the time of day. Years and months have no fixed length.
var isoDuration = regexp.MustCompile(`^P(?:(\d+)W)?(?:(\d+)D)?(T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:[.,]\d{1,9})?)S)?)?$`)

// parseDuration reads an ISO 8601 duration such as PT0.3S or PT10M.
func parseDuration(s string) (time.Duration, error) {
	m := isoDuration.FindStringSubmatch(s)
	if m == nil || s == "P" || m[3] == "T" {
		return 0, fmt.Errorf("%q: want an ISO 8601 duration such as PT0.3S", s)
	}
	var sum float64 // in seconds
	for i, unit := range map[int]float64{1: 7 * 86400, 2: 86400, 4: 3600, 5: 60, 6: 1} {
		if m[i] == "" {
			continue
		}
		n, err := strconv.ParseFloat(decimalPoint(m[i]), 64)
		if err != nil {
			return 0, fmt.Errorf("%q: %w", s, err)
		}
		sum += n * unit
	}
	if sum > maxDuration.Seconds() {
		return 0, fmt.Errorf("%q: longer than %s", s, maxDuration)
	}
	// The data plane counts in milliseconds.
	return time.Duration(sum*1e6+0.5) * time.Microsecond, nil
}

// maxDuration bounds what a manifest may say, so that sums cannot overflow.
const maxDuration = 365 * 24 * time.Hour

func decimalPoint(s string) string {
	b := []byte(s)
	for i := range b {
		if b[i] == ',' {
			b[i] = '.'
		}
	}
	return string(b)
}
