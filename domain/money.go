package domain

import (
	"fmt"
	"time"
)

// Money is an amount of USD in millionths. Prices are rates of Money per hour.
type Money int64

// Currency of all amounts (ISO 4217).
const Currency = "USD"

// USD returns the amount in dollars.
func (m Money) USD() float64 { return float64(m) / 1e6 }

// String prints "0.045000 USD".
func (m Money) String() string { return fmt.Sprintf("%d.%06d %s", m/1e6, m%1e6, Currency) }

// Prices are per hour, in millionths of a dollar.
type Prices struct {
	Core    Money              // per virtual CPU
	Memory  Money              // per GiB
	Disk    map[DiskType]Money // per GiB
	IOPS    Money              // per 1000 provisioned IOPS
	Network Money              // per network
}

// DefaultPrices make 4 vCPU, 8 GiB and 100 GiB of SSD cost 0.045 USD per hour,
// the product's reference machine.
func DefaultPrices() Prices {
	return Prices{
		Core: 5000, Memory: 1500, IOPS: 2000, Network: 1000,
		Disk: map[DiskType]Money{SSD: 130, HDD: 50, NVME: 250},
	}
}

// Hourly is what one hour of a resource costs.
func (p Prices) Hourly(s Specification) Money {
	perGiB := func(rate Money, size MiB) Money { return rate * Money(size) / Money(GiB) }
	switch {
	case s.Machine != nil:
		return p.Core*Money(s.Machine.Cores) + perGiB(p.Memory, s.Machine.Memory) + perGiB(p.Disk[s.Machine.DiskType], s.Machine.Disk)
	case s.Volume != nil:
		return perGiB(p.Disk[s.Volume.Type], s.Volume.Size) + p.IOPS*Money(s.Volume.IOPS)/1000
	case s.Network != nil:
		return p.Network
	}
	return 0
}

// Accrued is what a resource has cost after living for so long: the first hour
// is billed when it is made, each further one when it begins.
func Accrued(hourly Money, lived time.Duration) Money {
	return hourly * Money(1+max(lived, 0)/time.Hour)
}
