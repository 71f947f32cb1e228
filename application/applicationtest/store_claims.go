package applicationtest

import (
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

func testClaims(t *testing.T, open func(*testing.T) Stores) {
	cases(t, open, map[string]func(*testing.T, Stores){
		"a pool shows what is held":                    claimsShown,
		"a value is held once":                         claimsOnce,
		"a claim of one's own may be replaced":         claimsReplaced,
		"freed addresses cool down":                    claimsCool,
		"freeing leaves claims of others alone":        claimsOfOthers,
		"freeing without a cool-down is immediate":     claimsFreeAtOnce,
		"freeing again does not begin a new cool-down": claimsFreedTwice,
	})
}

const (
	ipPool   = "ip/lan/10.0.1.0/24"
	hostPool = "host/sim-1"
)

func hold(pool, value, uid string) domain.Claim {
	return domain.Claim{Pool: pool, Value: value, Resource: uid, Amount: 1}
}

func claimsShown(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "r"})
	uid := r.Resource.UID
	scope := application.Scope{MessageID: r.Request.MessageID, Pools: []string{ipPool, hostPool, "none"}}
	if w := change(t, s, scope, func(*application.Work) {}); len(w.Pools[ipPool])+len(w.Pools[hostPool]) > 0 {
		t.Errorf("empty pools: got %v, want none", w.Pools)
	}
	cores := domain.Claim{Pool: hostPool, Value: uid + "/cores", Resource: uid, Amount: 1 << 40, Group: "g"}
	change(t, s, scope, func(w *application.Work) { w.Claim(hold(ipPool, "10.0.1.2", uid), cores) })
	w := change(t, s, scope, func(*application.Work) {})
	same(t, "addresses", w.Pools[ipPool], []domain.Claim{hold(ipPool, "10.0.1.2", uid)})
	same(t, "host", w.Pools[hostPool], []domain.Claim{cores})
	if len(w.Pools["none"]) > 0 {
		t.Errorf("pool nobody claimed of: got %v, want none", w.Pools["none"])
	}
	if w := peek(t, s, r.Request.MessageID, hostPool); len(w.Pools[ipPool]) > 0 {
		t.Errorf("pool that was not asked for: got %v, want none", w.Pools[ipPool])
	}
}

func claimsOnce(t *testing.T, s Stores) {
	a, b := admit(t, s, wish{id: "a"}), admit(t, s, wish{id: "b"})
	change(t, s, application.Scope{MessageID: a.Request.MessageID}, func(w *application.Work) { w.Claim(hold(ipPool, "10.0.1.2", a.Resource.UID)) })
	err := s.Change(t.Context(), application.Scope{MessageID: b.Request.MessageID}, func(w *application.Work) error {
		w.Request.Attempts = 9
		w.Claim(hold(ipPool, "10.0.1.2", b.Resource.UID))
		return nil
	})
	wantKind(t, "claiming, without a look, what another holds", err, domain.Conflict)
	same(t, "record of the refused change", load(t, s, "acme", "b"), b)
	same(t, "pool", peek(t, s, b.Request.MessageID, ipPool).Pools[ipPool], []domain.Claim{hold(ipPool, "10.0.1.2", a.Resource.UID)})
	change(t, s, application.Scope{MessageID: b.Request.MessageID}, func(w *application.Work) {
		w.Claim(hold(ipPool, "10.0.1.3", b.Resource.UID), hold("ip/other/10.0.1.0/24", "10.0.1.2", b.Resource.UID))
	})
}

func claimsReplaced(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "r"})
	c := hold(hostPool, "cores", r.Resource.UID)
	for amount := range int64(3) {
		c.Amount = amount
		change(t, s, application.Scope{MessageID: r.Request.MessageID}, func(w *application.Work) { w.Claim(c) })
	}
	same(t, "pool", peek(t, s, r.Request.MessageID, hostPool).Pools[hostPool], []domain.Claim{c})
}

func claimsCool(t *testing.T, s Stores) {
	a, b := admit(t, s, wish{id: "a"}), admit(t, s, wish{id: "b"})
	address := hold(ipPool, "10.0.1.2", a.Resource.UID)
	change(t, s, application.Scope{MessageID: a.Request.MessageID}, func(w *application.Work) {
		w.Claim(address, hold(hostPool, "x/cores", a.Resource.UID), hold(domain.VLANPool, "100", a.Resource.UID))
	})
	change(t, s, application.Scope{MessageID: a.Request.MessageID}, func(w *application.Work) { w.Free(time.Minute) })
	cooling := address
	cooling.Until = noon.Add(time.Minute)
	w := peek(t, s, b.Request.MessageID, ipPool, hostPool, domain.VLANPool)
	same(t, "addresses just released", w.Pools[ipPool], []domain.Claim{cooling})
	if len(w.Pools[hostPool])+len(w.Pools[domain.VLANPool]) > 0 {
		t.Errorf("other claims after release: got %v, want none", w.Pools)
	}
	s.Clock.Advance(time.Minute)
	change(t, s, application.Scope{MessageID: b.Request.MessageID, Pools: []string{ipPool}}, func(w *application.Work) {
		for _, c := range w.Pools[ipPool] {
			if c.Until.After(w.Now) {
				t.Errorf("address after its cool-down: got %+v, want none in use", c)
			}
		}
		w.Claim(hold(ipPool, "10.0.1.2", b.Resource.UID))
	})
	same(t, "addresses after the next claim", peek(t, s, b.Request.MessageID, ipPool).Pools[ipPool], []domain.Claim{hold(ipPool, "10.0.1.2", b.Resource.UID)})
}

func claimsOfOthers(t *testing.T, s Stores) {
	a, b := admit(t, s, wish{id: "a"}), admit(t, s, wish{id: "b"})
	mine, others := hold(ipPool, "10.0.1.2", a.Resource.UID), hold(ipPool, "10.0.1.3", b.Resource.UID)
	change(t, s, application.Scope{MessageID: a.Request.MessageID}, func(w *application.Work) { w.Claim(mine) })
	change(t, s, application.Scope{MessageID: b.Request.MessageID}, func(w *application.Work) { w.Claim(others) })
	change(t, s, application.Scope{MessageID: a.Request.MessageID}, func(w *application.Work) { w.Free(0) })
	same(t, "pool", peek(t, s, a.Request.MessageID, ipPool).Pools[ipPool], []domain.Claim{others})
}

func claimsFreeAtOnce(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "r"})
	scope := application.Scope{MessageID: r.Request.MessageID}
	change(t, s, scope, func(w *application.Work) { w.Claim(hold(ipPool, "10.0.1.2", r.Resource.UID)) })
	change(t, s, scope, func(w *application.Work) { w.Free(0) })
	if held := peek(t, s, r.Request.MessageID, ipPool).Pools[ipPool]; len(held) > 0 {
		t.Errorf("addresses freed without a cool-down: got %v, want none", held)
	}
}

func claimsFreedTwice(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "r"})
	scope := application.Scope{MessageID: r.Request.MessageID}
	change(t, s, scope, func(w *application.Work) { w.Claim(hold(ipPool, "10.0.1.2", r.Resource.UID)) })
	change(t, s, scope, func(w *application.Work) { w.Free(time.Minute) })
	s.Clock.Advance(30 * time.Second)
	change(t, s, scope, func(w *application.Work) { w.Free(time.Minute) })
	held := peek(t, s, r.Request.MessageID, ipPool).Pools[ipPool]
	if len(held) != 1 || !held[0].Until.Equal(noon.Add(time.Minute)) {
		t.Errorf("addresses freed twice: got %v, want the first cool-down, until %v", held, noon.Add(time.Minute))
	}
}
