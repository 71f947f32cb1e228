//go:build integration

package image

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/infrastructure/postgres/postgrestest"
)

// TestOnPostgreSQL runs the image on a database, one schema for each test.
func TestOnPostgreSQL(t *testing.T) {
	t.Parallel()
	server, program := open(t, os.Getenv("DATABASE_URL")), build(t)
	for name, test := range map[string]func(*testing.T, string, *postgrestest.Server){
		"nothing is lost when instances end":         nothingIsLostWhenInstancesEnd,
		"nothing is lost when an instance is killed": nothingIsLostWhenAnInstanceIsKilled,
		"a stream ends with its instance":            aStreamEndsWithItsInstance,
		"ready when the store comes":                 readyWhenTheStoreComes,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, program, server)
		})
	}
}

// open is a PostgreSQL of the test's own, or the one at an address.
func open(t *testing.T, address string) *postgrestest.Server {
	t.Helper()
	s, err := postgrestest.Use(address)
	if errors.Is(err, postgrestest.ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// posted is an event that a sink has, and has not acknowledged yet.
type posted struct {
	path        string
	header      map[string]string // the event's attributes
	body        string
	acknowledge func()
}

// sinks are a KafkaSink for every topic and the Broker, which acknowledge when
// the test wants them to.
func sinks(t *testing.T) (url string, events <-chan posted) {
	t.Helper()
	came := make(chan posted, 16)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		now := make(chan struct{})
		p := posted{path: r.URL.Path, body: string(body), header: map[string]string{}, acknowledge: func() { close(now) }}
		for name := range r.Header {
			if name == "Content-Type" || strings.HasPrefix(name, "Ce-") {
				p.header[name] = r.Header.Get(name)
			}
		}
		came <- p
		select {
		case <-now:
			w.WriteHeader(http.StatusAccepted)
		case <-r.Context().Done(): // the function gave up
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, came
}

// Every function is told to end while it works on something. It must answer that
// first, and leave nothing behind: the request goes all the way all the same.
func nothingIsLostWhenInstancesEnd(t *testing.T, program string, server *postgrestest.Server) {
	database := server.Schema(t)
	url, events := sinks(t)

	const request = `{"type":"CREATE_VIRTUAL_MACHINE","specifications":{"cpu":4,"memory":"8GB","disk":"100GB SSD","network":"vlan-100"},"metadata":{"requestId":"req-abc123"}}`
	path, body, header := "/api/v1/virtualize", request, map[string]string{"Content-Type": "application/json"}
	for _, role := range []struct {
		name, topic string
		status      int
	}{{"intake", "virtualization-requests", http.StatusAccepted}, {"provision", "virtualization-results", http.StatusOK}, {"notify", "virtualization-events", http.StatusOK}} {
		p := start(t, program, environment(role.name, database, url))
		p.await(t, "/health/readiness", http.StatusOK, 5*time.Millisecond)
		if metrics := p.await(t, "/metrics", http.StatusOK, time.Second); !strings.Contains(metrics, `kbnt_cold_start_seconds{function="`+role.name+`"} 0.`) {
			t.Errorf("%s is ready and does not say how long that took:\n%s", role.name, metrics)
		}
		answer := make(chan string, 1)
		go func() {
			status, got, err := ask(t.Context(), http.MethodPost, p.url+path, body, header)
			if err != nil || status != role.status {
				t.Errorf("%s answered %d %s, %v, want %d; it said:\n%s", role.name, status, got, err, role.status, p.stderr.String())
			}
			answer <- got
		}()
		var e posted
		select {
		case e = <-events:
		case got := <-answer:
			t.Fatalf("%s answered %q before it sent anything", role.name, got)
		}
		p.terminate(t)
		refuses(t, p)
		e.acknowledge()
		<-answer
		if code := p.exit(t, time.Minute); code != 0 {
			t.Errorf("%s: exit %d after SIGTERM, want 0; it said:\n%s", role.name, code, p.stderr.String())
		}
		if e.path != "/kbnt/"+role.topic || e.header["Ce-Requestid"] != "req-abc123" {
			t.Fatalf("%s sent %v to %s, want an event of req-abc123 to %s", role.name, e.header, e.path, role.topic)
		}
		path, body, header = "/", e.body, e.header // what a KafkaSource would deliver next
		header["Ce-Knativekafkapartition"], header["Ce-Knativekafkaoffset"] = "0", "7"
	}
	p := start(t, program, environment("intake", database, url))
	p.await(t, "/health/readiness", http.StatusOK, 5*time.Millisecond)
	var tracked struct {
		Status string
		Steps  []struct{ Status string }
	}
	got := p.await(t, "/api/v1/requests/req-abc123", http.StatusOK, time.Second)
	if err := json.Unmarshal([]byte(got), &tracked); err != nil || tracked.Status != "COMPLETED" || len(tracked.Steps) != 17 {
		t.Errorf("the request is %s with %d steps (%v), want COMPLETED with 17:\n%s", tracked.Status, len(tracked.Steps), err, got)
	}
	if n := len(events); n != 0 {
		t.Errorf("%d more events were sent, want one by each function", n)
	}
}

// An instance that is killed between its commit and the sink's acknowledgement
// takes the event with it; the sweep of provision sends it, to the topic of intake.
func nothingIsLostWhenAnInstanceIsKilled(t *testing.T, program string, server *postgrestest.Server) {
	database := server.Schema(t)
	url, events := sinks(t)

	intake := start(t, program, environment("intake", database, url))
	intake.await(t, "/health/readiness", http.StatusOK, 5*time.Millisecond)
	hungUp := make(chan error, 1)
	go func() {
		_, _, err := ask(t.Context(), http.MethodPost, intake.url+"/api/v1/virtualize", `{"type":"ALLOCATE_STORAGE","specifications":{"size":500,"type":"SSD"}}`,
			map[string]string{"Content-Type": "application/json"})
		hungUp <- err
	}()
	lost := <-events
	if err := intake.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-hungUp; err == nil {
		t.Fatal("the client has an answer, want none: the instance was killed before the sink acknowledged")
	}

	provision := start(t, program, environment("provision", database, url))
	provision.await(t, "/health/readiness", http.StatusOK, 5*time.Millisecond)
	tick := map[string]string{"Content-Type": "application/json", "Ce-Specversion": "1.0", "Ce-Id": "tick", "Ce-Type": "dev.knative.sources.ping", "Ce-Source": "/ping"}
	deadline := time.After(time.Minute)
	for {
		go ask(t.Context(), http.MethodPost, provision.url, "{}", tick) // it ends when the sink has acknowledged
		select {
		case e := <-events:
			e.acknowledge()
			if e.path != lost.path || e.body != lost.body || e.header["Ce-Id"] != lost.header["Ce-Id"] || e.header["Ce-Checksum"] != lost.header["Ce-Checksum"] {
				t.Errorf("sent again: %v to %s, want the same event as before: %v to %s", e.header, e.path, lost.header, lost.path)
			}
			return
		case <-time.After(time.Second): // an event may be in flight for 5 s before it counts as lost
		case <-deadline:
			t.Fatalf("the event was not sent again; provision said:\n%s", provision.stderr.String())
		}
	}
}

// refuses waits until a process takes no connections any more.
func refuses(t *testing.T, p *process) {
	t.Helper()
	for {
		c, err := net.DialTimeout("tcp", strings.TrimPrefix(p.url, "http://"), time.Second)
		if err != nil {
			return
		}
		_ = c.Close() // it was taken, so the next one may be refused
	}
}

// A client that follows a request must not keep an instance from ending, and can
// follow it on another one.
func aStreamEndsWithItsInstance(t *testing.T, program string, server *postgrestest.Server) {
	database := server.Schema(t)
	p := start(t, program, environment("intake", database, "http://127.0.0.1:1"))
	p.await(t, "/health/readiness", http.StatusOK, 5*time.Millisecond)
	const request = `{"type":"ALLOCATE_STORAGE","specifications":{"size":500,"type":"SSD"},"metadata":{"requestId":"req-1"}}`
	if status, got, err := ask(t.Context(), http.MethodPost, p.url+"/virtualize", request, map[string]string{"Content-Type": "application/json"}); status != http.StatusAccepted {
		t.Fatalf("posted: %d %s %v, want 202", status, got, err)
	}
	stream, err := http.Get(p.url + "/api/v1/requests/req-1/events")
	if err != nil || stream.StatusCode != http.StatusOK {
		t.Fatalf("follow: %v %v", stream, err)
	}
	defer stream.Body.Close()
	lines := bufio.NewReader(stream.Body)
	for line := ""; line != "event: step\n"; {
		if line, err = lines.ReadString('\n'); err != nil {
			t.Fatalf("the stream ended before its first step: %v", err)
		}
	}
	p.terminate(t)
	if code := p.exit(t, 20*time.Second); code != 0 { // func's middleware waits for 30 s
		t.Errorf("exit %d with a client that follows a request, want 0; it said:\n%s", code, p.stderr.String())
	}
	if heard, err := io.ReadAll(lines); err != nil || strings.Contains(string(heard), "event: end") {
		t.Errorf("the client heard %q, %v, want the stream to end properly, and not to say that the request has", heard, err)
	}
}

// A function that was there before its store needs nobody to restart it.
func readyWhenTheStoreComes(t *testing.T, program string, _ *postgrestest.Server) {
	server := open(t, "") // one that may be stopped
	url := server.Schema(t)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	var waiting []*process
	for role := range roles() {
		p := start(t, program, environment(role, url, "http://127.0.0.1:1"))
		p.await(t, "/health/readiness", http.StatusInternalServerError, 5*time.Millisecond)
		waiting = append(waiting, p)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	for _, p := range waiting {
		p.await(t, "/health/readiness", http.StatusOK, 50*time.Millisecond)
		p.terminate(t)
		if code := p.exit(t, time.Minute); code != 0 {
			t.Errorf("exit %d, want 0; it said:\n%s", code, p.stderr.String())
		}
		if said := p.stderr.String(); strings.Count(said, `"msg":"not ready"`) != 1 || strings.Count(said, `"msg":"ready"`) != 1 {
			t.Errorf("it said\n%swant once that it is not ready, and once that it is", said)
		}
	}
}
