package domain_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/domain"
)

func hosts() []domain.Host {
	disks := map[domain.DiskType]domain.DiskPool{domain.SSD: {Size: domain.TiB, IOPS: 1000}}
	return []domain.Host{
		{Name: "a", State: domain.HostUp, Cores: 8, Memory: 16 * domain.GiB, Disks: disks},
		{Name: "b", State: domain.HostUp, Cores: 8, Memory: 32 * domain.GiB, Disks: disks},
		{Name: "c", State: domain.HostDown, Cores: 99, Memory: domain.TiB, Disks: disks},
	}
}

// place puts resources one after the other and returns where each went.
func place(t *testing.T, needs ...domain.Need) (where []string, last error) {
	t.Helper()
	held := map[string][]domain.Claim{}
	for _, n := range needs {
		host, _, claims, err := domain.Place(hosts(), held, n)
		where = append(where, host)
		last = err
		for _, c := range claims {
			held[c.Pool] = append(held[c.Pool], c)
		}
	}
	return where, last
}

func TestPlace(t *testing.T) {
	t.Parallel()
	m := func(id string, cores int, memory domain.MiB) domain.Need {
		return domain.Need{Resource: id, Cores: cores, Memory: memory, Disk: domain.GiB, DiskType: domain.SSD}
	}
	apart := func(n domain.Need) domain.Need { n.Group = "t/web"; return n }
	cases := map[string]struct {
		reason string
		needs  []domain.Need
		want   string
		err    string // part of the operator's text
	}{
		"most free":      {reason: "the largest share of free memory wins", needs: []domain.Need{m("1", 1, domain.GiB)}, want: "b"},
		"fills the rest": {reason: "a full host is passed over", needs: []domain.Need{m("1", 8, domain.GiB), m("2", 8, domain.GiB)}, want: "b a"},
		"kept apart":     {reason: "a group is spread before memory counts", needs: []domain.Need{apart(m("1", 1, domain.GiB)), apart(m("2", 1, domain.GiB))}, want: "b a"},
		"none has room":  {reason: "each refusal is explained", needs: []domain.Need{m("1", 9, domain.GiB)}, want: "", err: "a: 8 of 8 cores free, needs 9; b: 8 of 8 cores free, needs 9; c: down"},
		"IOPS":           {reason: "a pool's IOPS are finite", needs: []domain.Need{{Resource: "1", Disk: 1, DiskType: domain.SSD, IOPS: 1001}}, want: "", err: "1000 of 1000 SSD IOPS free"},
		"unknown class":  {reason: "a host without that class has no room", needs: []domain.Need{{Resource: "1", Disk: 1, DiskType: domain.NVME}}, want: "", err: "0MiB of 0MiB NVME free"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			where, err := place(t, c.needs...)
			if got := strings.Join(where, " "); got != c.want {
				t.Errorf("%s: placed on %q, want %q (%v)", c.reason, got, c.want, err)
			}
			if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err) || domain.KindOf(err) != domain.Unavailable) {
				t.Errorf("%s: got error %v, want Unavailable with %q", c.reason, err, c.err)
			}
		})
	}
}

func TestPlace_again(t *testing.T) {
	t.Parallel()
	need := domain.Need{Resource: "1", Cores: 8, Memory: domain.GiB}
	host, _, claims, err := domain.Place(hosts(), nil, need)
	if err != nil {
		t.Fatal(err)
	}
	held := map[string][]domain.Claim{domain.HostPool(host): claims}
	again, why, same, err := domain.Place(hosts(), held, need)
	if again != host || err != nil || fmt.Sprint(same) != fmt.Sprint(claims) {
		t.Errorf("a resource placed on %s was placed on %s (%s) with %v, %v", host, again, why, same, err)
	}
}

func TestClaimAddress(t *testing.T) {
	t.Parallel()
	subnet, gateway := netip.MustParsePrefix("10.0.1.0/29"), netip.MustParseAddr("10.0.1.1")
	pool := domain.AddressPool("vlan-200", subnet)
	var held []domain.Claim
	for i, want := range []string{"10.0.1.2", "10.0.1.3", "10.0.1.4", "10.0.1.5", "10.0.1.6"} {
		c, err := domain.ClaimAddress(pool, subnet, gateway, held, fmt.Sprint("uid-", i), noon)
		if err != nil || c.Value != want {
			t.Fatalf("claim %d = %q, %v, want %s: lowest free, without network, gateway and broadcast", i, c.Value, err, want)
		}
		held = append(held, c)
	}
	if _, err := domain.ClaimAddress(pool, subnet, gateway, held, "one more", noon); domain.CodeOf(err) != "no-address" || domain.KindOf(err) != domain.Unavailable {
		t.Errorf("an address of a full subnet: %v, want no-address", err)
	}
	if c, err := domain.ClaimAddress(pool, subnet, gateway, held, "uid-3", noon); err != nil || c.Value != "10.0.1.5" {
		t.Errorf("the holder asked again and got %q, %v, want its own 10.0.1.5", c.Value, err)
	}
	held[1].Until = noon.Add(time.Minute)
	if c, err := domain.ClaimAddress(pool, subnet, gateway, held, "new", noon); err == nil {
		t.Errorf("got %s, which was released just now", c.Value)
	}
	if c, err := domain.ClaimAddress(pool, subnet, gateway, held, "new", noon.Add(time.Minute)); err != nil || c.Value != "10.0.1.3" {
		t.Errorf("after the cool-down got %q, %v, want 10.0.1.3", c.Value, err)
	}
}

func TestClaimVLAN(t *testing.T) {
	t.Parallel()
	held := []domain.Claim{{Pool: domain.VLANPool, Value: "200", Resource: "uid-1"}}
	if _, err := domain.ClaimVLAN(200, held, "uid-2"); domain.KindOf(err) != domain.Conflict {
		t.Errorf("a taken VLAN: %v, want Conflict", err)
	}
	if _, err := domain.ClaimVLAN(200, held, "uid-1"); err != nil {
		t.Errorf("the holder's own VLAN: %v", err)
	}
}
