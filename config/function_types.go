package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
)

// Role is a function's name.
type Role string

// The functions there are.
const (
	RoleIntake    Role = "intake"
	RoleProvision Role = "provision"
	RoleNotify    Role = "notify"
)

// Decode reads the name of a function.
func (r *Role) Decode(value string) error {
	switch Role(value) {
	case RoleIntake, RoleProvision, RoleNotify:
		*r = Role(value)
		return nil
	}
	return errors.New("intake, provision or notify")
}

// URL is an absolute http or https URL, such as that of a KafkaSink:
// http://kafka-sink-ingress.knative-eventing.svc.cluster.local/kbnt/virtualization-requests.
type URL string

// Decode reads a URL. One with a user in it is refused: it would be logged.
func (u *URL) Decode(value string) error {
	parsed, err := url.Parse(value)
	switch {
	case err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Hostname() == "":
		return errors.New("an absolute http or https URL")
	case parsed.User != nil || parsed.Fragment != "":
		return errors.New("an http or https URL without user, password or fragment")
	}
	*u = URL(value)
	return nil
}

// hide shows nothing of a URL that may name a password.
func (URL) hide(refused string) string {
	if strings.Contains(refused, "@") {
		return mask
	}
	return refused
}

// DatabaseURL is where PostgreSQL is and how to get in. Printed in any way, it
// shows the user, the host and the database, and neither the password nor the
// query, which may hold one too. string(u) reveals it.
type DatabaseURL string

// Decode reads postgres://user:password@host:5432/database?sslmode=verify-full.
// The error never repeats what it was given.
func (u *DatabaseURL) Decode(value string) error {
	parsed, err := url.Parse(value)
	if err != nil || parsed.Scheme != "postgres" && parsed.Scheme != "postgresql" || parsed.Opaque != "" {
		return errors.New("a URL of PostgreSQL: postgres://user:password@host:5432/database")
	}
	*u = DatabaseURL(value)
	return nil
}

// shown is the URL without its secrets.
func (u DatabaseURL) shown() string {
	if u == "" {
		return ""
	}
	parsed, err := url.Parse(string(u))
	if err != nil {
		return mask
	}
	user := ""
	if parsed.User != nil {
		user = url.PathEscape(parsed.User.Username()) + "@"
		if _, secret := parsed.User.Password(); secret {
			user = url.PathEscape(parsed.User.Username()) + ":" + mask + "@"
		}
	}
	return parsed.Scheme + "://" + user + parsed.Host + parsed.EscapedPath()
}

func (DatabaseURL) hide(refused string) string {
	if refused == "" {
		return ""
	}
	return mask
}

// Format shows the URL without its secrets under every verb.
func (u DatabaseURL) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, u.shown()) }

// LogValue shows the URL without its secrets to slog.
func (u DatabaseURL) LogValue() slog.Value { return slog.StringValue(u.shown()) }

// MarshalText shows the URL without its secrets to encoding/json and others.
func (u DatabaseURL) MarshalText() ([]byte, error) { return []byte(u.shown()), nil }

// Hypervisor names a driver.
type Hypervisor string

// The drivers there are. Simulated makes nothing real.
const (
	Simulated Hypervisor = "simulated"
	KubeVirt  Hypervisor = "kubevirt"
	Libvirt   Hypervisor = "libvirt"
)

// Decode reads the name of a driver.
func (h *Hypervisor) Decode(value string) error {
	switch Hypervisor(value) {
	case Simulated, KubeVirt, Libvirt:
		*h = Hypervisor(value)
		return nil
	}
	return errors.New("kubevirt, libvirt, or simulated, which makes nothing real")
}
