package intake

import (
	"kbnt.dev/virtualization/config"
	"kbnt.dev/virtualization/domain"
)

// Offer is what an operator offers: the default, with what was set. A quota of 0
// is not set.
func Offer(c config.Offer) domain.Offer {
	o := domain.DefaultOffer()
	o.Region, o.Deadline = string(c.Region), c.Deadline
	o.Segments.First, o.Segments.Last = c.Segments.First, c.Segments.Last
	set(&o.Default.Machines, c.Quota.Machines)
	set(&o.Default.Cores, c.Quota.Cores)
	set(&o.Default.Memory, domain.MiB(c.Quota.Memory)*domain.GiB)
	set(&o.Default.Storage, domain.MiB(c.Quota.Storage)*domain.GiB)
	set(&o.Default.Networks, c.Quota.Networks)
	set(&o.Default.InFlight, c.Quota.InFlight)
	set(&o.Default.Budget, domain.Money(c.Quota.Budget*1e6))
	return o
}

func set[T ~int | ~int64](to *T, from T) {
	if from > 0 {
		*to = from
	}
}
