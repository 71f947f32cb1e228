package domain_test

import (
	"regexp"
	"testing"

	"kbnt.dev/virtualization/domain"
)

// These values are in stores and topics: a change of any of them would make
// what was stored before unfindable.
func TestIDs_neverChange(t *testing.T) {
	t.Parallel()
	m := domain.MessageID("acme", "req-abc123")
	uid := domain.ResourceUID(m)
	for what, got := range map[string][2]string{
		"message":  {m, "813c12a2-331c-5aa7-ad2d-9170d012be9d"},
		"result":   {domain.ResultID(m), "9ecbd427-8bff-517f-8346-21efa1c5369e"},
		"terminal": {domain.TerminalID(m), "6559dd16-e06d-5717-a29f-dac296ad8341"},
		"resource": {uid, "be47b1f1-e747-5213-a090-16560f07e5fe"},
		"virtual":  {domain.VirtualID(domain.Machine, "acme", "req-abc123", 8), "VM-F406EC32"},
		"volume":   {domain.Key{Resource: uid, Kind: domain.ThingVolume}.Name(), "kbnt-volume-0-be47b1f1-e747-5213-a090-16560f07e5fe"},
		"mac":      {domain.Key{Resource: uid, Kind: domain.ThingMachine}.MAC(), "52:54:00:41:53:13"},
	} {
		if got[0] != got[1] {
			t.Errorf("%s id = %s, want %s", what, got[0], got[1])
		}
	}
}

func TestIDs_form(t *testing.T) {
	t.Parallel()
	v5 := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	m := domain.MessageID("t", "r")
	for _, id := range []string{m, domain.ResultID(m), domain.TerminalID(m), domain.ResourceUID(m), domain.DeadLetterID(m, "provision")} {
		if !v5.MatchString(id) {
			t.Errorf("%s is no UUIDv5 (RFC 9562)", id)
		}
	}
	if domain.MessageID("ab", "c") == domain.MessageID("a", "bc") {
		t.Error("two tenants' requests share an id")
	}
	if got := domain.VirtualID(domain.Volume, "t", "r", 9); len(got) != len("STOR-")+9 {
		t.Errorf("VirtualID with 9 digits = %s", got)
	}
	if got := domain.DisplayID(domain.Machine, "20250830", 1); got != "VM-KBNT-20250830-001" {
		t.Errorf("DisplayID = %s", got)
	}
	name := domain.Key{Resource: domain.ResourceUID(m), Kind: domain.ThingNetwork}.Name()
	if len(name) > 63 || !regexp.MustCompile(`^[a-z][a-z0-9-]*$`).MatchString(name) {
		t.Errorf("%s is no RFC 1123 label", name)
	}
}

func TestPrices(t *testing.T) {
	t.Parallel()
	p := domain.DefaultPrices()
	if got := p.Hourly(machineDraft().Spec); got != 45_000 {
		t.Errorf("4 vCPU, 8 GiB, 100 GiB SSD cost %v per hour, want 0.045 USD", got)
	}
	if got := domain.Accrued(45_000, 0); got != 45_000 {
		t.Errorf("the first hour is billed at creation, got %v", got)
	}
	if got := domain.Accrued(45_000, 61*60e9); got != 90_000 {
		t.Errorf("after 61 minutes got %v, want two hours", got)
	}
	for name, d := range map[string]domain.Draft{"volume": volumeDraft(), "network": networkDraft()} {
		if p.Hourly(d.Spec) <= 0 {
			t.Errorf("a %s costs nothing", name)
		}
	}
}

func TestQuota_Check(t *testing.T) {
	t.Parallel()
	q := domain.Quota{Machines: 1, Cores: 4, Memory: 8 * domain.GiB, Storage: 100 * domain.GiB, Networks: 0, InFlight: 1, Budget: 45_000}
	one := domain.UsageOf(machineDraft().Spec, 45_000)
	if broken := append(q.Check(domain.Usage{}, one), q.CheckBudget(domain.Usage{}, one)...); len(broken) > 0 {
		t.Errorf("exactly the quota is allowed, got %v", broken)
	}
	if broken := append(q.Check(one, one), q.CheckBudget(one, one)...); len(broken) != 5 {
		t.Errorf("twice the quota breaks machines, cores, memory, storage and budget, got %v", broken)
	}
	over := domain.Usage{Machines: 5, InFlight: 0}
	if broken := q.Check(over, domain.Usage{InFlight: 1}); len(broken) > 0 {
		t.Errorf("a tenant over its quota may still delete, got %v", broken)
	}
}

func TestDefaultOffer(t *testing.T) {
	t.Parallel()
	o := domain.DefaultOffer()
	if wrong := o.Validate(); len(wrong) > 0 {
		t.Errorf("the default offer is wrong: %v", wrong)
	}
	if got := o.Segments.Subnet(domain.Attachment{Mode: domain.ModeVLAN, VLAN: 100}).String(); got != "198.18.100.0/24" {
		t.Errorf("VLAN 100 has %s", got)
	}
	o.Segments.Last, o.Images = 5000, nil
	if wrong := o.Validate(); len(wrong) < 2 {
		t.Errorf("mistakes are reported at once, got %v", wrong)
	}
}
