package application

import (
	"errors"
	"fmt"
	"testing"

	"kbnt.dev/virtualization/domain"
)

func TestVerdictOf(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reason string
		err    error
		want   Verdict
	}{
		"done":            {"the event need not come again", nil, Acknowledge},
		"busy":            {"another delivery holds the lease; waiting is not an attempt", &domain.Error{Kind: domain.Conflict, Code: CodeBusy}, Busy},
		"not ready":       {"the hypervisor is at work; waiting is not an attempt", fmt.Errorf("observe: %w", &domain.Error{Kind: domain.Unavailable, Code: CodeNotReady}), NotReady},
		"registry away":   {"waiting for it is no attempt: what runs is not undone", &domain.Error{Kind: domain.Unavailable, Code: CodeRegistryAway}, NotReady},
		"store away":      {"only trouble counts", &domain.Error{Kind: domain.Unavailable}, Trouble},
		"other conflict":  {"the code decides, not the kind", &domain.Error{Kind: domain.Conflict}, Trouble},
		"final":           {"giving up is a dead letter and nil, never an error", &domain.Error{Kind: domain.Invalid, Code: "undecodable"}, Trouble},
		"nobody's error":  {"taken for a defect", errors.New("busy"), Trouble},
		"no such request": {"its transaction may be late", &domain.Error{Kind: domain.NotFound}, Trouble},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := VerdictOf(test.err); got != test.want {
				t.Errorf("VerdictOf(%v): got %v, want %v: %s", test.err, got, test.want, test.reason)
			}
		})
	}
	if got := Verdict(9).String(); got != "unknown" {
		t.Errorf("Verdict(9): got %q", got)
	}
}
