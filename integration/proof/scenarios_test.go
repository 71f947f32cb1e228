//go:build integration

package proof

import (
	"context"
	"fmt"
	"strings"
	"time"

	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
)

// scenario is one way through the flow.
type scenario struct {
	name   string
	first  []string // requests that have completed before; this one works on the resource of the first
	body   string   // of the request whose points are taken; empty: an event that nobody can read
	cancel bool     // the request is cancelled once it has begun, and the points are those since then
	lose   string   // topic that loses the first event of the request, for good
	unsent string   // function that dies before it sends the event of the request to its topic
	want   domain.Outcome

	sweeps bool // what goes on is found by the sweep, so its chain sweeps soon
	hasty  bool // the chain gives up on requests soon
	news   bool // only the points that no scenario above has are taken
}

const (
	machine = `{"type":"CREATE_VIRTUAL_MACHINE","specifications":{"cpu":1,"memory":1,"disk":10,"network":"vlan-{vlan}"},"metadata":{"requestId":"{id}"}}`
	volume  = `{"type":"ALLOCATE_STORAGE","specifications":{"size":10,"type":"SSD"},"metadata":{"requestId":"{id}"}}`
	network = `{"type":"CREATE_NETWORK","specifications":{"subnet":"{subnet}","vlan":{own}},"metadata":{"requestId":"{id}"}}`
)

// on is a request about a resource that exists.
func on(t domain.RequestType) string {
	return fmt.Sprintf(`{"type":"%s","virtualResourceId":"{target}","metadata":{"requestId":"{id}"}}`, t)
}

// faulty is a machine with a fault.
func faulty(fault string) string { return withFault(machine, fault) }

// withFault adds the label that the simulated hypervisor goes by.
func withFault(body, fault string) string {
	return strings.TrimSuffix(body, "}}") + fmt.Sprintf(`,"labels":{"kbnt.dev/fault":"%s"}}}`, fault)
}

// scenarios are all, those with more points of their own first.
func scenarios() []scenario {
	made := func(bodies ...string) []string { return bodies }
	return []scenario{
		{name: "create machine", body: machine, want: domain.Completed},
		{name: "allocate storage", body: volume, want: domain.Completed},
		{name: "create network", body: network, want: domain.Completed},
		{name: "stop machine", first: made(machine), body: on(domain.StopMachine), want: domain.Completed},
		{name: "start machine", first: made(machine, on(domain.StopMachine)), body: on(domain.StartMachine), want: domain.Completed},
		{name: "restart machine", first: made(machine), body: on(domain.RestartMachine), want: domain.Completed},
		{name: "delete machine", first: made(machine), body: on(domain.DeleteMachine), want: domain.Completed},
		{name: "release storage", first: made(volume), body: on(domain.ReleaseStorage), want: domain.Completed},
		{name: "delete network", first: made(network), body: on(domain.DeleteNetwork), want: domain.Completed},
		{name: "cancel during boot", body: faulty("slow=3s@machine"), cancel: true, want: domain.Cancelled},
		{name: "final refusal", body: faulty("terminal-at=machine"), want: domain.Fault},
		{name: "poison event"},
		{name: "machine on a network of its own", first: made(network), body: strings.Replace(machine, "{vlan}", "{own}", 1), want: domain.Completed, news: true},
		{name: "never sent", body: volume, unsent: "intake", want: domain.Completed, sweeps: true, news: true},
		{name: "request lost", body: volume, lose: eventing.TopicRequests, want: domain.Completed, sweeps: true, news: true},
		{name: "result lost", body: volume, lose: eventing.TopicResults, want: domain.Completed, sweeps: true, news: true},
		{name: "denied", body: faulty("denied@machine"), want: domain.Fault, sweeps: true, news: true},
		{name: "attempts used up", body: faulty("transient=100@machine"), want: domain.Fault, hasty: true, news: true},
		{name: "deadline", body: faulty("stuck@machine"), want: domain.Fault, hasty: true, news: true},
	}
}

// prepare makes a request of a scenario, with all that has to be there before.
// Each has a tenant of its own.
func (c *chain) prepare(ctx context.Context, s scenario, n int) (r *request, all []*request, err error) {
	r = &request{tenant: fmt.Sprintf("tenant-%d", n), id: fmt.Sprintf("request-%d", n), want: s.want, why: s.name}
	if s.body == "" {
		r.poison = true
		return r, []*request{r}, nil
	}
	target := ""
	for i, body := range s.first {
		before := &request{tenant: r.tenant, id: fmt.Sprintf("before-%d-%d", n, i), target: target, want: domain.Completed, why: "before " + s.name}
		all, target = append(all, before), before.resource()
		if before.body, err = c.body(ctx, body, n, before); err != nil {
			return nil, nil, err
		}
		if err := c.post(ctx, before); err != nil {
			return nil, nil, err
		}
		if err := c.await(ctx, before); err != nil {
			return nil, nil, err
		}
	}
	if strings.Contains(s.body, "{target}") {
		r.target = target
	}
	r.body, err = c.body(ctx, s.body, n, r)
	return r, append(all, r), err
}

// act does what a scenario does. ready is called when what follows are the
// scenario's points.
func (c *chain) act(ctx context.Context, s scenario, r *request, ready func() error) error {
	if s.lose != "" {
		if err := c.arm(ctx, "eventing", "sink "+s.lose+"/before", drop, r.message()); err != nil {
			return err
		}
	}
	if !s.cancel {
		if err := ready(); err != nil {
			return err
		}
	}
	if s.unsent != "" {
		if err := c.arm(ctx, s.unsent, "Send "+eventing.TopicRequests+"/before", die, r.message()); err != nil {
			return err
		}
		revived := make(chan error, 1)
		go func() { revived <- c.revive(ctx, s.unsent) }()
		if err := c.post(ctx, r); err != nil {
			return err
		}
		return <-revived
	}
	if err := c.post(ctx, r); err != nil {
		return err
	}
	if !s.cancel {
		return nil
	}
	if err := c.begun(ctx, r); err != nil {
		return err
	}
	if err := ready(); err != nil {
		return err
	}
	_, err := c.cancel(ctx, r)
	return err
}

// begun waits until the machine of a request is in the making.
func (c *chain) begun(ctx context.Context, r *request) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return until(ctx, func() (bool, error) {
		seen, err := c.things.Observe(ctx, domain.Key{Resource: r.resource(), Kind: domain.ThingMachine})
		return seen.Phase == domain.ThingStarting || seen.Phase == domain.ThingCreating, err
	})
}
