package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Loopback is a host:port that only this machine reaches, such as
// 127.0.0.1:8080 or [::1]:8080. Port 0 takes any that is free.
type Loopback string

// Decode reads host:port. No host and localhost mean 127.0.0.1, whatever the
// machine's tables make of localhost. Other names and addresses are refused.
func (l *Loopback) Decode(value string) error {
	const why = "a loopback address such as 127.0.0.1:8080 (port 0: any), because nobody is authenticated on a laptop"
	host, port, err := net.SplitHostPort(value)
	if err != nil {
		return errors.New(why)
	}
	if host == "" || host == "localhost" {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.Unmap().IsLoopback() || ip.Zone() != "" {
		return errors.New(why)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return errors.New("a port of 0 to 65535 in " + why)
	}
	*l = Loopback(net.JoinHostPort(ip.Unmap().String(), port))
	return nil
}

// String is the address as net.Listen takes it.
func (l Loopback) String() string { return string(l) }

// taken reports whether two listeners on these addresses would collide.
func (l Loopback) taken(by Loopback) bool { return l == by && !strings.HasSuffix(string(l), ":0") }

// Brokers are the bootstrap addresses of a Kafka, each host:port.
type Brokers []string

// Decode reads a comma-separated list; nothing is an empty one.
func (b *Brokers) Decode(value string) error {
	*b = nil
	if strings.TrimSpace(value) == "" {
		return nil
	}
	for broker := range strings.SplitSeq(value, ",") {
		broker = strings.TrimSpace(broker)
		host, port, err := net.SplitHostPort(broker)
		n, notNumber := strconv.ParseUint(port, 10, 16)
		if err != nil || notNumber != nil || n == 0 || host == "" || strings.ContainsAny(host, "/ ") {
			return fmt.Errorf("host:port, more of them separated by commas, without a scheme; %q is none", broker)
		}
		*b = append(*b, broker)
	}
	return nil
}

// Name is a user or a tenant: 1 to 64 of A-Z a-z 0-9 . _ @ -, the first a letter
// or a digit.
type Name string

func isName(s string) bool { return consists(s, 64, "._@-") && consists(s[:1], 1, "") }

// consists reports whether s is 1 to most letters and digits of ASCII, and others.
// (A pattern with {0,511} costs a cold start more than all the rest of this
// package.)
func consists(s string, most int, others string) bool {
	return s != "" && len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(others, r)
	})
}

// Decode reads a name.
func (n *Name) Decode(value string) error {
	if !isName(value) {
		return errors.New("1 to 64 of A-Z a-z 0-9 . _ @ -, beginning with a letter or a digit")
	}
	*n = Name(value)
	return nil
}

// Path names a file or a folder that need not exist yet.
type Path string

// Decode reads a path; an empty one would be the current folder by accident.
func (p *Path) Decode(value string) error {
	if strings.TrimSpace(value) == "" || strings.ContainsRune(value, 0) {
		return errors.New("a path")
	}
	*p = Path(value)
	return nil
}

// VLANs is a range of VLAN ids, both ends included; the zero value is none.
type VLANs struct{ First, Last int }

// Decode reads 100-199 or none.
func (v *VLANs) Decode(value string) error {
	if value == "none" {
		*v = VLANs{}
		return nil
	}
	low, high, _ := strings.Cut(value, "-")
	first, err1 := strconv.Atoi(low)
	last, err2 := strconv.Atoi(high)
	if err := errors.Join(err1, err2); err != nil || first < 1 || last > 4094 || last < first {
		return errors.New("a range within 1-4094 such as 100-199, or none")
	}
	*v = VLANs{First: first, Last: last}
	return nil
}

// String is the range as it is written.
func (v VLANs) String() string {
	if v == (VLANs{}) {
		return "none"
	}
	return fmt.Sprintf("%d-%d", v.First, v.Last)
}

// Format is how a log line is written: text or json.
type Format string

// The formats there are.
const (
	Text Format = "text" // for people
	JSON Format = "json" // for machines
)

// Decode reads the name of a format.
func (f *Format) Decode(value string) error {
	switch Format(value) {
	case Text, JSON:
		*f = Format(value)
		return nil
	}
	return errors.New("text or json")
}
