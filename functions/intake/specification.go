package intake

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"

	"kbnt.dev/virtualization/domain"
)

// specs reads the members of specifications. Pointers of faults are those of the
// canonical name, as the rules of the domain have them.
type specs struct {
	*decoded
	fields
}

func (d *decoded) specification(n *node, c *complaints) {
	s := specs{d, open(n, c)}
	switch d.draft.Type {
	case domain.CreateMachine:
		d.draft.Spec.Machine = s.machine()
	case domain.AllocateStorage:
		d.draft.Spec.Volume = s.volume()
	case domain.CreateNetwork:
		d.draft.Spec.Network = s.network()
	default: // of an unknown type nothing can be said; the others take none
		if d.draft.Type != "" && len(s.object.keys) > 0 {
			s.fault("", "not-allowed", "%s takes no specifications", d.draft.Type)
		}
		return
	}
	s.done()
}

func (s *specs) fault(field, code, format string, args ...any) {
	pointer := "/specifications"
	if field != "" {
		pointer += "/" + field
	}
	s.faults.add(pointer, code, format, args...)
}

func (s *specs) machine() *domain.MachineSpec {
	m := &domain.MachineSpec{}
	m.Cores = s.cores()
	m.Memory = s.memory()
	m.Disk, m.DiskType = s.disk("disk", "diskType")
	m.Network = s.attachment()
	if image, given := s.text("image"); given != nil {
		if m.Image = image; image == "" {
			s.fault("image", "unknown-image", "\"\" is no image; leave it out for the operator's default")
		}
	}
	m.SSHKeys = s.list("sshKeys", domain.MaxSSHKeys)
	m.UserData, _ = s.text("userData")
	m.SecurityGroups = s.list("securityGroups", domain.MaxSecurityGroups)
	return m
}

func (s *specs) volume() *domain.VolumeSpec {
	v := &domain.VolumeSpec{}
	v.Size, v.Type = s.disk("size", "type")
	v.IOPS = s.integer("iops", 0)
	return v
}

func (s *specs) network() *domain.NetworkSpec {
	n := &domain.NetworkSpec{VLAN: s.integer("vlan", 1)}
	if text, given := s.text("subnet"); given != nil {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			s.fault("subnet", "not-a-subnet", "%q is no subnet; write for example \"10.0.1.0/24\"", clip(text))
		}
		n.Subnet = p
	}
	text, given := s.text("gateway")
	switch {
	case given != nil:
		a, err := netip.ParseAddr(text)
		if err != nil {
			s.fault("gateway", "not-an-address", "%q is no address; write for example \"10.0.1.1\"", clip(text))
		}
		n.Gateway = a.WithZone("")
	case n.Subnet.IsValid():
		n.Gateway = n.Subnet.Masked().Addr().Next()
	}
	return n
}

// cores reads 4 or "4 cores". Zero means missing, or a fault was noted.
func (s *specs) cores() int {
	n := s.either("cpu")
	if n == nil {
		return 0
	}
	if v, ok := n.value.(json.Number); ok {
		return s.whole("cpu", v, 1)
	}
	cores, err := domain.ParseCores(n.value.(string))
	switch {
	case err != nil:
		s.fault("cpu", "not-a-number-of-cores", "%v", err)
	case cores == 0:
		s.fault("cpu", "out-of-range", "0 is less than 1")
	}
	return cores
}

// integer takes a whole number of at least least. Zero means missing, or a fault.
func (s *specs) integer(key string, least int) int {
	v, given := s.number(key)
	if given == nil {
		return 0
	}
	return s.whole(key, v, least)
}

// whole turns a JSON number into an int. 4.0 and 4e0 are 4: JSON does not tell
// them apart. Numbers below least are left for the rules to name the range,
// except zero, which they would take for a missing field.
func (s *specs) whole(key string, v json.Number, least int) int {
	f, err := v.Float64()
	switch {
	case err != nil || f > 1<<31-1 || f < -1<<31:
		s.fault(key, "out-of-range", "%s is far out of range", clip(v.String()))
		return 0
	case f != float64(int(f)):
		s.fault(key, "not-a-whole-number", "%s is not a whole number", clip(v.String()))
		return 0
	case f == 0 && least > 0:
		s.fault(key, "out-of-range", "0 is less than %d", least)
	}
	return int(f)
}

// size reads 8, "8GB" or "8GB RAM" and returns the word behind the unit.
func (s *specs) size(key string) (size domain.MiB, word string) {
	n := s.either(key)
	if n == nil {
		return 0, ""
	}
	var err error
	switch v := n.value.(type) {
	case string:
		size, word, err = domain.ParseSize(v)
	case json.Number:
		var gib float64
		if gib, err = strconv.ParseFloat(v.String(), 64); err != nil {
			err = fmt.Errorf("%s GiB is more than 1 EiB", clip(v.String()))
		} else {
			size, err = domain.SizeOf(gib)
		}
	}
	if err != nil {
		s.fault(key, "not-a-size", "%v", err)
		return 0, ""
	}
	return size, word
}

func (s *specs) memory() domain.MiB {
	size, word := s.size("memory")
	if word != "" && word != "RAM" {
		s.fault("memory", "unknown-word", "%q does not fit memory; write for example \"8GB\" or \"8GB RAM\"", clip(word))
	}
	return size
}

// disk reads a size whose word may say the type of disk, and the field that says
// it by itself. SSD is meant when neither does.
func (s *specs) disk(key, typeKey string) (domain.MiB, domain.DiskType) {
	size, word := s.size(key)
	named := domain.DiskType(word)
	text, given := s.text(typeKey)
	kind := domain.DiskType(text)
	switch {
	case named != "" && named != domain.SSD && named != domain.HDD && named != domain.NVME:
		s.fault(key, "unknown-word", "%q is no disk type; use SSD, HDD or NVME", clip(word))
		named = ""
	case named != "" && given != nil && named != kind:
		s.fault(typeKey, "disagrees", "%q, but %s says %s", clip(text), key, named)
	}
	switch {
	case given != nil:
		return size, kind
	case named != "":
		return size, named
	}
	return size, domain.SSD
}

// attachment reads "bridged", "vlan-100" or {mode, name, vlan}.
func (s *specs) attachment() domain.Attachment {
	n := s.take("network")
	if n == nil {
		return domain.Attachment{}
	}
	switch v := n.value.(type) {
	case string:
		a, err := domain.ParseAttachment(v)
		if err != nil {
			s.fault("network", "not-a-network", "%v", err)
			return bridged // judged no further
		}
		return a
	case *object:
		return s.attachmentObject(n)
	}
	s.wrongType(n, "a string or an object")
	return bridged
}

var bridged = domain.Attachment{Mode: domain.ModeBridged}

func (s *specs) attachmentObject(n *node) domain.Attachment {
	inner := specs{s.decoded, open(n, s.complaints)}
	mode, modeGiven := inner.text("mode")
	name, nameGiven := inner.text("name")
	vlan, vlanGiven := inner.number("vlan")
	inner.done()
	if modeGiven == nil {
		mode = domain.ModeVLAN
		if vlanGiven == nil && name == domain.ModeBridged {
			mode = domain.ModeBridged
		}
	}
	a := domain.Attachment{Mode: mode, Name: name}
	if vlanGiven != nil {
		a.VLAN = s.whole("network/vlan", vlan, 1)
	}
	switch mode {
	case domain.ModeBridged:
		if nameGiven != nil && name != domain.ModeBridged {
			s.fault("network/name", "not-allowed", "a bridged network has no name of its own; leave it out")
		}
		a.Name = ""
		return a
	case domain.ModeVLAN:
	default:
		s.fault("network/mode", "unknown-value", "%q is no mode; use bridged or vlan", clip(mode))
		return bridged
	}
	switch {
	case nameGiven != nil && vlanGiven == nil:
		named, err := domain.ParseAttachment(name)
		if err != nil || named.Mode != domain.ModeVLAN {
			s.fault("network/name", "not-a-network", "%q names no VLAN; write \"vlan-N\"", clip(name))
			return bridged
		}
		return named
	case vlanGiven == nil:
		s.fault("network/vlan", "required", "is missing")
		return bridged
	case nameGiven == nil:
		a.Name = fmt.Sprintf("vlan-%d", a.VLAN)
	}
	if a.VLAN == 0 { // a fault was noted; the rules need not say it again
		return bridged
	}
	return a
}

// list takes an array of strings and lets at most most of them through: the
// rules look at each one.
func (s *specs) list(key string, most int) []string {
	all, given := s.texts(key)
	if given != nil && len(all) > most {
		s.fault(key, "too-many", "%d entries, at most %d", len(all), most)
		return nil
	}
	return all
}
