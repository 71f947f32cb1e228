//go:build integration

package integration

import (
	"context"
	"fmt"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"kbnt.dev/virtualization/eventing"
	"kbnt.dev/virtualization/integration/kafka"
)

// outages are those that a Kafka may have in the life of one platform: an update
// and a crash. It is one platform, because the next one on these topics, with a
// store of its own, would be handed what this one left in them.
func outages(t *testing.T, program string, broker *kafka.Broker) {
	if !broker.Own() {
		t.Skip("the Kafka of KAFKA_BROKERS is not ours to stop; unset it to run this")
	}
	p := start(t, program, strings.Join(broker.Addresses(), ","), "KBNT_SPEED=10") // slow enough to be in the middle of
	t.Run("restarted", func(t *testing.T) { survives(t, p, broker, broker.Stop) })
	t.Run("crashed", func(t *testing.T) {
		survives(t, p, broker, func(context.Context) error { return broker.Kill() })
	})
	p.stop(t)
}

// survives takes Kafka away while 25 requests are in all stages, posts 25 more
// meanwhile, and brings it back. All 50 complete, with one event id each: the
// same event may be in the topic twice, two events about one request may not.
//
// It takes half a minute: the sources join their groups anew, and Kafka first
// waits ten seconds for the members that they were.
func survives(t *testing.T, p *platform, broker *kafka.Broker, takeAway func(context.Context) error) {
	ctx := within(t, 2*time.Minute)
	run := fmt.Sprintf("%s-%d", path.Base(t.Name()), time.Now().UnixNano()) // no request of an earlier run
	before := postAll(ctx, t, p, run+"-before", 25)
	if r, err := p.follow(ctx, before[0]); err != nil || r.Status != "COMPLETED" {
		t.Fatalf("the first request is %s, %v; want COMPLETED\n%s", r.Status, err, p.Said())
	}
	if err := takeAway(ctx); err != nil {
		t.Fatal(err)
	}
	meanwhile := postAll(ctx, t, p, run+"-meanwhile", 25) // 202: they are sent when Kafka is back
	if err := broker.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	back := time.Now()

	of := map[string]string{} // event ids of each request
	for _, tracking := range append(before, meanwhile...) {
		r, err := p.follow(ctx, tracking)
		if err != nil {
			t.Fatalf("%v\n%s", err, p.Said())
		}
		if r.Status != "COMPLETED" || len(r.Steps) != 17 {
			t.Errorf("%s is %s with %d steps, want COMPLETED with 17", r.RequestID, r.Status, len(r.Steps))
		}
		of[r.RequestID] = ""
	}
	t.Logf("all 50 were complete %s after Kafka was back", time.Since(back).Round(time.Millisecond))

	repeated := 0
	for _, r := range records(t, broker.Addresses()[0], eventing.TopicEvents) {
		request, id := r.header("ce_"+eventing.ExtRequestID), r.header("ce_id")
		switch known, ours := of[request]; {
		case !ours: // of another test
		case known == "":
			of[request] = id
		case known == id:
			repeated++
		default:
			t.Errorf("request %s has the events %s and %s, want one", request, known, id)
		}
	}
	if len(of) != 50 {
		t.Errorf("%d different requests, want 50", len(of))
	}
	for request, id := range of {
		if id == "" {
			t.Errorf("request %s has no event", request)
		}
	}
	t.Logf("%d events are in the topic a second time", repeated)
}

// postAll sends so many requests at once and returns where to track them.
func postAll(ctx context.Context, t *testing.T, p *platform, id string, n int) []string {
	t.Helper()
	tracking, errs := make([]string, n), make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { tracking[i], errs[i] = p.post(ctx, fmt.Sprintf("%s-%d", id, i)) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatalf("%v\n%s", err, p.Said())
		}
	}
	return tracking
}
