package memory

import (
	"slices"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// kept is a time as a database keeps it: UTC, microseconds, without the reading
// of the process's own clock.
func kept(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func keptRequest(r *domain.Request) *domain.Request {
	c := r.Clone()
	for _, t := range []*time.Time{&c.AcceptedAt, &c.DeadlineAt, &c.TouchedAt, &c.BegunAt, &c.DecidedAt, &c.FinishedAt} {
		*t = kept(*t)
	}
	return c
}

func keptResource(r *domain.Resource) *domain.Resource {
	c := r.Clone()
	for _, t := range []*time.Time{&c.Lease.Until, &c.CreatedAt, &c.UpdatedAt} {
		*t = kept(*t)
	}
	return c
}

func keptStep(s domain.Step) domain.Step {
	s.At, s.Detail = kept(s.At), slices.Clone(s.Detail)
	return s
}

func keptEvent(e application.Event) application.Event {
	e = e.Clone()
	e.Time = kept(e.Time)
	return e
}

func keptLetter(d application.DeadLetter) application.DeadLetter {
	d.At, d.Event = kept(d.At), keptEvent(d.Event)
	return d
}

func copySteps(all []domain.Step) []domain.Step {
	c := slices.Clone(all)
	for i := range c {
		c[i].Detail = slices.Clone(c[i].Detail)
	}
	return c
}

func copyOutgoing(o *application.Outgoing) application.Outgoing {
	c := *o
	c.Event = o.Event.Clone()
	return c
}

func copyLetter(d *application.DeadLetter) application.DeadLetter {
	c := *d
	c.Event = d.Event.Clone()
	return c
}
