package domain

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Offer is what the operator offers everybody: limits of one resource, images,
// networks, prices, quota, patience. It is configuration and does not change
// while a function runs.
type Offer struct {
	Region   string
	Limits   Limits
	Images   []string // names a request may use
	Image    string   // of a machine whose request names none; one of Images
	Segments Segments
	Prices   Prices
	Default  Quota            // of a tenant not in Quotas
	Quotas   map[string]Quota // by tenant
	Deadline time.Duration    // of a request, from its acceptance
	Estimate map[ResourceKind]time.Duration
}

// Limits bound one resource.
type Limits struct {
	Cores  int
	Memory MiB
	Disk   MiB // of a machine's disk and of a volume
	IOPS   map[DiskType]int
}

// Segments are the networks the operator offers to everybody: one bridged
// network and a range of VLANs, each with its own subnet.
type Segments struct {
	First, Last int          // VLANs, both included; 0 and 0 offers none
	Base        netip.Prefix // a /15 or larger: VLAN n has the n-th /24 of it
	Bridged     netip.Prefix // outside of these
}

// DefaultOffer is the laptop's: VLANs 100 to 199 with addresses of
// 198.18.0.0/15, which RFC 2544 keeps for tests, so nobody takes a simulated
// address for a real one.
func DefaultOffer() Offer {
	return Offer{
		Region: "local",
		Limits: Limits{Cores: 128, Memory: 1 * TiB, Disk: 64 * TiB, IOPS: map[DiskType]int{SSD: 20000, HDD: 500, NVME: 100000}},
		Images: []string{DefaultImage, "Debian 12"},
		Image:  DefaultImage,
		Segments: Segments{First: 100, Last: 199, Base: netip.MustParsePrefix("198.18.0.0/16"),
			Bridged: netip.MustParsePrefix("198.19.0.0/20")},
		Prices:   DefaultPrices(),
		Default:  DefaultQuota(),
		Deadline: 10 * time.Minute,
		Estimate: map[ResourceKind]time.Duration{Machine: 30 * time.Second, Volume: 10 * time.Second, Network: 10 * time.Second},
	}
}

// QuotaOf is the quota of a tenant.
func (o Offer) QuotaOf(tenant string) Quota {
	if q, ok := o.Quotas[tenant]; ok {
		return q
	}
	return o.Default
}

// Offers reports whether that VLAN is a segment for everybody.
func (s Segments) Offers(vlan int) bool { return s.First > 0 && vlan >= s.First && vlan <= s.Last }

// Subnet of an attachment to a network of the operator.
func (s Segments) Subnet(a Attachment) netip.Prefix {
	if a.Mode == ModeBridged {
		return s.Bridged
	}
	b := s.Base.Masked().Addr().As4()
	n := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	n += uint32(a.VLAN) << 8
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}), 24)
}

// Validate reports every mistake of an offer at once, nil if there is none.
func (o Offer) Validate() []string {
	var wrong []string
	bad := func(is bool, format string, args ...any) {
		if is {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	s := o.Segments
	bad(s.First < 0 || s.Last < s.First || s.Last > 4094, "segments %d to %d: want a range within 1 to 4094, or 0 to 0", s.First, s.Last)
	bad(s.First > 0 && !s.Base.Contains(s.Subnet(Attachment{Mode: ModeVLAN, VLAN: s.Last}).Addr()), "segments up to %d do not fit into %s", s.Last, s.Base)
	bad(s.Bridged.IsValid() && s.Base.Overlaps(s.Bridged), "the bridged network %s overlaps the segments' %s", s.Bridged, s.Base)
	bad(len(o.Images) == 0, "no images: name at least one")
	bad(len(o.Images) > 0 && !o.HasImage(o.Image), "the default image %q is not one of %s", o.Image, o.ImageList())
	bad(o.Deadline <= 0, "deadline %s: want more than 0", o.Deadline)
	return wrong
}

// HasImage reports whether an image is in the catalogue.
func (o Offer) HasImage(name string) bool { return slices.Contains(o.Images, name) }

// ImageList names the catalogue in a sentence.
func (o Offer) ImageList() string { return strings.Join(o.Images, ", ") }
