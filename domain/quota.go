package domain

import "fmt"

// Usage is what a tenant has: the sum over its live resources and unfinished
// requests. It is always computed, never counted along, so it cannot drift.
type Usage struct {
	Machines int
	Cores    int
	Memory   MiB
	Storage  MiB // volumes and the disks of machines
	Networks int
	InFlight int   // unfinished requests
	Hourly   Money // of all live resources
}

// Quota is the most a tenant may have. Budget is per hour.
type Quota struct {
	Machines int
	Cores    int
	Memory   MiB
	Storage  MiB
	Networks int
	InFlight int
	Budget   Money
}

// DefaultQuota is what a tenant may have that the operator has not named.
func DefaultQuota() Quota {
	return Quota{Machines: 200, Cores: 800, Memory: 2 * TiB, Storage: 100 * TiB, Networks: 50, InFlight: 250, Budget: 100_000_000}
}

// UsageOf is what one resource of that specification and price adds.
func UsageOf(s Specification, hourly Money) Usage {
	u := Usage{Hourly: hourly}
	switch {
	case s.Machine != nil:
		u.Machines, u.Cores, u.Memory, u.Storage = 1, s.Machine.Cores, s.Machine.Memory, s.Machine.Disk
	case s.Volume != nil:
		u.Storage = s.Volume.Size
	case s.Network != nil:
		u.Networks = 1
	}
	return u
}

// Add returns the sum.
func (u Usage) Add(v Usage) Usage {
	return Usage{
		Machines: u.Machines + v.Machines, Cores: u.Cores + v.Cores, Memory: u.Memory + v.Memory, Storage: u.Storage + v.Storage,
		Networks: u.Networks + v.Networks, InFlight: u.InFlight + v.InFlight, Hourly: u.Hourly + v.Hourly,
	}
}

// Check compares what a tenant would have with what it may have: one violation
// for each limit that would be passed by this request. Limits that the request
// adds nothing to are not looked at: a tenant over its quota may still delete.
func (q Quota) Check(have, more Usage) []Violation {
	var broken []Violation
	sum := have.Add(more)
	limit := func(pointer, what string, add, total, most any, over bool) {
		if over {
			broken = append(broken, Violation{Pointer: pointer, Code: "quota-exceeded", Kind: Exhausted,
				Detail: fmt.Sprintf("%s: %v would make it %v of %v allowed; release something or ask for a larger quota", what, add, total, most)})
		}
	}
	limit("", "machines", more.Machines, sum.Machines, q.Machines, more.Machines > 0 && sum.Machines > q.Machines)
	limit("/specifications/cpu", "virtual CPUs", more.Cores, sum.Cores, q.Cores, more.Cores > 0 && sum.Cores > q.Cores)
	limit("/specifications/memory", "memory", more.Memory, sum.Memory, q.Memory, more.Memory > 0 && sum.Memory > q.Memory)
	limit("/specifications", "storage", more.Storage, sum.Storage, q.Storage, more.Storage > 0 && sum.Storage > q.Storage)
	limit("", "networks", more.Networks, sum.Networks, q.Networks, more.Networks > 0 && sum.Networks > q.Networks)
	if more.InFlight > 0 && sum.InFlight > q.InFlight { // a code of its own: this one passes by waiting
		broken = append(broken, Violation{Code: "requests-in-flight", Kind: Exhausted,
			Detail: fmt.Sprintf("%d unfinished requests of %d allowed; wait until some have ended", have.InFlight, q.InFlight)})
	}
	return broken
}

// CheckBudget compares what a tenant would pay per hour with its budget.
func (q Quota) CheckBudget(have, more Usage) []Violation {
	if sum := have.Hourly + more.Hourly; more.Hourly > 0 && sum > q.Budget {
		return []Violation{{Code: "budget-exceeded", Kind: Exhausted,
			Detail: fmt.Sprintf("this costs %v per hour and would make it %v of a budget of %v", more.Hourly, sum, q.Budget)}}
	}
	return nil
}
