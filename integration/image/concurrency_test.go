//go:build unix

package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"kbnt.dev/virtualization/infrastructure/postgres/postgrestest"
)

// BenchmarkConcurrency tells how many calls one instance of a function takes at
// a time, which is what scale.target and limits.concurrency of its func.yaml are
// argued from: how long calls take, how many there are per second, and the
// memory and processor time of the instance. intake and notify work all the time;
// provision waits for volumes that take 5 s to make, as deliveries mostly do.
func BenchmarkConcurrency(b *testing.B) {
	server, err := postgrestest.Use(os.Getenv("DATABASE_URL"))
	if errors.Is(err, postgrestest.ErrMissing) {
		b.Skip(err)
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = server.Close() }) // its data is of no use to anybody
	program := build(b)
	for _, callers := range []int{1, 4, 16, 50, 100} {
		b.Run(strconv.Itoa(callers)+" callers", func(b *testing.B) {
			for b.Loop() {
				chain(b, program, server.Schema(b), callers)
			}
		})
	}
}

// chain takes requests through the functions, one function after the other, each
// with so many callers at a time.
func chain(b *testing.B, program, database string, callers int) {
	b.Helper()
	topics := keep(b)
	work := []call{}
	for i := range max(100, 2*callers) {
		work = append(work, call{"/api/v1/virtualize", fmt.Sprintf(`{"type":"ALLOCATE_STORAGE","specifications":{"size":1,"type":"SSD","iops":100},`+
			`"metadata":{"requestId":"r-%d","labels":{"kbnt.dev/fault":"slow=5s"}}}`, i), map[string]string{"Content-Type": "application/json"}})
	}
	for _, role := range []struct{ name, topic string }{{"intake", "virtualization-requests"}, {"provision", "virtualization-results"}, {"notify", "virtualization-events"}} {
		env := environment(role.name, database, topics.url)
		if role.name == "intake" {
			env["KBNT_QUOTA_IN_FLIGHT"] = "100000"
		}
		if role.name == "provision" {
			env["KBNT_SPEED"] = "1"
			work = work[:callers] // each waits for seconds: one round
		}
		p := start(b, program, env)
		p.await(b, "/health/readiness", http.StatusOK, 5*time.Millisecond)
		before, began := p.processor(b), time.Now()
		took := p.crowd(b, work, callers)
		elapsed, spent := time.Since(began), p.processor(b)-before
		slices.Sort(took)
		name := func(what string) string { return role.name + "-" + what }
		b.ReportMetric(float64(took[len(took)/2])/1e6, name("p50-ms"))
		b.ReportMetric(float64(took[len(took)*99/100])/1e6, name("p99-ms"))
		b.ReportMetric(float64(len(took))/elapsed.Seconds(), name("calls/s"))
		b.ReportMetric(resident(b, p.cmd.Process.Pid), name("rss-MB"))
		b.ReportMetric(spent.Seconds()*1000/float64(len(took)), name("cpu-ms/call"))
		p.terminate(b)
		p.exit(b, time.Minute)
		work = topics.take(role.topic)
	}
	if len(work) != callers {
		b.Fatalf("%d public events came out, want one for each of %d requests", len(work), callers)
	}
}

// call is one POST.
type call struct {
	path, body string
	header     map[string]string
}

// crowd makes all calls, so many at a time, until each was answered with a 2xx,
// and returns how long each answer took.
func (p *process) crowd(b *testing.B, calls []call, callers int) (took []time.Duration) {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers}}
	defer client.CloseIdleConnections()
	waiting := make(chan call)
	var mu sync.Mutex
	var beside sync.WaitGroup
	for range callers {
		beside.Go(func() {
			for c := range waiting {
				began := time.Now()
				for {
					status, err := post(b.Context(), client, p.url, c)
					if err != nil {
						b.Errorf("%s: %v", c.path, err)
						break
					}
					if status < 300 {
						break
					}
					if status != http.StatusTooManyRequests {
						b.Errorf("%s: got %d, want a 2xx or 429; it said:\n%s", c.path, status, p.stderr.String())
						break
					}
				}
				mu.Lock()
				took = append(took, time.Since(began))
				mu.Unlock()
			}
		})
	}
	for _, c := range calls {
		waiting <- c
	}
	close(waiting)
	beside.Wait()
	if b.Failed() {
		b.FailNow()
	}
	return took
}

func post(ctx context.Context, client *http.Client, url string, c call) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+c.path, strings.NewReader(c.body))
	if err != nil {
		return 0, err
	}
	for name, value := range c.header {
		r.Header.Set(name, value)
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// topics keep what is sent to the sinks.
type topics struct {
	url  string
	mu   sync.Mutex
	sent map[string]map[string]call // by topic and event id
}

func keep(b *testing.B) *topics {
	b.Helper()
	t := &topics{sent: map[string]map[string]call{}}
	s := httptest.NewServer(t)
	b.Cleanup(s.Close)
	t.url = s.URL
	return t
}

// ServeHTTP acknowledges at once, as a KafkaSink with a quick Kafka.
func (t *topics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c := call{path: "/", body: string(body), header: map[string]string{"Ce-Knativekafkapartition": "0", "Ce-Knativekafkaoffset": "7"}}
	for name := range r.Header {
		if name == "Content-Type" || strings.HasPrefix(name, "Ce-") {
			c.header[name] = r.Header.Get(name)
		}
	}
	topic := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sent[topic] == nil {
		t.sent[topic] = map[string]call{}
	}
	t.sent[topic][c.header["Ce-Id"]] = c
	w.WriteHeader(http.StatusAccepted)
}

// take returns the events of a topic, each once.
func (t *topics) take(topic string) []call {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Values(t.sent[topic]))
}

// processor is the time that the process has used, in user and system mode.
func (p *process) processor(b *testing.B) time.Duration {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0 // no Linux
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest) // from the third field of proc(5) on
	const user, system, tick = 14 - 3, 15 - 3, 10 * time.Millisecond
	if len(fields) <= system {
		b.Fatalf("stat says %q", data)
	}
	u, _ := strconv.Atoi(fields[user])
	s, _ := strconv.Atoi(fields[system])
	return time.Duration(u+s) * tick
}
