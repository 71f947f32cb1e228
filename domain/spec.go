package domain

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// DiskType is the class of a volume.
type DiskType string

const (
	SSD  DiskType = "SSD"
	HDD  DiskType = "HDD"
	NVME DiskType = "NVME"
)

// Modes of an [Attachment].
const (
	ModeBridged = "bridged" // the host's default network
	ModeVLAN    = "vlan"    // a segment, named by its VLAN
)

// DefaultImage is booted when a request names none, unless the operator offers
// others.
const DefaultImage = "Ubuntu 22.04"

// Attachment says which network a machine is on.
type Attachment struct {
	Mode string `json:"mode"`           // ModeBridged or ModeVLAN
	Name string `json:"name,omitempty"` // "vlan-100"; may be empty for bridged
	VLAN int    `json:"vlan,omitempty"` // 1..4094 for ModeVLAN, else 0
}

// ParseAttachment reads the short form of a network: "bridged" or "vlan-100".
func ParseAttachment(s string) (Attachment, error) {
	if s == ModeBridged {
		return Attachment{Mode: ModeBridged}, nil
	}
	if digits, ok := strings.CutPrefix(s, "vlan-"); ok && digits != "" && digits[0] != '0' {
		if n, err := strconv.ParseUint(digits, 10, 31); err == nil {
			return Attachment{Mode: ModeVLAN, Name: s, VLAN: int(n)}, nil
		}
	}
	return Attachment{}, fmt.Errorf("%q is not a network; write \"bridged\" or \"vlan-N\" with N from 1 to 4094", clip(s))
}

// MachineSpec is what a client asks of a virtual machine.
type MachineSpec struct {
	Cores          int        `json:"cpu"`       // virtual CPUs, 1..Limits.Cores
	Memory         MiB        `json:"memoryMiB"` // 128 MiB..Limits.Memory
	Disk           MiB        `json:"diskMiB"`   // root volume, 1 GiB..Limits.Disk
	DiskType       DiskType   `json:"diskType"`
	Network        Attachment `json:"network"`
	Image          string     `json:"image"`                    // a name in the operator's catalogue
	SSHKeys        []string   `json:"sshKeys,omitempty"`        // authorized_keys lines, at most 16
	UserData       string     `json:"userData,omitempty"`       // cloud-init user data, at most 16 KiB
	SecurityGroups []string   `json:"securityGroups,omitempty"` // names, at most 16
}

// VolumeSpec is what a client asks of a volume.
type VolumeSpec struct {
	Size MiB      `json:"sizeMiB"` // 1 GiB..Limits.Disk
	Type DiskType `json:"type"`
	IOPS int      `json:"iops,omitempty"` // 0: what the class gives; else 100..the class's limit
}

// NetworkSpec is what a client asks of a network.
type NetworkSpec struct {
	Subnet  netip.Prefix `json:"subnet"`  // IPv4, /16../29, without host bits
	VLAN    int          `json:"vlan"`    // 1..4094
	Gateway netip.Addr   `json:"gateway"` // inside Subnet; default: its first address
}

// Specification is what a client asks of a resource: exactly one field is set
// for a request that creates, none for one that works on what exists.
type Specification struct {
	Machine *MachineSpec `json:"machine,omitempty"`
	Volume  *VolumeSpec  `json:"volume,omitempty"`
	Network *NetworkSpec `json:"network,omitempty"`
}

// Clone returns a copy that shares nothing.
func (s Specification) Clone() Specification {
	if s.Machine != nil {
		m := *s.Machine
		m.SSHKeys, m.SecurityGroups = slices.Clone(m.SSHKeys), slices.Clone(m.SecurityGroups)
		s.Machine = &m
	}
	if s.Volume != nil {
		v := *s.Volume
		s.Volume = &v
	}
	if s.Network != nil {
		n := *s.Network
		s.Network = &n
	}
	return s
}

// Labels are the client's own marks on a request: at most 16, keys up to 63
// characters, values up to 255. They are carried along and never interpreted,
// but for the simulated hypervisor, which takes its faults from them.
type Labels map[string]string

// Clone returns a copy that shares nothing.
func (l Labels) Clone() Labels { return maps.Clone(l) }
