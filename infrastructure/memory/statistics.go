package memory

import (
	"context"
	"slices"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// stuckAfter is how long past its deadline an undecided request is stuck.
const stuckAfter = 10 * time.Minute

// Census implements [application.Statistics].
func (s *Store) Census(ctx context.Context) (application.Census, error) {
	leave, err := s.enter(ctx, "Census")
	if err != nil {
		return application.Census{}, err
	}
	defer leave()
	c := application.Census{Live: map[domain.ResourceKind]int{}, Queue: map[domain.Priority]int{}, DeadLetters: map[string]int{}, Now: s.now()}
	for _, r := range s.resources {
		switch r.State {
		case domain.Running, domain.Stopped, domain.Allocated, domain.Active:
			if r.Live {
				c.Live[r.Kind]++
			}
		}
		end := c.Now
		if !r.Live {
			end = r.UpdatedAt
		}
		c.Cost += domain.Accrued(r.Cost, end.Sub(r.CreatedAt))
	}
	for _, r := range s.requests {
		if r.Decided == domain.Undecided && c.Now.After(r.DeadlineAt.Add(stuckAfter)) {
			c.Stuck++
		}
		if !r.Unfinished() {
			continue
		}
		c.Queue[r.Priority]++
		if r.Phase == domain.PhaseValidated || r.Phase == domain.PhasePublished {
			c.Waiting++
			if c.OldestSince.IsZero() || r.AcceptedAt.Before(c.OldestSince) {
				c.OldestSince = r.AcceptedAt
			}
		}
	}
	for _, d := range s.letters {
		if d.State == application.LetterOpen {
			c.DeadLetters[d.Reason]++
		}
	}
	return c, nil
}

// Durations implements [application.Statistics].
func (s *Store) Durations(ctx context.Context, t domain.RequestType, n int) ([]time.Duration, error) {
	leave, err := s.enter(ctx, "Durations")
	if err != nil {
		return nil, err
	}
	defer leave()
	var done []*domain.Request
	for _, r := range s.requests {
		if r.Type == t && r.Decided == domain.Completed {
			done = append(done, r)
		}
	}
	slices.SortFunc(done, func(a, b *domain.Request) int { return newest(a.DecidedAt, b.DecidedAt, a.MessageID, b.MessageID) })
	var took []time.Duration
	for _, r := range done[:min(max(n, 0), len(done))] {
		took = append(took, r.DecidedAt.Sub(r.AcceptedAt))
	}
	return took, nil
}
