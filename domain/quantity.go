package domain

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// MiB is an amount of memory or storage in mebibytes. The product's "GB" is
// GiB: its source has 8GB as 8192 MB and 100GB as 102400 MB.
type MiB int64

// GiB is 1024 MiB.
const GiB MiB = 1024

// TiB is 1024 GiB.
const TiB = 1024 * GiB

// String prints the shortest exact form: "8GiB", "512MiB".
func (m MiB) String() string {
	if m != 0 && m%GiB == 0 {
		return fmt.Sprintf("%dGiB", m/GiB)
	}
	return fmt.Sprintf("%dMiB", int64(m))
}

// maxMiB bounds what a quantity may say (1 EiB), so that sums over any number of
// resources a tenant can have stay far from overflow.
const maxMiB = MiB(1) << 40

var quantity = pattern(`^([0-9]{1,15})(?:\.([0-9]{1,6}))?\s*([a-zA-Z]*)(?:\s+([a-zA-Z]+))?$`)

// ParseSize reads a size: "8GB", "8GiB", "8 GB", "8GB RAM", "512MiB", "1.5TB",
// "100GB SSD", or a bare number, which means GiB. word is what followed the
// unit in upper case ("RAM", "SSD"), empty if nothing did. The size must be a
// whole number of MiB, above zero and at most 1 EiB.
func ParseSize(s string) (size MiB, word string, err error) {
	m := quantity().FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return 0, "", fmt.Errorf("%q is not a size; write for example 8, \"8GB\" or \"512MiB\"", clip(s))
	}
	unit, ok := map[string]MiB{
		"": GiB, "M": 1, "MB": 1, "MIB": 1, "G": GiB, "GB": GiB, "GIB": GiB, "T": TiB, "TB": TiB, "TIB": TiB,
	}[strings.ToUpper(m[3])]
	if !ok {
		return 0, "", fmt.Errorf("%q has the unknown unit %q; use MiB, GiB or TiB", clip(s), clip(m[3]))
	}
	whole, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil || MiB(whole) > maxMiB/unit {
		return 0, "", fmt.Errorf("%q is more than 1 EiB", clip(s))
	}
	size = MiB(whole) * unit
	if m[2] != "" {
		part, scale := int64(0), int64(1)
		for _, digit := range m[2] {
			part, scale = part*10+int64(digit-'0'), scale*10
		}
		if part*int64(unit)%scale != 0 {
			return 0, "", fmt.Errorf("%q is not a whole number of MiB", clip(s))
		}
		size += MiB(part * int64(unit) / scale)
	}
	if size <= 0 {
		return 0, "", fmt.Errorf("%q is not above zero", clip(s))
	}
	return size, strings.ToUpper(m[4]), nil
}

// SizeOf turns a JSON number, which means GiB, into a size by the rules of [ParseSize].
func SizeOf(gib float64) (MiB, error) {
	mib := gib * float64(GiB)
	switch {
	case math.IsNaN(mib) || mib <= 0:
		return 0, fmt.Errorf("%g is not above zero", gib)
	case mib > float64(maxMiB):
		return 0, fmt.Errorf("%g GiB is more than 1 EiB", gib)
	case mib != math.Trunc(mib):
		return 0, fmt.Errorf("%g GiB is not a whole number of MiB", gib)
	}
	return MiB(mib), nil
}

var cores = pattern(`^([0-9]{1,9})(?:\s*(?i:cores?|vcpus?))?$`)

// ParseCores reads a number of virtual CPUs: "4", "4 cores", "1 core", "4 vCPU".
func ParseCores(s string) (int, error) {
	m := cores().FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return 0, fmt.Errorf("%q is not a number of cores; write for example 4 or \"4 cores\"", clip(s))
	}
	return strconv.Atoi(m[1])
}

// clip keeps what a client wrote short enough to be repeated in an error.
func clip(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "..."
	}
	return s
}
