package simulated

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"
)

// Latency says how long things take.
type Latency struct {
	Network Range // made
	Volume  Range // made
	Start   Range // a machine is made or switched on
	Boot    Range // switched on until ready
	Stop    Range // a machine is switched off
	Delete  Range // anything is deleted
}

// Range of a latency, both ends included.
type Range struct{ Min, Max time.Duration }

// DefaultLatency is life-like. Network, volume, start and boot were measured with
// libvirt 9.0 and QEMU 7.2 without hardware virtualization; stop and delete are
// chosen.
func DefaultLatency() Latency {
	return Latency{
		Network: Range{300 * time.Millisecond, 700 * time.Millisecond},
		Volume:  Range{100 * time.Millisecond, 100 * time.Millisecond},
		Start:   Range{600 * time.Millisecond, 1200 * time.Millisecond},
		Boot:    Range{7 * time.Second, 13 * time.Second},
		Stop:    Range{500 * time.Millisecond, 1500 * time.Millisecond},
		Delete:  Range{100 * time.Millisecond, 400 * time.Millisecond},
	}
}

func (l Latency) mistakes() []error {
	var wrong []error
	for name, r := range map[string]Range{"network": l.Network, "volume": l.Volume, "start": l.Start, "boot": l.Boot, "stop": l.Stop, "delete": l.Delete} {
		if r.Min < 0 || r.Max < r.Min {
			wrong = append(wrong, fmt.Errorf("latency of %s %s to %s: want 0 or more, in order", name, r.Min, r.Max))
		}
	}
	return wrong
}

// took draws how long it takes for the thing of that name, always the same.
func (h *Hypervisor) took(r Range, name, what string) time.Duration {
	if h.speed == 0 {
		return 0
	}
	return time.Duration((float64(r.Min) + draw(name, what)*float64(r.Max-r.Min)) / h.speed)
}

// draw maps a name and what it is drawn for to [0, 1).
func draw(name, what string) float64 {
	sum := sha256.Sum256([]byte(name + "\x1f" + what))
	return float64(binary.BigEndian.Uint64(sum[:])>>11) / (1 << 53)
}
