package main

import (
	"kbnt.dev/virtualization/config"
	"kbnt.dev/virtualization/domain"
)

// offer is what this laptop offers: the default, with what was set. A quota of 0
// is not set.
func offer(s config.Local) domain.Offer {
	o := domain.DefaultOffer()
	o.Region, o.Deadline = string(s.Region), s.Deadline
	o.Segments.First, o.Segments.Last = s.Segments.First, s.Segments.Last
	q := s.Quota
	set(&o.Default.Machines, q.Machines)
	set(&o.Default.Cores, q.Cores)
	set(&o.Default.Memory, domain.MiB(q.Memory)*domain.GiB)
	set(&o.Default.Storage, domain.MiB(q.Storage)*domain.GiB)
	set(&o.Default.Networks, q.Networks)
	set(&o.Default.InFlight, q.InFlight)
	set(&o.Default.Budget, domain.Money(q.Budget*1e6))
	return o
}

func set[T ~int | ~int64](to *T, from T) {
	if from > 0 {
		*to = from
	}
}
