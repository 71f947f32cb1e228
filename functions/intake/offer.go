package intake

import (
	"math"

	"kbnt.dev/virtualization/config"
	"kbnt.dev/virtualization/domain"
)

// Offer is what an operator offers: the default, with what was set. A quota of 0
// in a variable is not set; in a file it allows nothing.
func Offer(c config.Offer) domain.Offer {
	o := domain.DefaultOffer()
	o.Region, o.Deadline = string(c.Region), c.Deadline
	o.Segments.First, o.Segments.Last = c.Segments.First, c.Segments.Last
	set(&o.Default.Machines, c.Quota.Machines)
	set(&o.Default.Cores, c.Quota.Cores)
	set(&o.Default.Memory, gib(c.Quota.Memory))
	set(&o.Default.Storage, gib(c.Quota.Storage))
	set(&o.Default.Networks, c.Quota.Networks)
	set(&o.Default.InFlight, c.Quota.InFlight)
	set(&o.Default.Budget, usd(c.Quota.Budget))
	o.Default = limited(o.Default, c.Quotas.Default)
	if len(c.Quotas.Tenants) > 0 {
		o.Quotas = map[string]domain.Quota{}
	}
	for tenant, limits := range c.Quotas.Tenants {
		o.Quotas[tenant] = limited(o.Default, limits)
	}
	if c.Images.Path != "" {
		o.Images, o.Image = c.Images.Names(), c.Images.Default
	}
	return o
}

func set[T ~int | ~int64](to *T, from T) {
	if from > 0 {
		*to = from
	}
}

// limited is a quota with what a file says instead.
func limited(q domain.Quota, l config.Limits) domain.Quota {
	replace(&q.Machines, l.Machines, as[int])
	replace(&q.Cores, l.Cores, as[int])
	replace(&q.Memory, l.Memory, gib)
	replace(&q.Storage, l.Storage, gib)
	replace(&q.Networks, l.Networks, as[int])
	replace(&q.InFlight, l.InFlight, as[int])
	replace(&q.Budget, l.Budget, usd)
	return q
}

func replace[T, F any](to *T, from *F, convert func(F) T) {
	if from != nil {
		*to = convert(*from)
	}
}

func as[T any](v T) T { return v }

func gib(g config.GiB) domain.MiB { return domain.MiB(g) * domain.GiB }

func usd(dollars float64) domain.Money { return domain.Money(math.Round(dollars * 1e6)) }
