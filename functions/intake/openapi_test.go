package intake_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/functions/intake"
)

// contract is openapi.yaml, parsed as far as the tests look at it.
type contract struct {
	t        *testing.T
	document map[string]any
	schemas  *jsonschema.Compiler
}

func loadContract(t *testing.T) *contract {
	t.Helper()
	raw, err := yaml.YAMLToJSON(intake.Document)
	if err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
	c := &contract{t: t, document: document.(map[string]any), schemas: jsonschema.NewCompiler()}
	c.schemas.AssertFormat()
	if err := c.schemas.AddResource("openapi.json", document); err != nil {
		t.Fatal(err)
	}
	return c
}

// at follows a path of keys, and references on the way.
func (c *contract) at(from any, path ...string) any {
	for _, key := range path {
		m, _ := from.(map[string]any)
		from = m[key]
		if m, ok := from.(map[string]any); ok {
			if ref, ok := m["$ref"].(string); ok {
				from = c.at(c.document, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
			}
		}
	}
	return from
}

// operations yields "METHOD path" and the operation.
func (c *contract) operations() map[string]map[string]any {
	all := map[string]map[string]any{}
	for path, item := range c.document["paths"].(map[string]any) {
		for method, operation := range item.(map[string]any) {
			if method != "parameters" {
				all[strings.ToUpper(method)+" "+path] = operation.(map[string]any)
			}
		}
	}
	return all
}

// fits checks a document against a schema, given by its pointer.
func (c *contract) fits(pointer string, document []byte) error {
	schema, err := c.schemas.Compile("openapi.json#" + pointer)
	if err != nil {
		c.t.Fatalf("schema %s: %v", pointer, err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// check holds one answer against what its operation promises.
func (c *contract) check(operation string, a answer) {
	c.t.Helper()
	method, path, _ := strings.Cut(operation, " ")
	response, ok := c.at(c.document, "paths", path, strings.ToLower(method), "responses", fmt.Sprint(a.status)).(map[string]any)
	if !ok {
		c.t.Errorf("%s answered %d, which is not in its responses: %s", operation, a.status, a.body)
		return
	}
	content, _ := response["content"].(map[string]any)
	kind, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	if len(content) == 0 {
		if a.body != "" {
			c.t.Errorf("%s %d: an unpromised body: %s", operation, a.status, a.body)
		}
		return
	}
	if _, ok := content[kind]; !ok {
		c.t.Errorf("%s %d: content type %q is not promised", operation, a.status, kind)
		return
	}
	if !strings.Contains(kind, "json") {
		return
	}
	ref, _ := content[kind].(map[string]any)["schema"].(map[string]any)["$ref"].(string)
	if err := c.fits(strings.TrimPrefix(ref, "#"), []byte(a.body)); err != nil {
		c.t.Errorf("%s %d: %v\n%s", operation, a.status, err, a.body)
	}
}

var placeholder = regexp.MustCompile(`\{[^}]*\}`)

// TestDocument_routes holds paths and methods against the handlers, both ways.
func TestDocument_routes(t *testing.T) {
	t.Parallel()
	c := loadContract(t)
	var documented, served []string
	for operation := range c.operations() {
		documented = append(documented, placeholder.ReplaceAllString(operation, "{}"))
	}
	for _, r := range intake.Routes() {
		served = append(served, placeholder.ReplaceAllString(r, "{}"))
	}
	slices.Sort(documented)
	slices.Sort(served)
	if !slices.Equal(documented, served) {
		t.Errorf("documented and served:\n%q\n%q", documented, served)
	}
	b := newBench(t, setup{})
	for operation := range c.operations() {
		method, path, _ := strings.Cut(operation, " ")
		a := b.call(method, placeholder.ReplaceAllString(path, "x"), "")
		if a.text("code") == "no-such-path" || a.status == http.StatusMethodNotAllowed {
			t.Errorf("%s: got %d %s, want it served", operation, a.status, a.body)
		}
	}
}

// TestDocument_schemas compiles every schema, used or not.
func TestDocument_schemas(t *testing.T) {
	t.Parallel()
	c := loadContract(t)
	for name := range c.at(c.document, "components", "schemas").(map[string]any) {
		if _, err := c.schemas.Compile("openapi.json#/components/schemas/" + name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := c.document["openapi"]; got != "3.1.0" {
		t.Errorf("openapi: got %v", got)
	}
}

// TestDocument_security: every operation but the two that anybody may call asks
// for a bearer token, and says what becomes of one that is not good.
func TestDocument_security(t *testing.T) {
	t.Parallel()
	c := loadContract(t)
	if got := c.at(c.document, "components", "securitySchemes", "bearer", "scheme"); got != "bearer" {
		t.Errorf("the scheme is %v, want bearer", got)
	}
	if got := fmt.Sprint(c.document["security"]); got != "[map[bearer:[]]]" {
		t.Errorf("the document asks for %s, want a bearer token", got)
	}
	for operation, o := range c.operations() {
		open := operation == "GET /metrics" || operation == "GET /openapi.yaml"
		if _, own := o["security"]; own != open {
			t.Errorf("%s has security of its own: %t, want %t", operation, own, open)
		}
		for _, status := range []string{"401", "403", "503"} {
			if _, ok := o["responses"].(map[string]any)[status]; !ok && !open {
				t.Errorf("%s does not document %s", operation, status)
			}
		}
	}
	if c.at(c.document, "components", "responses", "Unauthenticated", "headers", "WWW-Authenticate") == nil {
		t.Error("401 does not document WWW-Authenticate")
	}
}

// TestDocument_examples posts every example of a request: it is answered as it
// says, and fits the schema if and only if it can be understood.
func TestDocument_examples(t *testing.T) {
	t.Parallel()
	c := loadContract(t)
	for _, operation := range []string{"POST /api/v1/virtualize", "POST /virtualize"} {
		_, path, _ := strings.Cut(operation, " ")
		content := c.at(c.document, "paths", path, "post", "requestBody", "content").(map[string]any)
		for kind, body := range content {
			for name, e := range c.at(body, "examples").(map[string]any) {
				t.Run(path+" "+name, func(t *testing.T) {
					example := e.(map[string]any)
					document, err := json.Marshal(example["value"])
					if err != nil {
						t.Fatal(err)
					}
					a := newBench(t, setup{}).call(http.MethodPost, path, string(document), "Content-Type", kind)
					if want := fmt.Sprint(example["x-status"]); fmt.Sprint(a.status) != want {
						t.Errorf("got %d %s, want %s", a.status, a.body, want)
					}
					c.check(operation, a)
					ref := strings.TrimPrefix(body.(map[string]any)["schema"].(map[string]any)["$ref"].(string), "#")
					if err := c.fits(ref, document); a.status != http.StatusUnprocessableEntity && (err == nil) != (a.status != http.StatusBadRequest) {
						t.Errorf("answered %d, but the schema says %v", a.status, err)
					}
				})
			}
		}
	}
}

// TestDocument_problems holds the answers to bad bodies against the contract.
func TestDocument_problems(t *testing.T) {
	t.Parallel()
	c := loadContract(t)
	for _, bad := range badBodies {
		c.check("POST /virtualize", newBench(t, setup{}).call(http.MethodPost, "/virtualize", bad.body))
	}
}

// TestDocument_responses calls every operation, well and badly, and holds each
// answer against its schema. Every documented success must come up.
func TestDocument_responses(t *testing.T) {
	t.Parallel()
	c := loadContract(t)
	b := newBench(t, setup{})
	seen := map[string]bool{}
	do := func(operation, target, body string, headers ...string) answer {
		t.Helper()
		method, _, _ := strings.Cut(operation, " ")
		a := b.call(method, target, body, headers...)
		c.check(operation, a)
		seen[fmt.Sprint(operation, " ", a.status)] = true
		return a
	}
	const request, follow = "/api/v1/requests/{requestId}", "GET /api/v1/requests/{requestId}/events"
	for _, path := range []string{"/virtualize", "/api/v1/virtualize"} {
		do("POST "+path, path+"?dryRun=true", volume)
		do("POST "+path, path, machine)
		do("POST "+path, path, volume, binaryHeaders...)
		do("POST "+path, path, machine, "Test-Caller", "nobody")
		do("POST "+path, path, machine, "Test-Caller", "acme/eve/viewer")
		do("POST "+path, path, machine, "Content-Type", "text/plain")
		do("POST "+path, path, `{"type":"CREATE_VIRTUAL_MACHINE","resourceId":"vm-12345","specifications":{"cpu":4,"memory":8,"disk":100,"network":"bridged"}}`)
	}
	net := do("POST /virtualize", "/virtualize", `{"type":"CREATE_NETWORK","specifications":{"subnet":"10.0.1.0/24","vlan":200},"metadata":{"labels":{"team":"a"}}}`)
	target := "/api/v1/requests/req-abc123"
	b.change("req-abc123", func(w *application.Work) {
		w.Note(domain.NewStep(domain.MessageConsumed, w.Now, 1, map[string]any{"partition": 1}), domain.NewStep(domain.InPlan("volume-created"), w.Now, 1, nil), domain.NewStep(domain.ResourceProvisioned, w.Now, 1, nil))
		w.Resource.Facts = domain.Facts{Driver: "simulated", Host: "h", Endpoints: map[string]string{"ssh": "x"}, Baselines: map[string]float64{"cpu_ratio": .02},
			Checks: []domain.HealthCheck{{Name: domain.CheckSSH, Passed: true, Detail: "d", Simulated: true}}, Timings: domain.Timings{Boot: 1}}
	})
	shown := do("GET "+request, target, "")
	do("GET "+request, target, "", "If-None-Match", shown.header.Get("ETag"))
	do("GET "+request, "/api/v1/requests/none", "")
	do("GET /api/v1/requests", "/api/v1/requests?limit=1", "")
	do("GET /api/v1/requests", "/api/v1/requests?limit=x", "")
	do("GET /api/v1/resources", "/api/v1/resources?gone=true", "")
	resource := do("GET /api/v1/resources/{virtualResourceId}", "/api/v1/resources/"+net.text("virtualResourceId"), "")
	do("GET /api/v1/resources/{virtualResourceId}", "/api/v1/resources/"+net.text("virtualResourceId"), "", "If-None-Match", resource.header.Get("ETag"))
	do("GET /api/v1/quota", "/api/v1/quota", "")
	do("GET /openapi.yaml", "/openapi.yaml", "")
	do("DELETE "+request, target, "")
	b.finish("req-abc123")
	do("DELETE "+request, target, "")
	do("GET "+request, target, "")
	do("GET /metrics", "/metrics", "", "Test-Caller", "nobody")
	do(follow, target+"/events", "")
	do(follow, target+"/events", "", "Last-Event-ID", "end")
	do("POST /virtualize", "/virtualize", withID("failing"))
	b.change("failing", func(w *application.Work) {
		w.Bury(application.DeadLetter{ID: "letter", Function: "provision", Reason: "refused", Event: application.Event{ID: "e", Type: "t", Time: w.Now}})
	})
	do("GET /api/v1/dead-letters", "/api/v1/dead-letters", "")
	do("GET /api/v1/dead-letters", "/api/v1/dead-letters", "", "Test-Caller", "acme/dev/user")
	do("POST /api/v1/dead-letters/{deadLetterId}/resume", "/api/v1/dead-letters/letter/resume", "")
	do("POST /api/v1/dead-letters/{deadLetterId}/resume", "/api/v1/dead-letters/none/resume", "")

	for operation, o := range c.operations() {
		for status := range o["responses"].(map[string]any) {
			if status < "4" && !seen[operation+" "+status] {
				t.Errorf("%s %s is documented and did not come up", operation, status)
			}
		}
	}
}
