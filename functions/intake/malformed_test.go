package intake_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"kbnt.dev/virtualization/application"
)

// badBodies are refused, each with a problem that names what is wrong.
var badBodies = map[string]struct {
	reason string
	body   string
	status int
	errors []string // "pointer code", all of them
}{
	"empty":           {"there must be a document", " ", 400, []string{" empty"}},
	"no object":       {"a request is an object", `[1]`, 400, []string{" wrong-type"}},
	"null":            {"null is no object", `null`, 400, []string{" wrong-type"}},
	"cut off":         {"JSON must be whole", `{"type":"CREATE_NETWORK","spec":{"vlan":2`, 400, []string{"/spec syntax"}},
	"comma":           {"JSON has no comma at the end", `{"type":"CREATE_NETWORK",}`, 400, []string{" syntax"}},
	"comment":         {"JSON has no comments", `{"type":/*x*/"CREATE_NETWORK"}`, 400, []string{"/type syntax"}},
	"leading zero":    {"JSON has no octal numbers", `{"type":"ALLOCATE_STORAGE","spec":{"size":010}}`, 400, []string{"/spec syntax"}},
	"two documents":   {"one body is one request", volume + `{}`, 400, []string{" trailing-data"}},
	"wrong types":     {"every field has its type", `{"type":5,"resourceId":{},"specifications":[],"metadata":"x"}`, 400, []string{"/type wrong-type", "/resourceId wrong-type", "/specifications wrong-type", "/metadata wrong-type"}},
	"wrong in spec":   {"every field of a machine has its type", `{"type":"CREATE_VIRTUAL_MACHINE","specifications":{"cpu":true,"memory":[],"disk":{},"network":7,"image":1,"sshKeys":["a",2],"userData":false,"securityGroups":"web"}}`, 400, []string{"/specifications/cpu wrong-type", "/specifications/memory wrong-type", "/specifications/disk wrong-type", "/specifications/network wrong-type", "/specifications/image wrong-type", "/specifications/sshKeys/1 wrong-type", "/specifications/userData wrong-type", "/specifications/securityGroups wrong-type"}},
	"null field":      {"null is not missing", `{"type":"ALLOCATE_STORAGE","specifications":{"size":null}}`, 400, []string{"/specifications/size wrong-type"}},
	"wrong metadata":  {"every field of metadata has its type", `{"type":"ALLOCATE_STORAGE","specifications":{"size":1},"metadata":{"requestId":1,"userId":2,"priority":3,"correlationId":4,"labels":{"a":5}}}`, 400, []string{"/metadata/requestId wrong-type", "/metadata/userId wrong-type", "/metadata/correlationId wrong-type", "/metadata/priority wrong-type", "/metadata/labels/a wrong-type"}},
	"unknown fields":  {"unknown fields are errors, everywhere", `{"type":"CREATE_VIRTUAL_MACHINE","colour":1,"specifications":{"cpu":1,"memory":1,"disk":1,"network":{"mode":"bridged","mtu":9},"ram":2},"metadata":{"a/b~c":1}}`, 400, []string{"/specifications/network/mtu unknown-field", "/specifications/ram unknown-field", "/metadata/a~1b~0c unknown-field", "/colour unknown-field"}},
	"case":            {"names are case sensitive", `{"Type":"CREATE_NETWORK"}`, 400, []string{"/Type unknown-field"}},
	"wrong kind":      {"the fields of another type are unknown", `{"type":"ALLOCATE_STORAGE","specifications":{"size":1,"cpu":2}}`, 400, []string{"/specifications/cpu unknown-field"}},
	"twice":           {"a key given twice means two things", `{"type":"ALLOCATE_STORAGE","specifications":{"size":1,"size":2},"type":"CREATE_NETWORK"}`, 400, []string{"/specifications/size duplicate-key", "/type duplicate-key"}},
	"twice, escaped":  {"an escaped key is the same key", `{"type":"ALLOCATE_STORAGE","t\u0079pe":"CREATE_NETWORK"}`, 400, []string{"/type duplicate-key"}},
	"both specs":      {"spec and specifications are one field", `{"type":"ALLOCATE_STORAGE","specifications":{"size":1},"spec":{"size":1}}`, 400, []string{"/spec given-twice"}},
	"UTF-8 in value":  {"text is UTF-8", "{\"type\":\"ALLOCATE_STORAGE\",\"resourceId\":\"a\xff\"}", 400, []string{"/resourceId invalid-utf8"}},
	"UTF-8 in key":    {"keys are UTF-8", "{\"type\":\"CREATE_NETWORK\",\"\xc3\x28\":1}", 400, []string{" invalid-utf8", "/\uFFFD( unknown-field"}},
	"half surrogate":  {"an escape is a whole character", `{"type":"ALLOCATE_STORAGE","resourceId":"\ud800"}`, 400, []string{"/resourceId invalid-utf8"}},
	"depth bomb":      {"nesting is bounded", strings.Repeat(`{"a":`, 30) + "1" + strings.Repeat("}", 30), 400, []string{strings.Repeat("/a", 16) + " too-deep"}},
	"array bomb":      {"nesting is bounded long before the body ends", `{"metadata":` + strings.Repeat("[", 30000), 400, []string{"/metadata" + strings.Repeat("/0", 15) + " too-deep"}},
	"megabyte":        {"bodies are bounded", `{"type":"` + strings.Repeat("x", 1<<20) + `"}`, 413, []string{" too-large"}},
	"missing type":    {"type is required", `{}`, 422, []string{"/type required"}},
	"unknown type":    {"types are those of the table", `{"type":"MAKE_COFFEE"}`, 422, []string{"/type unknown-type"}},
	"missing spec":    {"a volume needs a size", `{"type":"ALLOCATE_STORAGE"}`, 422, []string{"/specifications required"}},
	"empty spec":      {"everything missing is said at once", `{"type":"CREATE_VIRTUAL_MACHINE","specifications":{}}`, 422, []string{"/specifications/cpu required", "/specifications/memory required", "/specifications/disk required", "/specifications/network required"}},
	"negative":        {"numbers have ranges", `{"type":"CREATE_VIRTUAL_MACHINE","specifications":{"cpu":-1,"memory":-8,"disk":-100,"network":{"vlan":-1}}}`, 422, []string{"/specifications/memory not-a-size", "/specifications/disk not-a-size", "/specifications/cpu out-of-range", "/specifications/network out-of-range"}},
	"zero":            {"nothing is not missing", `{"type":"CREATE_VIRTUAL_MACHINE","specifications":{"cpu":0,"memory":0,"disk":0,"network":"vlan-0"}}`, 422, []string{"/specifications/cpu out-of-range", "/specifications/memory not-a-size", "/specifications/disk not-a-size", "/specifications/network not-a-network"}},
	"huge":            {"numbers have ends", `{"type":"CREATE_VIRTUAL_MACHINE","specifications":{"cpu":1e400,"memory":1e300,"disk":"999999999999999TB","network":{"vlan":99999999999999999999}}}`, 422, []string{"/specifications/cpu out-of-range", "/specifications/memory not-a-size", "/specifications/disk not-a-size", "/specifications/network/vlan out-of-range"}},
	"fractions":       {"cores and VLANs are whole", `{"type":"CREATE_VIRTUAL_MACHINE","specifications":{"cpu":1.5,"memory":0.0001,"disk":10,"network":{"vlan":100.5}}}`, 422, []string{"/specifications/cpu not-a-whole-number", "/specifications/memory not-a-size", "/specifications/network/vlan not-a-whole-number"}},
	"words":           {"a word behind a size must fit", `{"type":"CREATE_VIRTUAL_MACHINE","specifications":{"cpu":"four","memory":"8GB SSD","disk":"100GB RAM","network":"lan"}}`, 422, []string{"/specifications/cpu not-a-number-of-cores", "/specifications/memory unknown-word", "/specifications/disk unknown-word", "/specifications/network not-a-network"}},
	"VLAN 4095":       {"VLANs end at 4094", `{"type":"CREATE_NETWORK","specifications":{"subnet":"10.0.1.0/24","vlan":4095}}`, 422, []string{"/specifications/vlan out-of-range"}},
	"bad subnet":      {"a subnet is a prefix", `{"type":"CREATE_NETWORK","specifications":{"subnet":"10.0.1.0/33","vlan":200,"gateway":"10.0.1"}}`, 422, []string{"/specifications/subnet not-a-subnet", "/specifications/gateway not-an-address"}},
	"host bits":       {"a subnet has no host bits", `{"type":"CREATE_NETWORK","specifications":{"subnet":"10.0.1.5/24","vlan":200}}`, 422, []string{"/specifications/subnet host-bits"}},
	"gateway outside": {"the gateway is a host of the subnet", `{"type":"CREATE_NETWORK","specifications":{"subnet":"10.0.1.0/24","vlan":200,"gateway":"10.0.2.1"}}`, 422, []string{"/specifications/gateway disagrees"}},
	"alias":           {"pointers name what the client wrote", `{"type":"ALLOCATE_STORAGE","spec":{"size":"x","type":"TAPE"}}`, 422, []string{"/spec/size not-a-size", "/spec/type unknown-value"}},
	"spec of a stop":  {"what creates nothing takes no specifications", `{"type":"STOP_VIRTUAL_MACHINE","virtualResourceId":"VM-1","specifications":{"cpu":1}}`, 422, []string{"/specifications not-allowed"}},
	"disk types":      {"disk and diskType agree", `{"type":"CREATE_VIRTUAL_MACHINE","specifications":{"cpu":1,"memory":1,"disk":"10GB SSD","diskType":"HDD","network":"bridged"}}`, 422, []string{"/specifications/diskType disagrees"}},
	"network object":  {"a network object is judged field by field", `{"type":"CREATE_VIRTUAL_MACHINE","specifications":{"cpu":1,"memory":1,"disk":10,"network":{"mode":"mesh"}}}`, 422, []string{"/specifications/network/mode unknown-value"}},
	"no VLAN":         {"mode vlan needs one", `{"type":"CREATE_VIRTUAL_MACHINE","specifications":{"cpu":1,"memory":1,"disk":10,"network":{"mode":"vlan"}}}`, 422, []string{"/specifications/network/vlan required"}},
	"bad ids":         {"ids have a form, and fit into an address", `{"type":"ALLOCATE_STORAGE","resourceId":"a\u0000b","specifications":{"size":1},"metadata":{"requestId":"..","userId":"a b","priority":"URGENT"}}`, 422, []string{"/resourceId invalid-name", "/metadata/requestId invalid-id", "/metadata/userId invalid-id", "/metadata/priority unknown-value"}},
	"many keys":       {"lists are bounded", `{"type":"CREATE_VIRTUAL_MACHINE","specifications":{"cpu":1,"memory":1,"disk":10,"network":"bridged","sshKeys":[` + strings.Repeat(`"x",`, 15000) + `"x"]}}`, 422, []string{"/specifications/sshKeys too-many"}},
}

func TestVirtualize_refuses(t *testing.T) {
	t.Parallel()
	for name, c := range badBodies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, setup{})
			a := b.post(c.body)
			if a.status != c.status || a.header.Get("Content-Type") != "application/problem+json" {
				t.Fatalf("%s: got %d %s %s, want a problem %d", c.reason, a.status, a.header.Get("Content-Type"), a.body, c.status)
			}
			if got := a.errors(); !slices.Equal(got, c.errors) {
				t.Errorf("%s: errors\n got %q\nwant %q", c.reason, got, c.errors)
			}
			if c.status == 400 && a.text("code") != "malformed" {
				t.Errorf("%s: code %q, want malformed", c.reason, a.text("code"))
			}
			b.untouched()
		})
	}
}

// untouched checks that a refusal left one line in the log, one count, and
// nothing else.
func (b *bench) untouched() {
	b.t.Helper()
	page, err := b.store.Requests(b.t.Context(), "acme", application.RequestFilter{Limit: 100})
	if err != nil || len(page) > 0 {
		b.t.Errorf("stored requests: got %d (%v), want none", len(page), err)
	}
	if len(b.sender.sent) > 0 {
		b.t.Errorf("sent events: got %d, want none", len(b.sender.sent))
	}
	if got := strings.Count(b.log.String(), "\n"); got != 1 {
		b.t.Errorf("log lines: got %d, want 1:\n%s", got, b.log)
	}
	var failed float64
	for series, n := range b.meter.counts {
		if strings.HasPrefix(series, application.MessagesFailed.Name) {
			failed += n
		}
	}
	if failed != 1 {
		b.t.Errorf("counted refusals: got %v, want 1: %v", failed, b.meter.counts)
	}
}

func TestVirtualize_manyComplaints(t *testing.T) {
	t.Parallel()
	body := `{"type":"CREATE_NETWORK"`
	for i := range 4000 {
		body += `,"x` + strings.Repeat("y", i%7) + string(rune('a'+i%26)) + strings.Repeat("z", i%11) + `":1`
	}
	a := newBench(t, setup{}).post(body + "}")
	if n := len(a.errors()); a.status != http.StatusBadRequest || n != 50 {
		t.Errorf("4000 unknown or repeated fields: got %d with %d errors, want 400 with 50", a.status, n)
	}
}

func TestVirtualize_contentType(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason  string
		headers []string
		status  int
	}{
		"charset":      {"UTF-8 is the charset of JSON", []string{"Content-Type", "application/json; charset=UTF-8"}, 202},
		"missing":      {"a body has a type", []string{"Content-Type", ""}, 415},
		"form":         {"forms are not read", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		"xml":          {"XML is not read", []string{"Content-Type", "application/xml"}, 415},
		"broken":       {"a type has a form", []string{"Content-Type", "a/b/c;;"}, 415},
		"latin":        {"other charsets are not read", []string{"Content-Type", "application/json; charset=latin1"}, 415},
		"compressed":   {"compressed bodies are not read: they could be bombs", []string{"Content-Encoding", "gzip"}, 415},
		"batch":        {"batches are not read", []string{"Content-Type", "application/cloudevents-batch+json"}, 415},
		"other format": {"events are JSON", []string{"Content-Type", "application/cloudevents+avro"}, 415},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if a := newBench(t, setup{}).post(volume, c.headers...); a.status != c.status {
				t.Errorf("%s: %q: got %d %s, want %d", c.reason, c.headers, a.status, a.body, c.status)
			}
		})
	}
}
