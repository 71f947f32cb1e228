package avro

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	twmb "github.com/twmb/avro"
)

// fakeRegistry is a schema registry in memory, as strict as the API reference of
// Confluent's is: a question that is not asked as written there fails the test.
// Schemas are told apart by their whole text, and an id is shared by subjects.
// A subject takes only what can read its newest schema (BACKWARD, the default).
type fakeRegistry struct {
	t              *testing.T
	server         *httptest.Server
	user, password string // wanted, if there is a user

	mu       sync.Mutex
	schemas  []string         // id-1 is the index
	subjects map[string][]int // ids, oldest first
	asked    []string         // "POST /subjects/a-value"
	trouble  http.HandlerFunc // answers instead, if set
}

func newFakeRegistry(t *testing.T) *fakeRegistry {
	f := &fakeRegistry{t: t, subjects: map[string][]int{}}
	f.server = httptest.NewServer(f)
	t.Cleanup(f.server.Close)
	return f
}

// options to reach the fake, with credentials if it wants any.
func (f *fakeRegistry) options() RegistryOptions {
	u, err := url.Parse(f.server.URL)
	if err != nil {
		f.t.Fatal(err)
	}
	if f.user != "" {
		u.User = url.UserPassword(f.user, f.password)
	}
	return RegistryOptions{URL: u, Client: f.server.Client()}
}

// add makes a schema known as if somebody else had registered it.
func (f *fakeRegistry) add(subject, schema string) (id uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return uint32(f.register(subject, schema))
}

// fail makes the fake answer with h from now on; nil ends that.
func (f *fakeRegistry) fail(h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.trouble = h
}

// questions returns what was asked since the last call.
func (f *fakeRegistry) questions() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	asked := f.asked
	f.asked = nil
	return asked
}

func (f *fakeRegistry) register(subject, schema string) (id int) {
	id = slices.Index(f.schemas, schema) + 1
	if id == 0 {
		f.schemas = append(f.schemas, schema)
		id = len(f.schemas)
	}
	if !slices.Contains(f.subjects[subject], id) {
		f.subjects[subject] = append(f.subjects[subject], id)
	}
	return id
}

func (f *fakeRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.asked = append(f.asked, r.Method+" "+r.URL.Path)
	trouble := f.trouble
	f.mu.Unlock()
	if trouble != nil {
		trouble(w, r)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	status, answer := f.answer(r)
	w.Header().Set("Content-Type", registryType)
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		f.t.Errorf("answer %s: %v", r.URL, err)
	}
}

func (f *fakeRegistry) answer(r *http.Request) (int, any) {
	if user, password, _ := r.BasicAuth(); user != f.user || password != f.password {
		return refuse(401, 40101, "unauthorized")
	}
	if !strings.Contains(r.Header.Get("Accept"), registryType) {
		f.t.Errorf("%s %s: accepts %q, want %s among it", r.Method, r.URL, r.Header.Get("Accept"), registryType)
	}
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case r.Method == http.MethodPost && len(path) == 2 && path[0] == "subjects":
		return f.lookUp(r, path[1])
	case r.Method == http.MethodPost && len(path) == 3 && path[0] == "subjects" && path[2] == "versions":
		return f.newVersion(r, path[1])
	case r.Method == http.MethodGet && len(path) == 3 && path[0] == "schemas" && path[1] == "ids":
		id, err := strconv.Atoi(path[2])
		if err != nil || id < 1 || id > len(f.schemas) {
			return refuse(404, 40403, fmt.Sprintf("Schema %s not found", path[2]))
		}
		return 200, map[string]any{"schema": f.schemas[id-1]} // AVRO is not said
	}
	return refuse(404, 404, "HTTP 404 Not Found")
}

func (f *fakeRegistry) lookUp(r *http.Request, subject string) (int, any) {
	schema, _ := f.question(r)
	ids, ok := f.subjects[subject]
	if !ok {
		return refuse(404, 40401, fmt.Sprintf("Subject '%s' not found.", subject))
	}
	id := slices.Index(f.schemas, schema) + 1
	if !slices.Contains(ids, id) {
		return refuse(404, 40403, "Schema not found")
	}
	return 200, map[string]any{"subject": subject, "id": id, "version": slices.Index(ids, id) + 1, "schema": schema}
}

func (f *fakeRegistry) newVersion(r *http.Request, subject string) (int, any) {
	text, schema := f.question(r)
	if schema == nil {
		return refuse(422, 42201, "Input schema is an invalid Avro schema")
	}
	if ids := f.subjects[subject]; len(ids) > 0 {
		newest := twmb.MustParse(f.schemas[ids[len(ids)-1]-1])
		if err := twmb.CheckCompatibility(newest, schema); err != nil {
			return refuse(409, 409, "Schema being registered is incompatible with an earlier schema")
		}
	}
	return 200, map[string]any{"id": f.register(subject, text)}
}

// question reads the body of a POST; the schema is nil if it is none.
func (f *fakeRegistry) question(r *http.Request) (string, *twmb.Schema) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != registryType {
		f.t.Errorf("POST %s: content type %q, want %s", r.URL, r.Header.Get("Content-Type"), registryType)
	}
	var body map[string]string
	content, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(content, &body)
	}
	if err != nil {
		f.t.Errorf("POST %s: %v", r.URL, err)
	}
	if keys := slices.Sorted(maps.Keys(body)); !slices.Equal(keys, []string{"schema", "schemaType"}) || body["schemaType"] != "AVRO" {
		f.t.Errorf("POST %s: got %v of type %q, want a schema of type AVRO", r.URL, keys, body["schemaType"])
	}
	schema, err := twmb.Parse(body["schema"])
	if err != nil {
		return "", nil
	}
	return body["schema"], schema
}

func refuse(status, code int, message string) (int, any) {
	return status, map[string]any{"error_code": code, "message": message}
}
