package domain

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Claim is a part of a finite pool that one resource holds: an address, a VLAN,
// cores of a host. The store keeps (Pool, Value) unique, so that two requests
// cannot hold the same, whatever the hypervisor guards.
type Claim struct {
	Pool     string    // "ip/198.18.100.0/24", "vlan/physnet1", "host/sim-1"
	Value    string    // "198.18.100.2", "200", "<resource uid>/cores"
	Resource string    // Resource.UID
	Amount   int64     // cores, MiB, IOPS; 1 for things that are not counted
	Group    string    // resources of a group are kept apart on hosts; may be empty
	Until    time.Time // zero: held. Else released, and free again from then on
}

// Host is one place a hypervisor can put things, with what it can hold. Cores
// include the operator's overcommitment; memory is never overcommitted.
type Host struct {
	Name   string
	State  string // HostUp, HostDraining, HostDown
	Cores  int
	Memory MiB
	Disks  map[DiskType]DiskPool
}

// States of a host.
const (
	HostUp       = "up"
	HostDraining = "draining" // keeps what it has, takes nothing new
	HostDown     = "down"
)

// DiskPool is the storage of one class on one host.
type DiskPool struct {
	Size MiB
	IOPS int
}

// Need is what is to be placed on one host.
type Need struct {
	Resource string
	Group    string // see Claim.Group
	Cores    int
	Memory   MiB
	Disk     MiB
	DiskType DiskType
	IOPS     int
}

// Place chooses the host with room for need that holds the fewest of its group,
// then has the largest share of memory free, then comes first by name. A
// resource that was placed before stays where it is, with the same claims.
// Unavailable, with the reason for each host, when none has room: a host may
// free up before the deadline.
func Place(hosts []Host, held map[string][]Claim, need Need) (host, why string, claims []Claim, err error) {
	type candidate struct {
		name  string
		group int
		free  float64
	}
	var fit []candidate
	var reasons []string
	for _, h := range hosts {
		used, mine, group := tally(held[HostPool(h.Name)], need)
		if len(mine) > 0 {
			return h.Name, "placed there before", mine, nil
		}
		if reason := h.refuse(used, need); reason != "" {
			reasons = append(reasons, h.Name+": "+reason)
			continue
		}
		fit = append(fit, candidate{h.Name, group, 1 - float64(used["memory"]+int64(need.Memory))/float64(max(h.Memory, 1))})
	}
	if len(fit) == 0 {
		return "", "", nil, &Error{Op: "place", Kind: Unavailable, Code: "no-capacity",
			Detail: "no host has room", Err: fmt.Errorf("%s", strings.Join(reasons, "; "))}
	}
	best := slices.MinFunc(fit, func(a, b candidate) int {
		switch {
		case a.group != b.group:
			return a.group - b.group
		case a.free > b.free:
			return -1
		case a.free < b.free:
			return 1
		}
		return strings.Compare(a.name, b.name)
	})
	why = fmt.Sprintf("most free memory of %d suitable hosts of %d", len(fit), len(hosts))
	if need.Group != "" {
		why = fmt.Sprintf("fewest of its group (%d), then most free memory, of %d suitable hosts of %d", best.group, len(fit), len(hosts))
	}
	return best.name, why, need.claims(best.name), nil
}

// HostPool is the pool of everything claimed on a host.
func HostPool(host string) string { return "host/" + host }

func (n Need) claims(host string) []Claim {
	var all []Claim
	for what, amount := range map[string]int64{
		"cores": int64(n.Cores), "memory": int64(n.Memory),
		"disk-" + string(n.DiskType): int64(n.Disk), "iops-" + string(n.DiskType): int64(n.IOPS),
	} {
		if amount > 0 {
			all = append(all, Claim{Pool: HostPool(host), Value: n.Resource + "/" + what, Resource: n.Resource, Amount: amount, Group: n.Group})
		}
	}
	slices.SortFunc(all, func(a, b Claim) int { return strings.Compare(a.Value, b.Value) })
	return all
}

// tally sums the claims of one host by what they claim, and picks out those of
// need's own resource and how many resources of its group are there.
func tally(claims []Claim, need Need) (used map[string]int64, mine []Claim, group int) {
	used = map[string]int64{}
	kept := map[string]bool{}
	for _, c := range claims {
		if c.Resource == need.Resource {
			mine = append(mine, c)
		}
		if _, what, ok := strings.Cut(c.Value, "/"); ok {
			used[what] += c.Amount
		}
		if need.Group != "" && c.Group == need.Group && !kept[c.Resource] {
			kept[c.Resource] = true
			group++
		}
	}
	return used, mine, group
}

// refuse says why need does not fit beside what is used, "" if it does.
func (h Host) refuse(used map[string]int64, n Need) string {
	disk := h.Disks[n.DiskType]
	switch {
	case h.State != HostUp:
		return h.State
	case used["cores"]+int64(n.Cores) > int64(h.Cores):
		return fmt.Sprintf("%d of %d cores free, needs %d", int64(h.Cores)-used["cores"], h.Cores, n.Cores)
	case used["memory"]+int64(n.Memory) > int64(h.Memory):
		return fmt.Sprintf("%s of %s memory free, needs %s", h.Memory-MiB(used["memory"]), h.Memory, n.Memory)
	case n.Disk > 0 && used["disk-"+string(n.DiskType)]+int64(n.Disk) > int64(disk.Size):
		return fmt.Sprintf("%s of %s %s free, needs %s", disk.Size-MiB(used["disk-"+string(n.DiskType)]), disk.Size, n.DiskType, n.Disk)
	case n.IOPS > 0 && used["iops-"+string(n.DiskType)]+int64(n.IOPS) > int64(disk.IOPS):
		return fmt.Sprintf("%d of %d %s IOPS free, needs %d", int64(disk.IOPS)-used["iops-"+string(n.DiskType)], disk.IOPS, n.DiskType, n.IOPS)
	}
	return ""
}

// AddressPool is the pool of the addresses of a subnet of one network. Tenants
// may use the same subnet on networks of their own, so its name is part of it.
func AddressPool(network string, subnet netip.Prefix) string {
	return "ip/" + network + "/" + subnet.String()
}

// ClaimAddress gives resource the lowest address of the subnet that nobody
// holds: not the network's, the broadcast or the gateway's, and none released
// so recently that caches may still point at it. One that it holds it keeps.
// Unavailable ("no-address") when the subnet is used up.
func ClaimAddress(pool string, subnet netip.Prefix, gateway netip.Addr, held []Claim, resource string, now time.Time) (Claim, error) {
	taken := make(map[string]bool, len(held))
	for _, c := range held {
		if c.Resource == resource && c.Until.IsZero() {
			return c, nil
		}
		if c.Until.IsZero() || c.Until.After(now) {
			taken[c.Value] = true
		}
	}
	for a := subnet.Masked().Addr().Next(); subnet.Contains(a.Next()); a = a.Next() {
		if a != gateway && !taken[a.String()] {
			return Claim{Pool: pool, Value: a.String(), Resource: resource, Amount: 1}, nil
		}
	}
	return Claim{}, &Error{Op: "claim address", Kind: Unavailable, Code: "no-address", Detail: "no free address in " + subnet.String()}
}

// VLANPool is the pool of the VLAN ids of the one physical network.
const VLANPool = "vlan/physnet1"

// ClaimVLAN gives resource that VLAN. Conflict ("vlan-taken") if another has it.
func ClaimVLAN(vlan int, held []Claim, resource string) (Claim, error) {
	value := strconv.Itoa(vlan)
	for _, c := range held {
		if c.Value == value && c.Resource != resource && c.Until.IsZero() {
			return Claim{}, &Error{Op: "claim VLAN", Kind: Conflict, Code: "vlan-taken", Detail: fmt.Sprintf("VLAN %d is taken by another network", vlan)}
		}
	}
	return Claim{Pool: VLANPool, Value: value, Resource: resource, Amount: 1}, nil
}
