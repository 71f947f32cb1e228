package libvirt

import (
	"errors"
	"io"
	"testing"

	"kbnt.dev/virtualization/domain"
)

// TestWeight holds which of two hosts' errors a deletion ends with.
func TestWeight(t *testing.T) {
	t.Parallel()
	foreign := taken("foreign", "x")
	down := downError(Host{Name: "b"})
	denied := &domain.Error{Kind: domain.Forbidden, Code: "host-denies"}
	lost := answer("cut power", io.EOF)
	for name, c := range map[string]struct {
		reason       string
		less, counts error
	}{
		"foreign and down":      {"the host that is down may have ours", foreign, down},
		"foreign and denied":    {"the host that denies may have ours", foreign, denied},
		"denied and down":       {"waiting may help", denied, down},
		"down and lost":         {"something may still land", down, lost},
		"denied and unclassed":  {"something is wrong with us", denied, errors.New("x")},
		"foreign and unclassed": {"the same", foreign, errors.New("x")},
	} {
		if weight(c.less) >= weight(c.counts) {
			t.Errorf("%s: got %v told, want %v: %s", name, c.less, c.counts, c.reason)
		}
	}
}

// TestTogether is the table of what several hosts make of one key.
func TestTogether(t *testing.T) {
	t.Parallel()
	machine, network := wanted().Key, wantedNetwork().Key
	saw := func(host string, phase domain.ThingPhase) found {
		return found{host: host, seen: domain.Observation{Phase: phase}}
	}
	away := found{host: "c", err: errors.New("away")}
	for name, c := range map[string]struct {
		reason string
		key    domain.Key
		all    []found
		want   domain.ThingPhase // empty: an error
	}{
		"machine, nowhere":              {"all hosts said no", machine, []found{saw("a", domain.ThingAbsent), saw("b", domain.ThingAbsent)}, domain.ThingAbsent},
		"machine, on one":               {"it is where it is", machine, []found{saw("a", domain.ThingAbsent), saw("b", domain.ThingReady)}, domain.ThingReady},
		"machine, on one, one away":     {"a machine is on one host", machine, []found{saw("a", domain.ThingReady), away}, domain.ThingReady},
		"machine, nowhere, one away":    {"it may be there: never taken for absent", machine, []found{saw("a", domain.ThingAbsent), away}, domain.ThingUnknown},
		"machine, all away":             {"nobody answered", machine, []found{away}, ""},
		"network, everywhere":           {"any host may get a machine", network, []found{saw("a", domain.ThingReady), saw("b", domain.ThingReady)}, domain.ThingReady},
		"network, missing on one":       {"a machine there would have no network", network, []found{saw("a", domain.ThingReady), saw("b", domain.ThingAbsent)}, domain.ThingCreating},
		"network, not running on one":   {"the same", network, []found{saw("a", domain.ThingReady), saw("b", domain.ThingCreating)}, domain.ThingCreating},
		"network, nowhere":              {"all hosts said no", network, []found{saw("a", domain.ThingAbsent), saw("b", domain.ThingAbsent)}, domain.ThingAbsent},
		"network, nowhere, one away":    {"it may be there", network, []found{saw("a", domain.ThingAbsent), away}, domain.ThingUnknown},
		"network, everywhere, one away": {"a host that is away gets no machines", network, []found{saw("a", domain.ThingReady), away}, domain.ThingReady},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, err := together(c.key, c.all)
			if (err != nil) != (c.want == "") || o.Phase != c.want {
				t.Errorf("got %s, %v, want %s: %s", o.Phase, err, c.want, c.reason)
			}
		})
	}
}
