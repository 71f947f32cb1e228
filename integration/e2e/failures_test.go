//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/eventing"
)

// TestPoison puts an event on the topic of requests that can never be handled: it
// goes to the dead letters with its reason, and requests behind it are not held up.
func TestPoison(t *testing.T) {
	p := connect(t)
	id := "poison-" + p.run
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+sinks(t)+"/"+namespace+"/virtualization-requests", strings.NewReader("no Avro"))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "kafka-sink-ingress.knative-eventing.svc.cluster.local"
	for k, v := range map[string]string{"Ce-Specversion": "1.0", "Ce-Id": id, "Ce-Source": "/e2e", "Ce-Type": eventing.TypeRequested,
		"Ce-Partitionkey": id, "Content-Type": eventing.ContentTypeAvro} {
		r.Header.Set(k, v)
	}
	resp, err := p.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("the KafkaSink answered %s, want 202", resp.Status)
	}
	behind := p.volume(t, "{}")
	behind.Type = "ALLOCATE_STORAGE"
	t.Cleanup(func() { p.remove(t, behind) })
	p.completed(t, behind.RequestID)

	deadline := time.Now().Add(patience)
	for {
		var page struct {
			DeadLetters []struct {
				Reason string
				Event  struct{ ID string }
			}
		}
		p.call(t, http.MethodGet, "/api/v1/dead-letters", "", http.StatusOK, &page)
		for _, l := range page.DeadLetters {
			if l.Event.ID == id {
				t.Logf("it is a dead letter: %s", l.Reason)
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is no dead letter after %s; there are %+v", id, patience, page.DeadLetters)
		}
		time.Sleep(poll)
	}
}

// TestKilled ends functions in the middle of a request, as a node that dies does.
// What was begun is finished once, by another instance.
func TestKilled(t *testing.T) {
	for function, c := range map[string]struct {
		when  string
		begun func(request) bool
		away  string // a KafkaSink that is away until then, so that it cannot end before
	}{
		"kbnt-intake":    {when: "accepted", begun: func(request) bool { return true }},
		"kbnt-provision": {when: "consumed, and its volume in the making", begun: func(r request) bool { return len(r.Steps) >= 8 }},
		"kbnt-notify":    {when: "decided, and its result on the way", begun: func(r request) bool { return len(r.Steps) >= 14 }, away: "virtualization-results"},
	} {
		t.Run(function, func(t *testing.T) {
			p := connect(t)
			warm := p.volume(t, "{}") // every function has an instance to lose
			warm.Type = "ALLOCATE_STORAGE"
			t.Cleanup(func() { p.remove(t, warm) })
			p.completed(t, warm.RequestID)
			back := func() {}
			if c.away != "" {
				address := sinks(t)
				back = take(t, "kafkasink", c.away)
				defer back() // before the cleanups, which need it
				p.answers(t, address, c.away, http.StatusNotFound)
			}
			r := p.volume(t, `{"kbnt.dev/fault":"slow=5s"}`) // for a simulated hypervisor; others are slow by themselves
			r.Type = "ALLOCATE_STORAGE"
			t.Cleanup(func() { p.remove(t, r) })
			p.await(t, r.RequestID, c.when, c.begun)
			kill(t, function)
			if now := p.await(t, r.RequestID, "there", func(request) bool { return true }); !now.FinishedAt.IsZero() {
				t.Fatalf("%s was finished before %s died: the test was late", r.RequestID, function)
			}
			back()
			began := time.Now()
			p.completed(t, r.RequestID)
			t.Logf("completed %s after the death of %s, %s", time.Since(began).Round(10*time.Millisecond), function, c.when)
		})
	}
}

// TestSinkAway takes away where results go while a request is under way, for
// longer than a function waits for it.
func TestSinkAway(t *testing.T) {
	p := connect(t)
	const sink = "virtualization-results"
	address := sinks(t)
	back := take(t, "kafkasink", sink)
	defer back() // before the cleanups, which need it
	p.answers(t, address, sink, http.StatusNotFound)
	r := p.volume(t, "{}")
	r.Type = "ALLOCATE_STORAGE"
	t.Cleanup(func() { p.remove(t, r) })
	p.await(t, r.RequestID, "decided, and its result unsent", func(r request) bool { return len(r.Steps) >= 14 })
	time.Sleep(10 * time.Second)
	if r := p.await(t, r.RequestID, "there", func(request) bool { return true }); !r.FinishedAt.IsZero() {
		t.Fatalf("%s finished without its result", r.RequestID)
	}
	back()
	p.answers(t, address, sink, http.StatusBadRequest)
	began := time.Now()
	p.completed(t, r.RequestID)
	t.Logf("completed %s after the KafkaSink came back", time.Since(began).Round(10*time.Millisecond))
}

// answers awaits that the data plane of the sinks has heard of a change: it
// answers 404 for a sink that is none, and 400 for what is no event.
func (p *platform) answers(t *testing.T, address, sink string, want int) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/"+namespace+"/"+sink, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "kafka-sink-ingress.knative-eventing.svc.cluster.local"
		resp, err := p.client.Do(r)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == want {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the KafkaSink %s answers %v (%v), want %d", sink, resp, err, want)
		}
		time.Sleep(poll)
	}
}
