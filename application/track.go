package application

import (
	"context"
	"encoding/json"
	"iter"
	"slices"
	"time"

	"kbnt.dev/virtualization/domain"
)

// Track answers how far a request is.
type Track struct {
	Records Records
	Poll    time.Duration // between two looks while somebody waits
}

// Wait returns the request as soon as it has ended, or as it is when the time is
// over.
func (t *Track) Wait(ctx context.Context, tenant, id string, wait time.Duration) (Record, error) {
	r, err := t.Records.Request(ctx, tenant, id)
	if err != nil || wait <= 0 || !r.Request.Unfinished() {
		return r, err
	}
	within, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for sleep(within, t.Poll) {
		if r, err = t.Records.Request(ctx, tenant, id); err != nil || !r.Request.Unfinished() {
			return r, err
		}
	}
	return r, ctx.Err()
}

// Follow yields the request each time it has changed, the first time at once,
// and ends after it has ended, or with an error.
func (t *Track) Follow(ctx context.Context, tenant, id string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		var told time.Time
		steps := -1
		for {
			r, err := t.Records.Request(ctx, tenant, id)
			if err != nil {
				yield(Record{}, err)
				return
			}
			if changed := len(r.Steps) != steps || r.Request.TouchedAt.After(told); changed {
				if !yield(r, nil) {
					return
				}
				told, steps = r.Request.TouchedAt, len(r.Steps)
			}
			if !r.Request.Unfinished() || !sleep(ctx, t.Poll) {
				return
			}
		}
	}
}

// Line is one of the 17 steps, for people.
type Line struct {
	Number   int
	Step     domain.Step
	Function string
	Layer    string
	Plan     []domain.Step // of step 11: the plan's own steps
}

// Timeline puts a history into the order of the list. The plan's steps become
// part of step 11, and step 6 learns from step 8 where its event was found.
func Timeline(steps []domain.Step) []Line {
	var lines []Line
	var plan []domain.Step
	for _, s := range steps {
		if _, planned := s.Name.Planned(); planned {
			plan = append(plan, s)
			continue
		}
		at := s.Name.Position()
		lines = append(lines, Line{Number: at.Number, Step: s, Function: at.Function, Layer: at.Layer})
	}
	slices.SortFunc(lines, func(a, b Line) int { return a.Number - b.Number })
	for i := range lines {
		switch lines[i].Step.Name {
		case domain.ResourceProvisioned:
			lines[i].Plan = plan
		case domain.PublicationConfirmed:
			lines[i].Step.Detail = located(lines[i].Step.Detail, steps)
		}
	}
	return lines
}

func located(detail json.RawMessage, steps []domain.Step) json.RawMessage {
	i := slices.IndexFunc(steps, func(s domain.Step) bool { return s.Name == domain.MessageConsumed })
	if i < 0 {
		return detail
	}
	var confirmed, consumed map[string]any
	if json.Unmarshal(detail, &confirmed) != nil || json.Unmarshal(steps[i].Detail, &consumed) != nil {
		return detail
	}
	for _, k := range []string{"partition", "offset"} {
		if v, ok := consumed[k]; ok {
			confirmed[k] = v
		}
	}
	merged, err := json.Marshal(confirmed)
	if err != nil {
		return detail
	}
	return merged
}
