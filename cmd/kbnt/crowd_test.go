package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kbnt.dev/virtualization/config"
)

// crowd posts many bodies at once and returns how often each status came.
func crowd(t *testing.T, url string, bodies []string, header ...string) map[int]int {
	t.Helper()
	client := &http.Client{Timeout: 40 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: len(bodies)}}
	defer client.CloseIdleConnections()
	var mu sync.Mutex
	got := map[int]int{}
	var all sync.WaitGroup
	for _, body := range bodies {
		all.Go(func() {
			code := 0
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/api/v1/virtualize", strings.NewReader(body))
			if err == nil {
				r.Header.Set("Content-Type", "application/json")
				for i := 0; i+1 < len(header); i += 2 {
					r.Header.Set(header[i], header[i+1])
				}
				var answer *http.Response
				if answer, err = client.Do(r); err == nil {
					code = answer.StatusCode
					_, _ = io.Copy(io.Discard, answer.Body)
					_ = answer.Body.Close()
				}
			}
			if err != nil {
				t.Logf("post: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			got[code]++
		})
	}
	all.Wait()
	return got
}

func repeat(n int, body func(i int) string) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = body(i)
	}
	return all
}

const small = `{"type":"CREATE_VIRTUAL_MACHINE","specifications":{"cpu":1,"memory":1,"disk":1,"network":"bridged"}}`

// TestCrowd_oneKey: posts in parallel under one Idempotency-Key are one request.
func TestCrowd_oneKey(t *testing.T) {
	t.Parallel()
	p := startProcess(t, t.TempDir())
	got := crowd(t, p.url, repeat(100, func(int) string { return small }), "Idempotency-Key", "the-one")
	if got[http.StatusAccepted] != 100 {
		t.Errorf("100 posts of one request got %v, want 202 for each", got)
	}
	finished(t, p, 1)
	other := strings.Replace(small, `"cpu":1`, `"cpu":2`, 1)
	if got := crowd(t, p.url, []string{other}, "Idempotency-Key", "the-one"); got[http.StatusUnprocessableEntity] != 1 {
		t.Errorf("the key with another body got %v, want 422", got)
	}
}

// TestCrowd_quota: however many come at once, a quota of 10 admits 10.
func TestCrowd_quota(t *testing.T) {
	t.Parallel()
	p := startProcess(t, t.TempDir(), "KBNT_QUOTA_MACHINES=10")
	got := crowd(t, p.url, repeat(200, func(int) string { return small }))
	if got[http.StatusAccepted] != 10 || got[http.StatusUnprocessableEntity] != 190 {
		t.Errorf("200 posts against a quota of 10 machines got %v, want 202 for 10 and 422 for 190", got)
	}
	finished(t, p, 10)
}

// TestCrowd_killed: the platform is killed in the middle of 100 requests. After a
// restart all of them complete, each with one resource and one event id.
func TestCrowd_killed(t *testing.T) {
	t.Parallel()
	n := 100
	if slow {
		n = 25
	}
	data := t.TempDir()
	settings := []string{"KBNT_SPEED=50", "KBNT_DELIVERY_TIME=5s", "KBNT_PATIENCE=1s"} // shorter leases, which outlive the kill
	p := startProcess(t, data, settings...)
	bodies := repeat(n, func(i int) string {
		return strings.Replace(small, `"specifications"`, fmt.Sprintf(`"metadata":{"requestId":"r-%d"},"specifications"`, i), 1)
	})
	if got := crowd(t, p.url, bodies); got[http.StatusAccepted] != n {
		t.Fatalf("%d posts got %v, want 202 for each", n, got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := p.eventIDs(ctx, 10); err != nil { // some are done, the others in all stages
		t.Fatal(err)
	}
	p.kill()

	p = startProcess(t, data, settings...)
	finished(t, p, n)
	ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client := &http.Client{Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	for i := range bodies {
		var r tracked
		for r.Status != "COMPLETED" { // its event may have been sent, and that not noted, when the kill came
			if err := p.fetch(client, fmt.Sprintf("/api/v1/requests/r-%d", i), &r); err != nil {
				t.Fatal(err)
			}
			if r.Status == "FAILED" || ctx.Err() != nil {
				break
			}
		}
		if r.Status != "COMPLETED" || len(r.Steps) != 17 {
			t.Errorf("request %s is %s with %d steps, want COMPLETED with 17", r.RequestID, r.Status, len(r.Steps))
		}
	}
}

// finished waits for the completion events of so many machines and requires that
// there are exactly so many events and machines.
func finished(t *testing.T, p *process, want int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	ids, err := p.eventIDs(ctx, want)
	if err != nil {
		t.Fatalf("%v\n%s", err, p.logs)
	}
	client := &http.Client{Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	var machines []listed
	for len(machines) < want || !settled(machines) { // the last event may be in the topic before its request is
		if machines, err = p.resources(client); err != nil || ctx.Err() != nil {
			t.Fatalf("%d machines: %v, %v", len(machines), err, ctx.Err())
		}
	}
	if len(ids) != want || len(machines) != want {
		t.Errorf("%d different events, %d machines; want %d of each", len(ids), len(machines), want)
	}
}

func settled(machines []listed) bool {
	for _, m := range machines {
		if m.Status != "RUNNING" {
			return false
		}
	}
	return true
}

// TestPlatform_leavesNothing opens platforms in this process and looks for what
// is left of them.
func TestPlatform_leavesNothing(t *testing.T) {
	if os.Getenv("TEST_ALONE") == "" {
		alone(t) // other tests of this package start goroutines and open files meanwhile
		return
	}
	ignore := goleak.IgnoreCurrent()
	round := func() {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for k, v := range loopback(t.TempDir()) {
			t.Setenv(k, v)
		}
		s, err := config.ReadLocal()
		if err != nil {
			t.Fatal(err)
		}
		p, err := open(ctx, s, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if got := crowd(t, p.intakeURL(), repeat(5, func(int) string { return small })); got[http.StatusAccepted] != 5 {
			t.Errorf("got %v, want 202 for each", got)
		}
		if err := p.close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	round() // what is opened once in a process and kept
	files := openFiles(t)
	for range 3 {
		round()
	}
	if now := openFiles(t); now > files {
		t.Errorf("%d files are open after four platforms, %d were after one", now, files)
	}
	// sarama's metrics ticker lives as long as the process; a breaker's timer ends by itself
	goleak.VerifyNone(t, ignore, goleak.IgnoreAnyFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"),
		goleak.IgnoreAnyFunction("github.com/eapache/go-resiliency/breaker.(*Breaker).timer"))
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("open files cannot be counted on this system: %v", err)
	}
	return len(entries)
}
