package intake_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/functions/intake"
)

const machine = `{"type": "CREATE_VIRTUAL_MACHINE", "resourceId": "vm-12345",
	"specifications": {"cpu": 4, "memory": "8GB", "disk": "100GB SSD", "network": "vlan-100"},
	"metadata": {"requestId": "req-abc123", "userId": "user-789", "priority": "HIGH", "correlationId": "corr-456"}}`

func TestVirtualize_accepted(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{})
	a := b.post(machine)
	if a.status != http.StatusAccepted {
		t.Fatalf("got %d %s, want 202", a.status, a.body)
	}
	for name, want := range map[string]any{
		"requestId": "req-abc123", "status": "PROCESSING", "estimatedTime": "PT30S", "estimatedSeconds": 30.0,
		"trackingUrl": "/api/v1/requests/req-abc123", "correlationId": "corr-456", "queuePosition": 0.0,
		"virtualResourceId": domain.VirtualID(domain.Machine, "acme", "req-abc123", 8),
	} {
		if a.json[name] != want {
			t.Errorf("%s: got %v, want %v", name, a.json[name], want)
		}
	}
	if cost := a.json["cost"].(map[string]any); cost["hourlyUsd"] != 0.045 || cost["currency"] != "USD" {
		t.Errorf("cost: got %v, want 0.045 USD", cost)
	}
	if !regexp.MustCompile(`^[0-9]+(\.[0-9]+)?ms$`).MatchString(a.text("responseTime")) || a.text("responseTime") == "0ms" {
		t.Errorf("responseTime: got %q, want milliseconds", a.text("responseTime"))
	}
	if len(a.json) != 10 {
		t.Errorf("got %d fields, want 10: %s", len(a.json), a.body)
	}
	if got := a.header.Get("Location"); got != "/api/v1/requests/req-abc123" {
		t.Errorf("Location: got %q", got)
	}
	if len(b.sender.sent) != 1 {
		t.Errorf("sent events: got %d, want 1", len(b.sender.sent))
	}
	got := b.call(http.MethodGet, a.header.Get("Location"), "")
	if got.status != http.StatusOK || got.text("userId") != "user-789" || got.text("priority") != "HIGH" || got.text("resourceId") != "vm-12345" || got.text("phase") != "PUBLISHED" {
		t.Errorf("the tracking URL: got %d %s", got.status, got.body)
	}
	if steps := got.json["steps"].([]any); len(steps) != 7 {
		t.Errorf("steps after 202: got %d, want 7: %s", len(steps), got.body)
	}
}

// Shapes that mean the same are the same request: posted under one id, the
// answer is a repetition and no reuse.
func TestVirtualize_sameMeaning(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{})
	const metadata = `"metadata":{"requestId":"same"}}`
	for _, body := range []string{
		`{"type":"CREATE_VIRTUAL_MACHINE","specifications":{"cpu":4,"memory":8,"disk":100,"network":"vlan-100"},`,
		`{"type":"CREATE_VIRTUAL_MACHINE","spec":{"cpu":"4 cores","memory":"8GB RAM","disk":"100GB SSD","network":"vlan-100"},`,
		`{"type":"CREATE_VIRTUAL_MACHINE","spec":{"cpu":4.0,"memory":"8192MiB","disk":"100 GiB","diskType":"SSD","network":{"vlan":100}},`,
		`{"type":"CREATE_VIRTUAL_MACHINE","spec":{"cpu":4e0,"memory":8.0,"disk":"100","network":{"mode":"vlan","name":"vlan-100"},"image":"Ubuntu 22.04"},`,
		`{"type":"CREATE_VIRTUAL_MACHINE","spec":{"cpu":"4","memory":"8","disk":"102400MB","network":{"mode":"vlan","name":"vlan-100","vlan":100}},`,
	} {
		b.accept(body + metadata)
	}
	if a := b.post(`{"type":"CREATE_VIRTUAL_MACHINE","spec":{"cpu":5,"memory":8,"disk":100,"network":"vlan-100"},` + metadata); a.status != 422 || a.text("code") != "request-id-reused" {
		t.Errorf("another body under the id: got %d %s, want 422 request-id-reused", a.status, a.body)
	}
	if len(b.sender.sent) != 1 {
		t.Errorf("sent events: got %d, want 1", len(b.sender.sent))
	}
}

func TestVirtualize_defaults(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{})
	id := b.accept(`{"type":"CREATE_NETWORK","specifications":{"subnet":"10.0.1.0/24","vlan":200}}`)
	r, err := b.store.Request(t.Context(), "acme", id)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Request.Spec.Network.Gateway.String(); got != "10.0.1.1" {
		t.Errorf("gateway: got %s, want the first address", got)
	}
	if q := r.Request; q.User != "dev" || q.Priority != domain.Normal || q.CorrelationID == "" || q.Transport != "JSON" || len(q.TraceParent) != 55 || id[14] != '7' {
		t.Errorf("defaults: got %+v, want the caller, NORMAL, a correlation id, JSON, a new trace, a UUIDv7", q)
	}
	id = b.accept(volume, "X-Correlation-Id", "corr-h", "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Idempotency-Key", "key-1")
	r, _ = b.store.Request(t.Context(), "acme", id)
	if q := r.Request; id != "key-1" || q.CorrelationID != "corr-h" || q.TraceParent != "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" {
		t.Errorf("from the header: got %s %s %s", id, q.CorrelationID, q.TraceParent)
	}
	if got := b.sender.sent[1].Extensions["traceparent"]; got != r.Request.TraceParent {
		t.Errorf("traceparent of the event: got %q", got)
	}
}

func TestVirtualize_requestID(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{})
	if a := b.post(withID("a"), "Idempotency-Key", "b"); a.status != 422 || !slices.Equal(a.errors(), []string{"/metadata/requestId disagrees"}) {
		t.Errorf("different ids: got %d %q", a.status, a.errors())
	}
	for _, key := range []string{"a b", "..", strings.Repeat("x", 65), "ä", ""} {
		if a := b.post(volume, "Idempotency-Key", key); a.status != 422 || !slices.Equal(a.errors(), []string{"/metadata/requestId invalid-id"}) {
			t.Errorf("Idempotency-Key %q: got %d %q", key, a.status, a.errors())
		}
	}
	b.accept(withID("c"))
	if a := b.post(withID("c"), "Idempotency-Key", "d"); a.status != 422 || !slices.Equal(a.errors(), []string{"/metadata/requestId disagrees"}) {
		t.Errorf("different ids, one of them used: got %d %s", a.status, a.body)
	}
	if a := b.post(strings.Replace(withID("c"), "500", `"500 parsecs"`, 1)); a.status != 422 || !slices.Equal(a.errors(), []string{"/specifications/size not-a-size"}) {
		t.Errorf("a bad value under a used id: got %d %q", a.status, a.errors())
	}
	first := b.post(withID("a"), "Idempotency-Key", "a")
	again := b.post(withID("a"))
	if first.status != 202 || again.status != 202 || first.body != again.body {
		t.Errorf("twice: got %s and %s", first.body, again.body)
	}
	b.finish("a")
	finished := b.post(withID("a"))
	if finished.status != 202 || finished.body != again.body {
		t.Errorf("a repetition of a finished request: got %d %s, want the stored answer %s", finished.status, finished.body, again.body)
	}
	if a := b.post(withID("a"), "Test-Caller", "other/dev/user"); a.status != 202 || a.text("virtualResourceId") == again.text("virtualResourceId") {
		t.Errorf("the same id of another tenant: got %d %s, want a request of its own", a.status, a.body)
	}
}

func TestVirtualize_parallelRepeats(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{})
	var mu sync.Mutex
	resources := map[string]int{}
	var posts sync.WaitGroup
	for range 100 {
		posts.Go(func() {
			a := b.post(withID("once"))
			mu.Lock()
			defer mu.Unlock()
			resources[fmt.Sprint(a.status, " ", a.text("virtualResourceId"))]++
		})
	}
	posts.Wait()
	if len(resources) != 1 || resources["202 "+domain.VirtualID(domain.Volume, "acme", "once", 8)] != 100 {
		t.Errorf("100 parallel posts of one request: got %v, want one resource", resources)
	}
	if len(b.sender.sent) != 1 {
		t.Errorf("sent events: got %d, want 1", len(b.sender.sent))
	}
}

func TestVirtualize_quota(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{offer: func(o *domain.Offer) { o.Default.Machines = 10 }})
	var mu sync.Mutex
	statuses := map[string]int{}
	var posts sync.WaitGroup
	for range 200 {
		posts.Go(func() {
			a := b.post(`{"type":"CREATE_VIRTUAL_MACHINE","specifications":{"cpu":1,"memory":1,"disk":1,"network":"bridged"}}`)
			mu.Lock()
			defer mu.Unlock()
			statuses[fmt.Sprint(a.status, " ", a.text("code"))]++
		})
	}
	posts.Wait()
	if statuses["202 "] != 10 || statuses["422 quota-exceeded"] != 190 {
		t.Errorf("200 parallel posts, quota 10: got %v, want 10 x 202 and 190 x 422", statuses)
	}
	a := b.call(http.MethodGet, "/api/v1/quota", "")
	if used := a.json["used"].(map[string]any); used["machines"] != 10.0 || used["requestsInFlight"] != 10.0 || used["memoryMiB"] != 10240.0 {
		t.Errorf("quota: got %s", a.body)
	}
}

func TestVirtualize_tooManyInFlight(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{offer: func(o *domain.Offer) { o.Default.InFlight = 1 }})
	id := b.accept(volume)
	a := b.post(volume)
	if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" || a.json["retryable"] != true || a.text("code") != "requests-in-flight" {
		t.Errorf("one too many: got %d %v %s, want 429 with Retry-After", a.status, a.header, a.body)
	}
	if a := b.post(`{"type":"ALLOCATE_STORAGE","specifications":{"size":1,"type":"TAPE"}}`); a.status != 422 || len(a.errors()) != 2 {
		t.Errorf("one too many, and wrong: got %d %s, want 422 with both", a.status, a.body)
	}
	b.finish(id)
	b.accept(volume)
}

func TestVirtualize_dryRun(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{})
	a := b.call(http.MethodPost, "/api/v1/virtualize?dryRun=true", machine)
	if a.status != http.StatusOK || a.json["valid"] != true || len(a.json["decision"].([]any)) != 5 || a.text("estimatedTime") != "PT30S" {
		t.Errorf("dry run: got %d %s", a.status, a.body)
	}
	if spec := a.json["specification"].(map[string]any); spec["memory"] != "8GiB" || spec["disk"] != "100GiB SSD" || spec["network"] != "vlan-100" {
		t.Errorf("specification: got %v", spec)
	}
	if a := b.call(http.MethodPost, "/virtualize?dryRun=true", badBodies["negative"].body); a.status != 422 || !slices.Equal(a.errors(), badBodies["negative"].errors) {
		t.Errorf("dry run of a bad request: got %d %q, want the same errors", a.status, a.errors())
	}
	page, _ := b.store.Requests(t.Context(), "acme", application.RequestFilter{Limit: 1})
	resources, _ := b.store.Resources(t.Context(), "acme", application.ResourceFilter{Limit: 1, Gone: true})
	armed, _ := b.store.Armed(t.Context(), 0, 1)
	if len(page)+len(resources)+len(armed)+len(b.sender.sent) != 0 {
		t.Errorf("a dry run left %v %v %v %v", page, resources, armed, b.sender.sent)
	}
	for _, query := range []string{"dryRun=1", "dryRun=true&dryRun=true", "dryrun=true", "dryRun=%zz", "a;b"} {
		if a := b.call(http.MethodPost, "/virtualize?"+query, volume); a.status != 400 {
			t.Errorf("%s: got %d, want 400", query, a.status)
		}
	}
}

func TestVirtualize_roles(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{})
	for name, c := range map[string]struct {
		reason string
		caller string
		status int
		code   string
	}{
		"user":     {"users make what they need", "acme/ann/user", 202, ""},
		"operator": {"operators may as well", "acme/ann/operator", 202, ""},
		"viewer":   {"viewers only read", "acme/ann/viewer", 403, "role-missing"},
		"stranger": {"somebody without a role may nothing", "acme/ann/cook", 403, "role-missing"},
		"nobody":   {"nobody may nothing", "nobody", 401, "unauthenticated"},
	} {
		a := b.post(volume, "Test-Caller", c.caller)
		if a.status != c.status || a.text("code") != c.code {
			t.Errorf("%s: %s: got %d %q, want %d %q", name, c.reason, a.status, a.text("code"), c.status, c.code)
		}
		if challenge := a.header.Get("WWW-Authenticate"); (challenge != "") != (c.status == 401) {
			t.Errorf("%s: WWW-Authenticate %q", name, challenge)
		}
	}
	a := b.post(machine, "Test-Caller", "acme/ann/user")
	if a.status != 403 || !slices.Equal(a.errors(), []string{"/metadata/userId acting-for-others"}) {
		t.Errorf("acting for another: got %d %q, want 403 alone", a.status, a.errors())
	}
}

// A sink that does not answer costs nobody the request: it is durable.
func TestVirtualize_sinkAway(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{})
	b.sender.err = &domain.Error{Op: "send", Kind: domain.Unavailable, Detail: "http://10.1.2.3 refused"}
	id := b.accept(volume)
	armed, err := b.store.Armed(t.Context(), 0, 10)
	if err != nil || len(armed) != 1 {
		t.Errorf("armed events: got %v %v, want the one to be sent later", armed, err)
	}
	if a := b.call(http.MethodGet, "/api/v1/requests/"+id, ""); a.text("phase") != "VALIDATED" {
		t.Errorf("phase: got %q, want VALIDATED", a.text("phase"))
	}
}

func TestHandle_failures(t *testing.T) {
	t.Parallel()
	secret := "postgres://user:secret@10.0.0.1"
	for name, c := range map[string]struct {
		reason   string
		identify func(*http.Request) (domain.Caller, error)
		status   int
	}{
		"store away": {"what is away is not shown", func(*http.Request) (domain.Caller, error) {
			return domain.Caller{}, &domain.Error{Op: "x", Kind: domain.Unavailable, Detail: secret, Err: fmt.Errorf("dial %s", secret)}
		}, 503},
		"defect": {"what broke is not shown", func(*http.Request) (domain.Caller, error) {
			return domain.Caller{}, fmt.Errorf("dial %s", secret)
		}, 500},
		"panic": {"a panic ends one request only", func(*http.Request) (domain.Caller, error) { panic(secret) }, 500},
	} {
		b := newBench(t, setup{ports: func(p *intake.Ports) { p.Identify = c.identify }})
		a := b.post(volume)
		if a.status != c.status || strings.Contains(a.body, "secret") || a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %s: got %d %s", name, c.reason, a.status, a.body)
		}
		if (a.header.Get("Retry-After") != "") != (c.status == 503) || a.json["retryable"] != true {
			t.Errorf("%s: Retry-After %q, retryable %v", name, a.header.Get("Retry-After"), a.json["retryable"])
		}
		if !strings.Contains(b.log.String(), secret) {
			t.Errorf("%s: the log does not say what happened: %s", name, b.log)
		}
	}
}
