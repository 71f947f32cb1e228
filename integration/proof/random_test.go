//go:build integration

package proof

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/postgres/postgrestest"
	"kbnt.dev/virtualization/integration/kafka"
)

var (
	seed      = flag.Uint64("seed", 0, "of the random run; 0 takes a new one")
	requests  = flag.Int("requests", 120, "of the random run")
	kills     = flag.Int("kills", 10, "processes that die in the random run")
	realKafka = flag.Bool("kafka", false, "on Apache Kafka, one for each chain; the random run ends that as well")
)

// stormy is a chain whose events come twice and out of order.
func stormy(seed uint64) settings {
	s := quick()
	s.Storm = storm{Seed: seed, Twice: true, Late: 0.1, Lost: 0.05}
	s.Pace.Deadline = 5 * time.Minute
	return s
}

// TestRandom sends requests of all types, with faults, while processes, PostgreSQL
// and Kafka die, every event comes at least twice and a tenth of them late; at the
// end the same must hold as ever. What is asked and what dies follows from the
// seed, which a failure prints; when it dies is a matter of the machine.
func TestRandom(t *testing.T) {
	s := server(t)
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("to try it again: go test -tags integration -run TestRandom ./integration/proof -seed %d -requests %d -kills %d", *seed, *requests, *kills)
	settings := stormy(*seed)
	var broker *kafka.Broker
	if *realKafka {
		broker = apacheKafka(t)
		settings.Brokers = broker.Addresses()
	}
	c := openChain(t, s, settings)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()

	d := &driver{chain: c, progress: make(chan int, *requests)}
	trouble := &havoc{chain: c, server: s, broker: broker, chance: rand.New(rand.NewPCG(*seed, 1))}
	var all []*request
	var asking sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for n := range tenants {
		asking.Go(func() {
			some, err := d.tenant(ctx, n)
			mu.Lock()
			defer mu.Unlock()
			all, errs = append(all, some...), append(errs, err)
		})
	}
	died, err := trouble.run(ctx, d.progress, *requests, *kills)
	errs = append(errs, err)
	asking.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("seed %d: %v\n%s", *seed, err, c.words())
	}
	c.mustHold(ctx, t, all)
	c.mustHaveComeTwice(ctx, t)
	tally := map[domain.Outcome]int{}
	types := map[domain.RequestType]int{}
	for _, r := range all {
		record, err := c.store.Request(ctx, r.tenant, r.id)
		if err != nil {
			t.Fatal(err)
		}
		tally[record.Request.Status]++
		types[r.kind]++
	}
	t.Logf("seed %d: %d requests %v ended %v; died: %v", *seed, len(all), types, tally, died)
}

// onKafka gives a chain an Apache Kafka of its own, if the flag says so. Chains
// cannot share one: their topics and groups have the same names.
func onKafka(t *testing.T, s settings) settings {
	t.Helper()
	if os.Getenv("KAFKA_BROKERS") != "" && *realKafka {
		t.Skip("KAFKA_BROKERS names one Kafka, and each chain needs its own")
	}
	if *realKafka {
		s.Brokers = apacheKafka(t).Addresses()
	}
	return s
}

func apacheKafka(t *testing.T) *kafka.Broker {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var addresses []string
	if told := os.Getenv("KAFKA_BROKERS"); told != "" {
		addresses = strings.Split(told, ",")
	}
	b, err := kafka.Start(ctx, addresses)
	if errors.Is(err, kafka.ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// tenants is how many ask beside each other.
const tenants = 12

// driver asks, as clients do.
type driver struct {
	*chain
	progress chan int // one for each request that was answered
}

// tenant asks for a tenant's share of things: something new, or a
// change of something that it has, each when the one before on the same resource
// has ended. Some are cancelled on the way.
func (d *driver) tenant(ctx context.Context, tenant int) (all []*request, err error) {
	var open []*request // not known to have ended
	for n := tenant; n < *requests; n += tenants {
		chance := rand.New(rand.NewPCG(*seed, 1000+uint64(n))) // of its own: what was before changes nothing
		r, err := d.next(ctx, chance, fmt.Sprintf("tenant-%d", tenant), n, open)
		if err != nil {
			return all, err
		}
		if err := d.post(ctx, r); err != nil {
			return all, err
		}
		all, open = append(all, r), append(open, r)
		d.progress <- 1
		if chance.IntN(6) == 0 {
			if _, err := d.cancel(ctx, r); err != nil {
				return all, err
			}
		}
		for len(open) >= 4 {
			if err := d.await(ctx, open[0]); err != nil {
				return all, err
			}
			open = open[1:]
		}
	}
	return all, nil
}

// next chooses what to ask for.
func (d *driver) next(ctx context.Context, chance *rand.Rand, tenant string, n int, open []*request) (*request, error) {
	r := &request{tenant: tenant, id: fmt.Sprintf("request-%d", n)}
	template := ""
	if chance.IntN(2) == 0 { // on what is there
		target, kinds, err := d.settled(ctx, chance, tenant, open)
		if err != nil {
			return nil, err
		}
		if target != "" {
			r.kind, r.target = kinds[chance.IntN(len(kinds))], target
			template = on(r.kind)
		}
	}
	if template == "" {
		making := []struct {
			kind domain.RequestType
			body string
		}{{domain.CreateMachine, machine}, {domain.CreateMachine, machine}, {domain.AllocateStorage, volume}, {domain.CreateNetwork, network}}[chance.IntN(4)]
		r.kind, template = making.kind, making.body
		if fault := faults[chance.IntN(len(faults))]; fault != "" {
			template = withFault(template, fault)
			r.why = fault
		}
	}
	r.why = strings.TrimSpace(string(r.kind) + " " + r.why)
	body, err := d.body(ctx, template, n, r)
	r.body = body
	return r, err
}

// faults of new resources; half of them have none.
var faults = []string{"", "", "", "", "", "", "", "",
	"transient=2", "lost=1", "lost=1@machine", "terminal-at=machine", "terminal@volume", "slow=1s", "delete-transient=2", "transient=1,delete-transient=1"}

// settled chooses a resource of the tenant that nobody works on, and says what may
// be asked of it.
func (d *driver) settled(ctx context.Context, chance *rand.Rand, tenant string, open []*request) (uid string, kinds []domain.RequestType, err error) {
	var found []domain.Resource
	err = until(ctx, func() (bool, error) {
		resources, err := d.resources(ctx, tenant)
		if err != nil {
			return false, err
		}
		found = slices.DeleteFunc(resources, func(r domain.Resource) bool {
			return !r.Live || r.Busy != "" || slices.ContainsFunc(open, func(q *request) bool { return q.resource() == r.UID })
		})
		return true, nil
	})
	if err != nil || len(found) == 0 {
		return "", nil, err
	}
	r := found[chance.IntN(len(found))]
	for _, k := range domain.RequestTypes() {
		if !k.Creates() && k.Kind() == r.Kind && k.StartsFrom(r.State) {
			kinds = append(kinds, k)
		}
	}
	if len(kinds) == 0 {
		return "", nil, nil
	}
	return r.UID, kinds, nil
}

// havoc is who ends processes.
type havoc struct {
	*chain
	server *postgrestest.Server
	broker *kafka.Broker
	chance *rand.Rand
}

// run ends a process each time that another share of the requests was answered,
// and says who died how often. It returns when all are answered.
func (h *havoc) run(ctx context.Context, progress <-chan int, requests, kills int) (died map[string]int, err error) {
	died = map[string]int{}
	every := max(1, requests/(kills+1))
	for n := 1; n <= requests; n++ {
		select {
		case <-progress:
		case <-ctx.Done():
			return died, ctx.Err()
		}
		if n%every != 0 || n/every > kills {
			continue
		}
		who, err := h.end(ctx, n/every)
		if err != nil {
			return died, fmt.Errorf("end %s: %w", who, err)
		}
		died[who]++
	}
	return died, nil
}

// end ends somebody, and starts it again: a function most of the time, and in every
// five PostgreSQL once and Kafka once, with the stand-ins around it.
func (h *havoc) end(ctx context.Context, n int) (string, error) {
	switch who := []string{"intake", "provision", "provision", "notify"}[h.chance.IntN(4)]; {
	case n%5 == 2:
		return "PostgreSQL", errors.Join(h.server.Kill(), h.server.Start())
	case n%5 == 4 && h.broker != nil && h.broker.Own() && n%2 == 0:
		return "Kafka", errors.Join(h.broker.Kill(), h.broker.Restart(ctx))
	case n%5 == 4:
		return "eventing", h.kill(ctx, "eventing")
	default:
		return who, h.kill(ctx, who)
	}
}

// mustHaveComeTwice holds the storm to what it says of itself.
func (c *chain) mustHaveComeTwice(ctx context.Context, t *testing.T) {
	t.Helper()
	db, err := pgx.Connect(ctx, c.settings.Database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(ctx)
	var events, once, deliveries int
	err = db.QueryRow(ctx, "SELECT count(*), count(*) FILTER (WHERE deliveries < 2), coalesce(sum(deliveries), 0) FROM inbox").Scan(&events, &once, &deliveries)
	if err != nil {
		t.Fatal(err)
	}
	if once > 0 || events == 0 {
		t.Errorf("%d of %d events were delivered once, want all twice", once, events)
	}
	t.Logf("%d events were delivered %d times", events, deliveries)
}
