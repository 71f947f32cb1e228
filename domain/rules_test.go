package domain_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"kbnt.dev/virtualization/domain"
)

func machineDraft() domain.Draft {
	return domain.Draft{Type: domain.CreateMachine, RequestID: "req-abc123", User: "user-789", Priority: domain.Normal,
		Spec: domain.Specification{Machine: &domain.MachineSpec{Cores: 4, Memory: 8 * domain.GiB, Disk: 100 * domain.GiB, DiskType: domain.SSD,
			Network: domain.Attachment{Mode: "vlan", Name: "vlan-100", VLAN: 100}, Image: domain.DefaultImage}}}
}

func volumeDraft() domain.Draft {
	d := machineDraft()
	d.Type, d.Spec = domain.AllocateStorage, domain.Specification{Volume: &domain.VolumeSpec{Size: 500 * domain.GiB, Type: domain.SSD, IOPS: 3000}}
	return d
}

func networkDraft() domain.Draft {
	d := machineDraft()
	d.Type, d.Spec = domain.CreateNetwork, domain.Specification{Network: &domain.NetworkSpec{
		Subnet: netip.MustParsePrefix("10.0.1.0/24"), VLAN: 200, Gateway: netip.MustParseAddr("10.0.1.1")}}
	return d
}

func stopDraft() domain.Draft {
	d := machineDraft()
	d.Type, d.Spec, d.VirtualResourceID = domain.StopMachine, domain.Specification{}, "VM-0909A693"
	return d
}

func TestOffer_Check(t *testing.T) {
	t.Parallel()
	type d = domain.Draft
	cases := map[string]struct {
		reason string
		draft  func() d
		change func(*d)
		want   []string // "pointer code", in order
	}{
		"a machine":           {reason: "the source's first sample request is valid", draft: machineDraft},
		"a volume":            {reason: "the source's second sample request is valid", draft: volumeDraft},
		"a network":           {reason: "the source's third sample request is valid", draft: networkDraft},
		"an operation":        {reason: "an operation needs only its resource", draft: stopDraft},
		"by the client's own": {reason: "resourceId names a resource as well as virtualResourceId", draft: stopDraft, change: func(r *d) { r.VirtualResourceID, r.ResourceID = "", "vm-12345" }},
		"unknown type":        {reason: "only known types are understood", draft: machineDraft, change: func(r *d) { r.Type = "MAKE_COFFEE" }, want: []string{"/type unknown-type"}},
		"nothing specified":   {reason: "a creation needs specifications", draft: machineDraft, change: func(r *d) { r.Spec = domain.Specification{} }, want: []string{"/specifications required"}},
		"all at once": {reason: "the client hears of every violation", draft: machineDraft, change: func(r *d) {
			r.Spec.Machine.Cores, r.Spec.Machine.Memory, r.Spec.Machine.Disk, r.Spec.Machine.Network = 0, 64, 1, domain.Attachment{}
		}, want: []string{"/specifications/cpu required", "/specifications/disk out-of-range", "/specifications/memory out-of-range", "/specifications/network required"}},
		"negative cores":        {reason: "a machine has at least one core", draft: machineDraft, change: func(r *d) { r.Spec.Machine.Cores = -1 }, want: []string{"/specifications/cpu out-of-range"}},
		"too many cores":        {reason: "the operator bounds one machine", draft: machineDraft, change: func(r *d) { r.Spec.Machine.Cores = 129 }, want: []string{"/specifications/cpu out-of-range"}},
		"VLAN 4095":             {reason: "VLAN ids are 1 to 4094 (IEEE 802.1Q)", draft: machineDraft, change: func(r *d) { r.Spec.Machine.Network.VLAN, r.Spec.Machine.Network.Name = 4095, "vlan-4095" }, want: []string{"/specifications/network out-of-range"}},
		"unknown image":         {reason: "images come from the catalogue", draft: machineDraft, change: func(r *d) { r.Spec.Machine.Image = "BeOS" }, want: []string{"/specifications/image unknown-image"}},
		"a broken key":          {reason: "a key must be a line of authorized_keys, so nothing else reaches a guest", draft: machineDraft, change: func(r *d) { r.Spec.Machine.SSHKeys = []string{"ssh-ed25519 AAAA\nrm -rf /"} }, want: []string{"/specifications/sshKeys/0 invalid-key"}},
		"user data of no kind":  {reason: "cloud-init knows user data by its first line", draft: machineDraft, change: func(r *d) { r.Spec.Machine.UserData = "hello" }, want: []string{"/specifications/userData invalid-user-data"}},
		"specs of an operation": {reason: "an operation changes no specification", draft: stopDraft, change: func(r *d) { r.Spec = machineDraft().Spec }, want: []string{"/specifications not-allowed"}},
		"operation on nothing":  {reason: "an operation names its resource", draft: stopDraft, change: func(r *d) { r.VirtualResourceID = "" }, want: []string{"/virtualResourceId required"}},
		"creation of what is":   {reason: "a creation cannot name what exists", draft: machineDraft, change: func(r *d) { r.VirtualResourceID = "VM-0909A693" }, want: []string{"/virtualResourceId not-allowed"}},
		"tiny volume":           {reason: "a volume has at least 1 GiB", draft: volumeDraft, change: func(r *d) { r.Spec.Volume.Size = 512 }, want: []string{"/specifications/size out-of-range"}},
		"tape":                  {reason: "three classes are offered", draft: volumeDraft, change: func(r *d) { r.Spec.Volume.Type = "TAPE" }, want: []string{"/specifications/type unknown-value"}},
		"too fast":              {reason: "each class has its limit", draft: volumeDraft, change: func(r *d) { r.Spec.Volume.Type = domain.HDD }, want: []string{"/specifications/iops out-of-range"}},
		"gateway outside":       {reason: "the gateway is a host of the subnet", draft: networkDraft, change: func(r *d) { r.Spec.Network.Gateway = netip.MustParseAddr("10.0.2.1") }, want: []string{"/specifications/gateway disagrees"}},
		"gateway is broadcast":  {reason: "the broadcast address is no host", draft: networkDraft, change: func(r *d) { r.Spec.Network.Gateway = netip.MustParseAddr("10.0.1.255") }, want: []string{"/specifications/gateway disagrees"}},
		"host bits":             {reason: "a subnet is written without host bits", draft: networkDraft, change: func(r *d) { r.Spec.Network.Subnet = netip.MustParsePrefix("10.0.1.7/24") }, want: []string{"/specifications/subnet host-bits"}},
		"too large a subnet":    {reason: "subnets are /16 to /29", draft: networkDraft, change: func(r *d) { r.Spec.Network.Subnet = netip.MustParsePrefix("10.0.0.0/8") }, want: []string{"/specifications/subnet out-of-range"}},
		"IPv6":                  {reason: "addresses are IPv4", draft: networkDraft, change: func(r *d) { r.Spec.Network.Subnet = netip.MustParsePrefix("fd00::/64") }, want: []string{"/specifications/subnet out-of-range"}},
		"loopback": {reason: "127/8 never leaves a host", draft: networkDraft, change: func(r *d) {
			r.Spec.Network.Subnet, r.Spec.Network.Gateway = netip.MustParsePrefix("127.0.1.0/24"), netip.MustParseAddr("127.0.1.1")
		}, want: []string{"/specifications/subnet not-usable"}},
		"the operator's VLAN": {reason: "segments offered to all cannot be one tenant's", draft: networkDraft, change: func(r *d) { r.Spec.Network.VLAN = 150 }, want: []string{"/specifications/vlan reserved"}},
		"a bad request id":    {reason: "ids are safe in URLs and logs", draft: machineDraft, change: func(r *d) { r.RequestID = "a/b" }, want: []string{"/metadata/requestId invalid-id"}},
		"a bad name":          {reason: "names are safe everywhere", draft: machineDraft, change: func(r *d) { r.ResourceID = "-vm-" }, want: []string{"/resourceId invalid-name"}},
		"a bad label":         {reason: "labels are bounded", draft: machineDraft, change: func(r *d) { r.Labels = domain.Labels{"A B": "x"} }, want: []string{"/metadata/labels invalid-label"}},
		"priority":            {reason: "there are three lanes", draft: machineDraft, change: func(r *d) { r.Priority = "URGENT" }, want: []string{"/metadata/priority unknown-value"}},
		"what was not understood": {reason: "a value that was not understood is not judged as well", draft: machineDraft, change: func(r *d) {
			r.Spec.Machine.Cores = 0
			r.Faults = []domain.Violation{{Pointer: "/specifications/cpu", Code: "invalid-quantity", Detail: "is not a number"}}
		}, want: []string{"/specifications/cpu invalid-quantity"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			draft := c.draft()
			if c.change != nil {
				c.change(&draft)
			}
			var got []string
			for _, v := range domain.DefaultOffer().Check(draft) {
				got = append(got, v.Pointer+" "+v.Code)
				if v.Detail == "" {
					t.Errorf("%s %s has no detail", v.Pointer, v.Code)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("%s:\ngot  %s\nwant %s", c.reason, strings.Join(got, ", "), strings.Join(c.want, ", "))
			}
		})
	}
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	v := func(code string, k domain.Kind) domain.Violation { return domain.Violation{Code: code, Kind: k} }
	cases := map[string]struct {
		reason string
		broken []domain.Violation
		want   domain.Kind
		told   int
	}{
		"none":         {reason: "no violation, no error"},
		"one":          {reason: "a violation is Invalid unless it says otherwise", broken: []domain.Violation{v("a", 0)}, want: domain.Invalid, told: 1},
		"forbidden":    {reason: "a missing permission is told alone", broken: []domain.Violation{v("a", 0), v("b", domain.Forbidden)}, want: domain.Forbidden, told: 1},
		"conflict":     {reason: "a conflict decides over broken rules, all are told", broken: []domain.Violation{v("a", 0), v("b", domain.Conflict)}, want: domain.Conflict, told: 2},
		"quota":        {reason: "quota decides over plain rules", broken: []domain.Violation{v("a", 0), v("b", domain.Exhausted)}, want: domain.Exhausted, told: 2},
		"invalid twin": {reason: "Invalid may be said outright", broken: []domain.Violation{v("a", domain.Invalid), v("b", 0)}, want: domain.Invalid, told: 2},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := domain.Refuse("test", c.broken)
			if c.told == 0 {
				if err != nil {
					t.Errorf("%s: got %v", c.reason, err)
				}
				return
			}
			e, ok := err.(*domain.Error)
			if !ok || e.Kind != c.want || len(e.Violations) != c.told {
				t.Errorf("%s: got %+v, want kind %v with %d violations", c.reason, err, c.want, c.told)
			}
		})
	}
}
