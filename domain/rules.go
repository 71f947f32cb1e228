package domain

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what a client may send with a request.
const (
	MaxSSHKeys        = 16
	MaxSSHKey         = 8 << 10 // bytes
	MaxUserData       = 16 << 10
	MaxSecurityGroups = 16
	MaxLabels         = 16
	MaxLabelKey       = 63
	MaxLabelValue     = 255
	MaxName           = 63
)

var (
	requestID = pattern(`^[A-Za-z0-9._-]{1,64}$`)
	name      = pattern(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
	labelKey  = pattern(`^[a-z0-9]([a-z0-9./_-]{0,61}[a-z0-9])?$`)
	sshKey    = pattern(`^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com) [A-Za-z0-9+/]{16,}={0,2}( [^\x00-\x1f\x7f]*)?$`)
)

// IsRequestID reports whether s may be a request id: 1 to 64 of A-Z a-z 0-9 . _ -
func IsRequestID(s string) bool { return requestID().MatchString(s) }

// Check returns every specification rule that d breaks by itself, whatever the
// tenant has: required fields, ranges, and fields that must agree. Fields in
// d.Faults are not judged again.
func (o Offer) Check(d Draft) []Violation {
	c := checker{offer: o, broken: slices.Clone(d.Faults)}
	c.envelope(d)
	if !d.Type.Known() {
		c.add("/type", "unknown-type", "%q is no request type; use one of %s", clip(string(d.Type)), join(RequestTypes()))
		return c.broken
	}
	if d.Type.Creates() {
		c.require(d.VirtualResourceID == "", "/virtualResourceId", "not-allowed", "%s makes a new resource; leave virtualResourceId out", d.Type)
		switch d.Type.Kind() {
		case Machine:
			c.machine(d.Spec.Machine)
		case Volume:
			c.volume(d.Spec.Volume)
		case Network:
			c.network(d.Spec.Network)
		}
		return c.broken
	}
	c.require(d.Spec == Specification{}, "/specifications", "not-allowed", "%s takes no specifications", d.Type)
	c.require(d.VirtualResourceID != "" || d.ResourceID != "", "/virtualResourceId", "required", "%s needs virtualResourceId or resourceId", d.Type)
	return c.broken
}

type checker struct {
	offer  Offer
	broken []Violation
}

func (c *checker) add(pointer, code, format string, args ...any) {
	for _, v := range c.broken { // a value that was not understood is not judged as well
		if v.Pointer == pointer {
			return
		}
	}
	c.broken = append(c.broken, Violation{Pointer: pointer, Code: code, Detail: fmt.Sprintf(format, args...), Kind: Invalid})
}

func (c *checker) require(ok bool, pointer, code, format string, args ...any) {
	if !ok {
		c.add(pointer, code, format, args...)
	}
}

func (c *checker) within(pointer string, got, least, most any, ok bool) {
	c.require(ok, pointer, "out-of-range", "%v is not within %v and %v", got, least, most)
}

func (c *checker) envelope(d Draft) {
	c.require(IsRequestID(d.RequestID), "/metadata/requestId", "invalid-id", "use 1 to 64 of A-Z a-z 0-9 . _ -")
	c.require(d.ResourceID == "" || name().MatchString(d.ResourceID), "/resourceId", "invalid-name", "use 1 to %d of A-Z a-z 0-9 . _ -, beginning and ending with a letter or digit", MaxName)
	c.require(len(d.VirtualResourceID) <= 80, "/virtualResourceId", "invalid-name", "is longer than any virtualResourceId")
	c.require(d.User != "" && len(d.User) <= 128 && printable(d.User), "/metadata/userId", "invalid-id", "use 1 to 128 printable characters without spaces")
	c.require(len(d.CorrelationID) <= 128 && printable(d.CorrelationID), "/metadata/correlationId", "invalid-id", "use at most 128 printable characters without spaces")
	c.require(slices.Contains(Priorities(), d.Priority), "/metadata/priority", "unknown-value", "%q is no priority; use LOW, NORMAL or HIGH", clip(string(d.Priority)))
	c.require(len(d.Labels) <= MaxLabels, "/metadata/labels", "too-many", "%d labels, at most %d", len(d.Labels), MaxLabels)
	for k, v := range d.Labels {
		if !labelKey().MatchString(k) || len(v) > MaxLabelValue || !utf8.ValidString(v) || strings.ContainsFunc(v, unicode.IsControl) {
			c.add("/metadata/labels", "invalid-label", "%q: use keys of 1 to %d of a-z 0-9 . / _ - and values up to %d characters", clip(k), MaxLabelKey, MaxLabelValue)
		}
	}
}

func (c *checker) machine(m *MachineSpec) {
	if m == nil {
		c.add("/specifications", "required", "a machine needs cpu, memory, disk and network")
		return
	}
	l := c.offer.Limits
	c.required("/specifications/cpu", m.Cores != 0)
	c.required("/specifications/memory", m.Memory != 0)
	c.required("/specifications/disk", m.Disk != 0)
	c.required("/specifications/network", m.Network != Attachment{})
	c.within("/specifications/cpu", m.Cores, 1, l.Cores, m.Cores >= 1 && m.Cores <= l.Cores)
	c.within("/specifications/memory", m.Memory, MiB(128), l.Memory, m.Memory >= 128 && m.Memory <= l.Memory)
	c.within("/specifications/disk", m.Disk, GiB, l.Disk, m.Disk >= GiB && m.Disk <= l.Disk)
	c.diskType("/specifications/diskType", m.DiskType)
	c.attachment(m.Network)
	c.require(c.offer.HasImage(m.Image), "/specifications/image", "unknown-image", "%q is not in the catalogue; use one of %s", clip(m.Image), c.offer.ImageList())
	c.require(len(m.SSHKeys) <= MaxSSHKeys, "/specifications/sshKeys", "too-many", "%d keys, at most %d", len(m.SSHKeys), MaxSSHKeys)
	for i, k := range m.SSHKeys {
		c.require(len(k) <= MaxSSHKey && sshKey().MatchString(k), fmt.Sprintf("/specifications/sshKeys/%d", i), "invalid-key", "is not a line of an authorized_keys file, such as \"ssh-ed25519 AAAA... you@host\"")
	}
	c.require(len(m.UserData) <= MaxUserData && utf8.ValidString(m.UserData) && !strings.ContainsRune(m.UserData, 0), "/specifications/userData", "invalid-user-data", "use UTF-8 text of at most %d bytes", MaxUserData)
	c.require(m.UserData == "" || strings.HasPrefix(m.UserData, "#cloud-config\n") || strings.HasPrefix(m.UserData, "#!"), "/specifications/userData", "invalid-user-data", "begin with \"#cloud-config\" on a line of its own, or with \"#!\"")
	c.require(len(m.SecurityGroups) <= MaxSecurityGroups, "/specifications/securityGroups", "too-many", "%d groups, at most %d", len(m.SecurityGroups), MaxSecurityGroups)
	for i, g := range m.SecurityGroups {
		c.require(name().MatchString(g), fmt.Sprintf("/specifications/securityGroups/%d", i), "invalid-name", "use 1 to %d of A-Z a-z 0-9 . _ -", MaxName)
	}
}

func (c *checker) attachment(a Attachment) {
	if a == (Attachment{}) {
		return // missing, which was said
	}
	switch a.Mode {
	case ModeBridged:
		c.require(a.VLAN == 0, "/specifications/network/vlan", "not-allowed", "a bridged network has no VLAN")
	case ModeVLAN:
		c.vlan("/specifications/network", a.VLAN)
		c.require(a.Name == fmt.Sprintf("vlan-%d", a.VLAN), "/specifications/network/name", "disagrees", "the name of VLAN %d is \"vlan-%d\"; leave it out or make them agree", a.VLAN, a.VLAN)
	default:
		c.add("/specifications/network/mode", "unknown-value", "%q is no mode; use bridged or vlan", clip(a.Mode))
	}
}

func (c *checker) volume(v *VolumeSpec) {
	if v == nil {
		c.add("/specifications", "required", "a volume needs size and type")
		return
	}
	c.required("/specifications/size", v.Size != 0)
	c.within("/specifications/size", v.Size, GiB, c.offer.Limits.Disk, v.Size >= GiB && v.Size <= c.offer.Limits.Disk)
	c.diskType("/specifications/type", v.Type)
	most, known := c.offer.Limits.IOPS[v.Type]
	if !known {
		return
	}
	c.require(v.IOPS == 0 || (v.IOPS >= 100 && v.IOPS <= most), "/specifications/iops", "out-of-range", "%d is not within 100 and %d, the most of %s", v.IOPS, most, v.Type)
}

func (c *checker) network(n *NetworkSpec) {
	if n == nil {
		c.add("/specifications", "required", "a network needs subnet and vlan")
		return
	}
	c.required("/specifications/subnet", n.Subnet.IsValid())
	c.required("/specifications/vlan", n.VLAN != 0)
	c.vlan("/specifications/vlan", n.VLAN)
	c.require(!c.offer.Segments.Offers(n.VLAN), "/specifications/vlan", "reserved", "VLANs %d to %d are the operator's; machines may use them without a network of their own", c.offer.Segments.First, c.offer.Segments.Last)
	if !n.Subnet.IsValid() {
		return
	}
	a := n.Subnet.Addr()
	if !a.Is4() {
		c.add("/specifications/subnet", "out-of-range", "%s is not an IPv4 subnet of /16 to /29", n.Subnet)
		return
	}
	c.require(n.Subnet.Bits() >= 16 && n.Subnet.Bits() <= 29, "/specifications/subnet", "out-of-range", "%s is not an IPv4 subnet of /16 to /29", n.Subnet)
	c.require(n.Subnet == n.Subnet.Masked(), "/specifications/subnet", "host-bits", "%s has host bits set; write %s", n.Subnet, n.Subnet.Masked())
	c.require(a.IsGlobalUnicast() && a.As4()[0] != 0 && a.As4()[0] < 240, "/specifications/subnet", "not-usable", "%s is not for hosts", n.Subnet)
	c.require(n.Gateway.IsValid() && inside(n.Subnet, n.Gateway), "/specifications/gateway", "disagrees", "%s is not a host address of %s", n.Gateway, n.Subnet)
}

// inside reports whether a is a host address of p: neither the network's nor
// the broadcast address.
func inside(p netip.Prefix, a netip.Addr) bool {
	return p.Contains(a) && a != p.Masked().Addr() && p.Contains(a.Next())
}

func (c *checker) vlan(pointer string, n int) { c.within(pointer, n, 1, 4094, n >= 1 && n <= 4094) }

func (c *checker) diskType(pointer string, t DiskType) {
	c.require(t == SSD || t == HDD || t == NVME, pointer, "unknown-value", "%q is no disk type; use SSD, HDD or NVME", clip(string(t)))
}

func (c *checker) required(pointer string, given bool) {
	c.require(given, pointer, "required", "is missing")
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) })
}

func join[S ~string](all []S) string {
	words := make([]string, len(all))
	for i, s := range all {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}
