package libvirt

import (
	"encoding/xml"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"kbnt.dev/virtualization/domain"
)

// namespace is that of our element in the metadata of domains and networks. What
// does not have the element is not ours.
const namespace = "https://kbnt.dev/virtualization/libvirt/1"

// record is what a domain or a network says about itself: whose it is and what it
// was made of.
type record struct {
	Name      string     `xml:"name,attr"` // domain.Key.Name
	Hash      string     `xml:"hash,attr"`
	Tenant    string     `xml:"tenant,attr"`
	VirtualID string     `xml:"virtualId,attr"`
	Created   time.Time  `xml:"created,attr"`
	Powered   string     `xml:"powered,attr,omitempty"` // RFC 3339; machines: last switched on. Set when all that it needs was made
	Off       string     `xml:"off,attr,omitempty"`     // RFC 3339; machines: asked to shut down
	Image     string     `xml:"image,attr,omitempty"`
	SHA256    string     `xml:"sha256,attr,omitempty"` // of the image
	Segment   string     `xml:"segment,attr,omitempty"`
	Address   netip.Addr `xml:"address,attr,omitempty"`
	Pool      string     `xml:"pool,attr,omitempty"` // of the seed
	Groups    string     `xml:"groups,attr,omitempty"`
}

// written is a record as we write it: with a prefix, which libvirt asks for.
type written struct {
	XMLName   xml.Name `xml:"kbnt:thing"`
	Namespace string   `xml:"xmlns:kbnt,attr"`
	record
}

func (r record) marshal() (string, error) { return r.write(written{Namespace: namespace, record: r}) }

// bare is the element without its namespace, which libvirt adds when metadata is set.
func (r record) bare() (string, error) {
	return r.write(struct {
		XMLName xml.Name `xml:"thing"`
		record
	}{record: r})
}

func (r record) write(v any) (string, error) {
	b, err := xml.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("write metadata of %s: %w", r.Name, err)
	}
	return string(b), nil
}

// recordOf reads the metadata of a thing. ok: it is ours, and the one of that name.
func recordOf(metadata, thing string) (r record, ok bool) {
	var m struct {
		Things []record `xml:"https://kbnt.dev/virtualization/libvirt/1 thing"`
	}
	if err := xml.Unmarshal([]byte("<metadata>"+metadata+"</metadata>"), &m); err != nil || len(m.Things) != 1 {
		return record{}, false
	}
	return m.Things[0], m.Things[0].Name == thing
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// moment reads a stamp; zero when there is none.
func moment(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

// keyOf reads the name of a key.
func keyOf(name string) (domain.Key, bool) {
	rest, ok := strings.CutPrefix(name, "kbnt-")
	kind, rest, ok2 := strings.Cut(rest, "-")
	number, resource, ok3 := strings.Cut(rest, "-")
	item, err := strconv.Atoi(number)
	k := domain.Key{Resource: resource, Kind: domain.ThingKind(kind), Item: item}
	return k, ok && ok2 && ok3 && err == nil && resource != "" && k.Name() == name
}

// nameOf is the name of a volume. A volume has no metadata: its name is its record.
// "kbnt-volume-0-6a08081c-....b3c2a1908f7e6d5c.3000" is the key, the hash of what
// was asked, and the IOPS, so that whoever attaches the volume can hold it to them.
func nameOf(want domain.Desired) string {
	return want.Key.Name() + "." + want.Hash() + "." + strconv.Itoa(want.Spec.Volume.IOPS)
}

// volumeOf reads the name of a volume.
func volumeOf(name string) (key domain.Key, hash string, iops int, ok bool) {
	parts := strings.Split(name, ".")
	if len(parts) != 3 || len(parts[1]) != 16 || strings.Trim(parts[1], "0123456789abcdef") != "" {
		return domain.Key{}, "", 0, false
	}
	key, ok = keyOf(parts[0])
	iops, err := strconv.Atoi(parts[2])
	return key, parts[1], iops, ok && err == nil && iops >= 0 && key.Kind == domain.ThingVolume
}

// seedName is the volume with the cloud-init documents of a machine.
func seedName(machine domain.Key) string { return machine.Name() + ".seed" }
