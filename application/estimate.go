package application

import (
	"context"
	"slices"
	"sync"
	"time"

	"kbnt.dev/virtualization/domain"
)

// Estimates tells how long a request will probably take: the 90th percentile of
// the last completed ones of its type, before there are any the operator's
// default. It is asked at every request and looks into the store rarely.
type Estimates struct {
	Statistics Statistics
	Offer      domain.Offer
	Clock      Clock

	mu    sync.Mutex
	known map[domain.RequestType]estimate
}

type estimate struct {
	took time.Duration
	at   time.Time
}

const (
	estimateFrom  = 100              // completed requests looked at
	estimateFresh = 10 * time.Second // how long one look serves
)

// Of returns the estimate, at least one second, in whole seconds. Trouble with
// the store gives the last known one, or the default: an estimate is never a
// reason to refuse a request.
func (e *Estimates) Of(ctx context.Context, t domain.RequestType) time.Duration {
	now := e.Clock()
	e.mu.Lock()
	have, ok := e.known[t]
	if !ok {
		have.took = e.Offer.Estimate[t.Kind()]
	}
	if e.known == nil {
		e.known = map[domain.RequestType]estimate{}
	}
	fresh := ok && now.Sub(have.at) < estimateFresh
	e.known[t] = estimate{have.took, now} // the others need not look as well
	e.mu.Unlock()
	if fresh {
		return have.took
	}

	past, err := e.Statistics.Durations(ctx, t, estimateFrom)
	if err != nil || len(past) == 0 {
		return have.took
	}
	took := percentile90(past)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.known[t] = estimate{took, now}
	return took
}

func percentile90(past []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(past))
	p90 := sorted[(len(sorted)*9+9)/10-1]
	return max((p90 + time.Second - 1).Truncate(time.Second), time.Second)
}
