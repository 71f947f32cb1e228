package kubevirt_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"time"
)

// server is an API server in memory, for as much of one as the driver and the stand-in
// for KubeVirt's controllers use. testdata/answers.json holds it to a real one. It
// checks what it is sent by the fields that it knows (schema_test.go), so a field that
// is misspelled or in the wrong place fails here, too.
type server struct {
	mu      sync.Mutex
	version int
	objects map[string]fields // by collection path and name
	quotas  map[string]int    // collection path -> most objects
	now     func() time.Time
	before  func(r *http.Request) (status int, body string, header http.Header) // answers instead; status 0: does not
	asked   []string                                                            // method and path of each request
}

// served is a kind that the server knows.
type served struct {
	group, kind string
	schema      *schema
	custom      bool // defined by a custom resource: it counts generations
	status      bool // has a status of its own, which only /status writes
	protected   string
}

func (served) cluster(plural string) bool {
	return plural == "namespaces" || plural == "storageclasses" || plural == "customresourcedefinitions"
}

func newServer(now func() time.Time) *server {
	return &server{objects: map[string]fields{}, quotas: map[string]int{}, now: now}
}

func kinds() map[string]served {
	return map[string]served{
		"/api/v1/namespaces":                                      {kind: "Namespace", schema: open()},
		"/api/v1/secrets":                                         {kind: "Secret", schema: secretSchema()},
		"/api/v1/resourcequotas":                                  {kind: "ResourceQuota", schema: open()},
		"/api/v1/persistentvolumeclaims":                          {kind: "PersistentVolumeClaim", schema: claimSchema(), status: true, protected: "kubernetes.io/pvc-protection"},
		"/apis/storage.k8s.io/v1/storageclasses":                  {group: "storage.k8s.io", kind: "StorageClass", schema: open()},
		"/apis/apiextensions.k8s.io/v1/customresourcedefinitions": {group: "apiextensions.k8s.io", kind: "CustomResourceDefinition", schema: open()},
		"/apis/k8s.cni.cncf.io/v1beta1/multi-networkpolicies":     {group: "k8s.cni.cncf.io", kind: "MultiNetworkPolicy", schema: open(), custom: true},
		"/apis/kubevirt.io/v1/virtualmachines":                    {group: "kubevirt.io", kind: "VirtualMachine", schema: vmSchema(), custom: true, status: true},
		"/apis/kubevirt.io/v1/virtualmachineinstances":            {group: "kubevirt.io", kind: "VirtualMachineInstance", schema: open(), custom: true, status: true},
		"/apis/cdi.kubevirt.io/v1beta1/datavolumes":               {group: "cdi.kubevirt.io", kind: "DataVolume", schema: dataVolumeSchema(), custom: true, status: true},
		"/apis/k8s.cni.cncf.io/v1/network-attachment-definitions": {group: "k8s.cni.cncf.io", kind: "NetworkAttachmentDefinition", schema: attachmentSchema(), custom: true},
	}
}

// RoundTrip answers without a network, as a transport of net/http does: it reports the
// connection, and ends with the context.
func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{})
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result(), nil
}

// request is one call, understood.
type request struct {
	served
	verb, collection, plural, namespace, name, sub string
	query                                          url.Values
	body                                           []byte
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r.Method+" "+r.URL.Path)
	if s.before != nil {
		if status, body, header := s.before(r); status != 0 {
			maps.Copy(w.Header(), header)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
			return
		}
	}
	if writes := r.Method == http.MethodPost || r.Method == http.MethodPatch; writes && strings.HasPrefix(r.UserAgent(), "kbnt") && r.URL.Query().Get("fieldValidation") != "Strict" {
		http.Error(w, "the driver is to write with strict validation only", http.StatusTeapot)
		return
	}
	q, ok := parse(r)
	if !ok {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "404 page not found\n")
		return
	}
	q.body, _ = io.ReadAll(r.Body)
	status, out := s.answer(q, r.Header)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(out)
}

// parse finds the kind, namespace and name of a path.
func parse(r *http.Request) (request, bool) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	n := 2
	if parts[0] == "apis" {
		n = 3
	}
	if len(parts) <= n {
		return request{}, false
	}
	q := request{verb: r.Method, query: r.URL.Query()}
	root, rest := "/"+strings.Join(parts[:n], "/"), parts[n:]
	if rest[0] == "namespaces" && len(rest) > 2 {
		q.namespace, rest = rest[1], rest[2:]
	}
	q.plural = rest[0]
	var known bool
	if q.served, known = kinds()[root+"/"+q.plural]; !known || q.cluster(q.plural) != (q.namespace == "") {
		return request{}, false
	}
	q.collection = root + "/" + q.plural
	if q.namespace != "" {
		q.collection = root + "/namespaces/" + q.namespace + "/" + q.plural
	}
	if len(rest) > 1 {
		q.name = rest[1]
	}
	if len(rest) > 2 {
		q.sub = rest[2]
	}
	return q, len(rest) <= 3
}

// resource is what messages call a collection.
func (q request) resource() string {
	if q.group == "" {
		return q.plural
	}
	return q.plural + "." + q.group
}

// no is a Status that refuses.
func no(code int, reason, message string, details fields) (int, fields) {
	out := fields{"apiVersion": "v1", "kind": "Status", "metadata": fields{}, "status": "Failure", "code": code, "reason": reason, "message": message}
	if details != nil {
		out["details"] = details
	}
	return code, out
}

func (q request) details(kind, name string, more fields) fields {
	d := fields{"kind": kind}
	if name != "" {
		d["name"] = name
	}
	if q.group != "" {
		d["group"] = q.group
	}
	maps.Copy(d, more)
	return d
}
