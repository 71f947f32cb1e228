package domain_test

import (
	"testing"
	"time"

	"kbnt.dev/virtualization/domain"
)

var noon = time.Date(2025, 8, 30, 12, 0, 0, 0, time.UTC)

func TestRequest_Turn(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason  string
		request domain.Request
		want    bool
	}{
		"a hopeful one":    {reason: "the goal turns once", request: domain.Request{Type: domain.CreateMachine, Begun: true}, want: true},
		"turned before":    {reason: "and never again", request: domain.Request{Type: domain.CreateMachine, Verdict: domain.Cancelled}},
		"decided":          {reason: "an outcome is never reopened", request: domain.Request{Type: domain.CreateMachine, Decided: domain.Completed}},
		"deletion, waits":  {reason: "a deletion that has not begun can be taken back", request: domain.Request{Type: domain.DeleteMachine}, want: true},
		"deletion, begun":  {reason: "what is half deleted cannot come back", request: domain.Request{Type: domain.DeleteMachine, Begun: true}},
		"release, begun":   {reason: "the same for volumes", request: domain.Request{Type: domain.ReleaseStorage, Begun: true}},
		"restart, halfway": {reason: "a restart is undone by starting", request: domain.Request{Type: domain.RestartMachine, Begun: true}, want: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := c.request
			r.Goal = domain.ToTarget
			if got := r.Turn(domain.Fault, "test", noon); got != c.want {
				t.Errorf("%s: Turn(%+v) = %v, want %v", c.reason, c.request, got, c.want)
			}
			if turned := r.Goal == domain.ToOrigin; turned != c.want {
				t.Errorf("%s: goal %q after Turn", c.reason, r.Goal)
			}
		})
	}
}

func TestRequest_Cancel(t *testing.T) {
	t.Parallel()
	r := domain.Request{Type: domain.CreateMachine, Goal: domain.ToTarget, From: domain.Absent, To: domain.Running}
	if err := r.Cancel(noon); err != nil {
		t.Fatalf("Cancel of a fresh request: %v", err)
	}
	if err := r.Cancel(noon); err != nil {
		t.Errorf("a second cancel is the same answer, got %v", err)
	}
	if got := r.Destination(); got != domain.Absent {
		t.Errorf("Destination() after cancel = %s, want %s", got, domain.Absent)
	}
	r.Decide(noon)
	if r.Decided != domain.Cancelled {
		t.Errorf("an accepted cancel always ends CANCELLED, got %s", r.Decided)
	}
	if err := r.Cancel(noon); domain.CodeOf(err) != "outcome-decided" {
		t.Errorf("Cancel of a decided request = %v, want outcome-decided", err)
	}
	begun := domain.Request{Type: domain.DeleteMachine, Begun: true}
	if err := begun.Cancel(noon); domain.CodeOf(err) != "cannot-be-undone" || domain.KindOf(err) != domain.Conflict {
		t.Errorf("Cancel of a begun deletion = %v, want cannot-be-undone", err)
	}
	failing := domain.Request{Type: domain.CreateMachine, Verdict: domain.Fault, Reason: domain.ReasonDeadline}
	if err := failing.Cancel(noon); domain.CodeOf(err) != "outcome-decided" {
		t.Errorf("Cancel of a failing request = %v, want outcome-decided", err)
	}
}

func TestRequest_Decide(t *testing.T) {
	t.Parallel()
	r := domain.Request{Status: domain.Processing}
	if r.Finish(noon) {
		t.Error("Finish before Decide reported success")
	}
	if !r.Decide(noon) || r.Decided != domain.Completed {
		t.Errorf("Decide() without a verdict = %s, want COMPLETED", r.Decided)
	}
	r.Verdict = domain.Fault
	if r.Decide(noon) || r.Decided != domain.Completed {
		t.Errorf("the outcome was written twice: %s", r.Decided)
	}
	if !r.Unfinished() {
		t.Error("a decided request is unfinished until it is announced")
	}
	if !r.Finish(noon) || r.Status != domain.Completed || r.Finish(noon) {
		t.Errorf("Finish must work once, status %s", r.Status)
	}
}

func TestResource_lease(t *testing.T) {
	t.Parallel()
	r := domain.Resource{}
	first, ok := r.Acquire("a", noon, noon.Add(time.Minute))
	if !ok || first != 1 {
		t.Fatalf("Acquire of a free lease = %d, %v", first, ok)
	}
	if _, ok := r.Acquire("b", noon.Add(30*time.Second), noon.Add(time.Hour)); ok {
		t.Error("two hold the lease")
	}
	second, ok := r.Acquire("b", noon.Add(time.Minute), noon.Add(2*time.Minute))
	if !ok || second != 2 {
		t.Fatalf("Acquire of a lease that ran out = %d, %v", second, ok)
	}
	r.Release(first, noon.Add(time.Minute))
	if !r.Lease.Until.Equal(noon.Add(2 * time.Minute)) {
		t.Error("a release with an old epoch freed another's lease (counterexample X8)")
	}
	if r.Holds(first) || !r.Holds(second) {
		t.Error("the fence does not tell old from new")
	}
	r.Release(second, noon.Add(time.Minute))
	if _, ok := r.Acquire("c", noon.Add(time.Minute), noon.Add(3*time.Minute)); !ok {
		t.Error("a released lease is not free")
	}
}
