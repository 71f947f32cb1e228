package cloudinit

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"kbnt.dev/virtualization/domain"
)

// Machine is what the documents of one guest are made of.
type Machine struct {
	InstanceID string   // changes when the guest is to set itself up again: domain.Key.UUID
	Hostname   string   // RFC 1123 label, at most 63 of a-z 0-9 -; see [Hostname]
	User       string   // the image's user, who gets the keys; empty: whoever the image says
	SSHKeys    []string // lines of an authorized_keys file
	Agents     []Agent  // installed at the first boot, in this order
	UserData   string   // the client's own: "#cloud-config" or a script, up to domain.MaxUserData bytes; may be empty
	NICs       []NIC    // as many as the guest has; none: the image's default applies
}

// Agent is a service of the guest that is not in the image.
type Agent struct {
	Package string // of the image's distribution
	Unit    string // systemd unit, enabled and started
}

// GuestAgent tells the hypervisor about the guest: its addresses, its health. The
// names are those of Debian, Ubuntu and Fedora.
func GuestAgent() Agent { return Agent{Package: "qemu-guest-agent", Unit: "qemu-guest-agent"} }

// Monitor serves baselines of processor, memory and disk on TCP port 9100. The
// names are those of Debian and Ubuntu.
func Monitor() Agent {
	return Agent{Package: "prometheus-node-exporter", Unit: "prometheus-node-exporter"}
}

// NIC is one network card of a guest.
type NIC struct {
	MAC     string       // by which the guest finds it: "52:54:00:6a:08:08"
	Address netip.Prefix // zero: by DHCP
	Gateway netip.Addr   // inside Address; zero: no way out
	DNS     []netip.Addr // servers; none: as the image has it
}

// Documents are the files of the data source NoCloud.
type Documents struct {
	UserData      []byte // "user-data"
	MetaData      []byte // "meta-data"
	NetworkConfig []byte // "network-config", version 2; nil without a NIC
}

// New makes the documents. Invalid: a host name that is none, a user, package or
// unit outside a-z 0-9 _ . + @ -, a key of several lines, user data that is neither
// kind, not UTF-8 or too long, a MAC or an address that is none, a gateway
// outside the subnet.
func New(m Machine) (Documents, error) {
	if err := m.check(); err != nil {
		return Documents{}, &domain.Error{Op: "cloudinit", Kind: domain.Invalid, Code: "invalid-spec", Detail: err.Error()}
	}
	return Documents{UserData: m.userData(), MetaData: m.metaData(), NetworkConfig: m.networkConfig()}, nil
}

// Hostname makes a host name of a virtualResourceId: "VM-0909A693" is
// "vm-0909a693". What is too long for a label is cut.
func Hostname(virtualID string) string {
	return strings.TrimRight(strings.ToLower(virtualID[:min(len(virtualID), 63)]), "-")
}

// Words of a guest, compiled when they are first needed.
var (
	label = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`) })
	word  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z_][a-z0-9_.+@-]{0,127}$`) })
)

func (m Machine) check() error {
	switch {
	case m.InstanceID == "" || len(m.InstanceID) > 255 || hasControl(m.InstanceID):
		return fmt.Errorf("%.40q is no instance id", m.InstanceID)
	case !label().MatchString(m.Hostname):
		return fmt.Errorf("%.80q is no host name", m.Hostname)
	case m.User != "" && !word().MatchString(m.User):
		return fmt.Errorf("%.40q is no user of a guest", m.User)
	case len(m.UserData) > domain.MaxUserData || !utf8.ValidString(m.UserData) || strings.ContainsRune(m.UserData, 0):
		return fmt.Errorf("user data is not UTF-8 text of at most %d bytes", domain.MaxUserData)
	case m.UserData != "" && kindOf(m.UserData) == "":
		return fmt.Errorf("user data begins neither with \"#cloud-config\" on a line of its own nor with \"#!\"")
	}
	for i, key := range m.SSHKeys {
		if key == "" || len(key) > domain.MaxSSHKey || hasControl(key) || !utf8.ValidString(key) {
			return fmt.Errorf("SSH key %d is no line of an authorized_keys file", i)
		}
	}
	for _, a := range m.Agents {
		if !word().MatchString(a.Package) || !word().MatchString(a.Unit) {
			return fmt.Errorf("%.40q with the unit %.40q is no package", a.Package, a.Unit)
		}
	}
	for i, n := range m.NICs {
		if err := n.check(); err != nil {
			return fmt.Errorf("network card %d: %w", i, err)
		}
	}
	return nil
}

func (n NIC) check() error {
	mac, err := net.ParseMAC(n.MAC)
	switch {
	case err != nil || len(mac) != 6:
		return fmt.Errorf("%.40q is no hardware address", n.MAC)
	case n.Address.IsValid() && n.Address.Addr().Zone() != "", !n.Address.IsValid() && n.Address != netip.Prefix{}:
		return fmt.Errorf("%s is no address", n.Address)
	case n.Gateway.IsValid() && (!n.Address.Contains(n.Gateway) || n.Gateway == n.Address.Addr()):
		return fmt.Errorf("%s is no gateway of %s", n.Gateway, n.Address)
	}
	for _, server := range n.DNS {
		if !server.IsValid() || server.Zone() != "" {
			return fmt.Errorf("%s is no DNS server", server)
		}
	}
	return nil
}

func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }
