package applicationtest

import (
	"slices"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// What admission is shown of a tenant.

func admitTarget(t *testing.T, s Stores) {
	web := admit(t, s, wish{id: "r1", name: "web"}).Resource
	disk := admit(t, s, wish{id: "r2", name: "disk", typ: domain.AllocateStorage}).Resource
	gone := admit(t, s, wish{id: "r3", name: "old"})
	settle(t, s, gone.Request.MessageID, domain.Deleted, false)
	for name, test := range map[string]struct {
		reason   string
		tenant   string
		id, name string
		want     string
	}{
		"by id":          {"a virtual id names a live resource", "acme", web.VirtualID, "", web.UID},
		"by name":        {"without an id, the client's name does", "acme", "", "web", web.UID},
		"by both":        {"the id counts, not the name", "acme", web.VirtualID, "disk", web.UID},
		"other kind":     {"names are unique over all kinds", "acme", "", "disk", disk.UID},
		"unknown id":     {"an id that names nothing is not replaced by the name", "acme", "VM-0", "web", ""},
		"neither":        {"nothing was asked for", "acme", "", "", ""},
		"gone by id":     {"what is gone is no target", "acme", gone.Resource.VirtualID, "", ""},
		"gone by name":   {"what is gone gives its name free", "acme", "", "old", ""},
		"other's id":     {"a resource of another tenant is not shown", "umbrella", web.VirtualID, "", ""},
		"other's name":   {"a name of another tenant is not shown", "umbrella", "", "web", ""},
		"name is no id":  {"a virtual id is not looked up as a name", "acme", "", web.VirtualID, ""},
		"case of a name": {"names differ by case", "acme", "", "WEB", ""},
	} {
		y := look(t, s, application.AdmitScope{Tenant: test.tenant, RequestID: "x", Kind: domain.Machine, TargetID: test.id, Name: test.name})
		got := ""
		if y.Target != nil {
			got = y.Target.UID
		}
		if got != test.want {
			t.Errorf("%s: %s: got target %q, want %q", name, test.reason, got, test.want)
		}
	}
	y := look(t, s, application.AdmitScope{Tenant: "acme", RequestID: "x", Name: "web"})
	same(t, "target", *y.Target, web)
}

func admitNetworks(t *testing.T, s Stores) {
	net := admit(t, s, wish{id: "n", name: "lan", typ: domain.CreateNetwork}).Resource
	admit(t, s, wish{id: "n2", tenant: "umbrella", typ: domain.CreateNetwork})
	gone := admit(t, s, wish{id: "n3", typ: domain.CreateNetwork})
	settle(t, s, gone.Request.MessageID, domain.Deleted, false)
	a := admit(t, s, wish{id: "a", network: net.UID}).Resource
	b := admit(t, s, wish{id: "b", network: net.UID}).Resource
	admit(t, s, wish{id: "c"})
	c := admit(t, s, wish{id: "d", network: net.UID})
	settle(t, s, c.Request.MessageID, domain.Deleted, false)

	y := look(t, s, application.AdmitScope{Tenant: "acme", RequestID: "x", Name: "lan"})
	if want := sorted(a.VirtualID, b.VirtualID); !slices.Equal(sorted(y.Users...), want) {
		t.Errorf("users of a network: got %v, want the live machines on it, %v", y.Users, want)
	}
	if len(y.Networks) != 1 {
		t.Fatalf("networks: got %d, want the tenant's live one", len(y.Networks))
	}
	same(t, "network", *y.Networks[0], net)
}

func admitTaken(t *testing.T, s Stores) {
	admit(t, s, wish{id: "1", virtualID: "VM-0909A693"})
	admit(t, s, wish{id: "2", virtualID: "VM-0909A693B", tenant: "umbrella"})
	gone := admit(t, s, wish{id: "3", virtualID: "VM-0909A693C"})
	settle(t, s, gone.Request.MessageID, domain.Deleted, false)
	admit(t, s, wish{id: "4", virtualID: "VM-0909A69"})
	admit(t, s, wish{id: "5", virtualID: "VM-0909A694"})
	scope := application.AdmitScope{Tenant: "acme", RequestID: "x", VirtualID: "VM-0909A693"}
	want := []string{"VM-0909A693", "VM-0909A693B", "VM-0909A693C"}
	if y := look(t, s, scope); !slices.Equal(sorted(y.Taken...), want) {
		t.Errorf("taken ids that begin with %s: got %v, want those of all tenants, gone ones too: %v", scope.VirtualID, y.Taken, want)
	}
	if y := look(t, s, application.AdmitScope{Tenant: "acme", RequestID: "x"}); len(y.Taken) > 0 {
		t.Errorf("taken ids where none is made: got %v, want none", y.Taken)
	}
	for _, odd := range []string{"VM-%", "VM-0909A69_", "vm-0909a693", "VM-*"} {
		if y := look(t, s, application.AdmitScope{Tenant: "acme", RequestID: "x", VirtualID: odd}); len(y.Taken) > 0 {
			t.Errorf("taken ids that begin with %s: got %v, want none: it is no pattern", odd, y.Taken)
		}
	}
}

func admitAhead(t *testing.T, s Stores) {
	admit(t, s, wish{id: "1", priority: domain.High})
	admit(t, s, wish{id: "2", priority: domain.High, tenant: "umbrella"})
	admit(t, s, wish{id: "3", priority: domain.Low})
	done := admit(t, s, wish{id: "4", priority: domain.High})
	settle(t, s, done.Request.MessageID, domain.Running, true)
	decided := admit(t, s, wish{id: "5", priority: domain.High})
	change(t, s, application.Scope{MessageID: decided.Request.MessageID}, func(w *application.Work) { w.Request.Decide(w.Now) })
	for lane, want := range map[domain.Priority]int{domain.High: 3, domain.Low: 1, domain.Normal: 0} {
		if y := look(t, s, application.AdmitScope{Tenant: "acme", RequestID: "x", Priority: lane}); y.Ahead != want {
			t.Errorf("unfinished requests in lane %s: got %d, want %d", lane, y.Ahead, want)
		}
	}
}

func admitDisplayNo(t *testing.T, s Stores) {
	next := func(tenant string) int {
		return look(t, s, application.AdmitScope{Tenant: tenant, RequestID: "x", Kind: domain.Machine}).DisplayNo
	}
	want := func(tenant string, n int, why string) {
		t.Helper()
		if got := next(tenant); got != n {
			t.Errorf("next number of %s %s: got %d, want %d", tenant, why, got, n)
		}
	}
	want("acme", 1, "at first")
	r := admit(t, s, wish{id: "1"})
	admit(t, s, wish{id: "2"})
	admit(t, s, wish{id: "disk", typ: domain.AllocateStorage})
	want("acme", 3, "after two machines and a volume")
	settle(t, s, r.Request.MessageID, domain.Deleted, false)
	want("acme", 3, "after one was deleted")
	target := load(t, s, "acme", "2")
	settle(t, s, target.Request.MessageID, domain.Running, true)
	admit(t, s, wish{id: "3", typ: domain.StopMachine, target: &target.Resource})
	want("acme", 3, "after an operation")
	want("umbrella", 1, "who made none")
	s.Clock.Advance(12 * time.Hour)
	want("acme", 1, "on the next day (UTC)")
}

func admitUsage(t *testing.T, s Stores) {
	admit(t, s, wish{id: "1", cores: 3})
	gone := admit(t, s, wish{id: "2", cores: 50})
	settle(t, s, gone.Request.MessageID, domain.Failed, false)
	admit(t, s, wish{id: "3", typ: domain.AllocateStorage})
	admit(t, s, wish{id: "4", typ: domain.CreateNetwork})
	admit(t, s, wish{id: "5", cores: 9, tenant: "umbrella"})
	want := domain.Usage{Machines: 1, Cores: 3, Memory: 4 * domain.GiB, Storage: 27 * domain.GiB, Networks: 1, InFlight: 3, Hourly: 3 * 45_000}
	same(t, "usage shown to admission", look(t, s, application.AdmitScope{Tenant: "acme", RequestID: "x"}).Usage, want)
	got, err := s.Usage(t.Context(), "acme")
	if err != nil {
		t.Fatalf("Usage: %v, want no error", err)
	}
	same(t, "usage", got, want)
}
