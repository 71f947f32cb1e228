package memory

import (
	"context"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// Bury implements [application.Graveyard].
func (s *Store) Bury(ctx context.Context, d application.DeadLetter, event *application.Event) error {
	leave, err := s.enter(ctx, "Bury")
	if err != nil {
		return err
	}
	defer leave()
	now := s.now()
	if d.At.IsZero() {
		d.At = now
	}
	if s.bury(d) && event != nil {
		s.post(application.Outgoing{Event: *event, ArmedAt: now})
	}
	return nil
}

// bury stores a letter. One that is stored stays as it is, unless it was resumed,
// which then did not help: it is open again.
func (s *Store) bury(d application.DeadLetter) (isNew bool) {
	if stored, ok := s.letters[d.ID]; ok {
		if stored.State == application.LetterResumed {
			stored.State, stored.ResumedAs, stored.At = application.LetterOpen, "", d.At
		}
		return false
	}
	if d.State == "" {
		d.State = application.LetterOpen
	}
	d = keptLetter(d)
	s.letters[d.ID] = &d
	return true
}

// DeadLetters implements [application.Graveyard].
func (s *Store) DeadLetters(ctx context.Context, tenant string, limit int, cursor string) ([]application.DeadLetter, error) {
	leave, err := s.enter(ctx, "DeadLetters")
	if err != nil {
		return nil, err
	}
	defer leave()
	var found []*application.DeadLetter
	for _, d := range s.letters {
		if tenant == "" || d.Tenant == tenant {
			found = append(found, d)
		}
	}
	last := s.letters[cursor]
	if last != nil && tenant != "" && last.Tenant != tenant {
		last = nil
	}
	after := func(a, b *application.DeadLetter) int { return newest(a.At, b.At, a.ID, b.ID) }
	var page []application.DeadLetter
	for _, d := range cut(found, last, cursor, limit, after) {
		page = append(page, copyLetter(d))
	}
	return page, nil
}

// DeadLetter implements [application.Graveyard].
func (s *Store) DeadLetter(ctx context.Context, id string) (application.DeadLetter, error) {
	leave, err := s.enter(ctx, "DeadLetter")
	if err != nil {
		return application.DeadLetter{}, err
	}
	defer leave()
	d, ok := s.letters[id]
	if !ok {
		return application.DeadLetter{}, refuse("DeadLetter", domain.NotFound, "no such dead letter")
	}
	return copyLetter(d), nil
}

// Resumed implements [application.Graveyard].
func (s *Store) Resumed(ctx context.Context, id, requestID string) error {
	leave, err := s.enter(ctx, "Resumed")
	if err != nil {
		return err
	}
	defer leave()
	d, ok := s.letters[id]
	if !ok {
		return refuse("Resumed", domain.NotFound, "no such dead letter")
	}
	d.State, d.ResumedAs = application.LetterResumed, requestID
	return nil
}

// Moot implements [application.Graveyard].
func (s *Store) Moot(ctx context.Context) (int, error) {
	leave, err := s.enter(ctx, "Moot")
	if err != nil {
		return 0, err
	}
	defer leave()
	closed := 0
	for _, d := range s.letters {
		r, ok := s.requests[d.MessageID]
		if ok && d.State == application.LetterOpen && (r.Status == domain.Completed || r.Status == domain.Cancelled) {
			d.State = application.LetterMoot
			closed++
		}
	}
	return closed, nil
}
