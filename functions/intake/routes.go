package intake

import (
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
)

// route is one operation of openapi.yaml.
type route struct {
	method  string
	pattern string // of http.ServeMux, without the method
	open    bool   // served without knowing who asks
	serve   func(*Function, *exchange) error
}

func routes() []route {
	return []route{
		{http.MethodPost, "/api/v1/virtualize", false, (*Function).virtualize},
		{http.MethodPost, "/virtualize", false, (*Function).virtualize},
		{http.MethodGet, "/api/v1/requests", false, (*Function).listRequests},
		{http.MethodGet, "/api/v1/requests/{id}", false, (*Function).showRequest},
		{http.MethodDelete, "/api/v1/requests/{id}", false, (*Function).cancelRequest},
		{http.MethodGet, "/api/v1/requests/{id}/events", false, (*Function).followRequest},
		{http.MethodGet, "/api/v1/resources", false, (*Function).listResources},
		{http.MethodGet, "/api/v1/resources/{id}", false, (*Function).showResource},
		{http.MethodGet, "/api/v1/quota", false, (*Function).showQuota},
		{http.MethodGet, "/api/v1/dead-letters", false, (*Function).listDeadLetters},
		{http.MethodPost, "/api/v1/dead-letters/{id}/resume", false, (*Function).resumeDeadLetter},
		{http.MethodGet, "/openapi.yaml", true, (*Function).showDocument},
		{http.MethodGet, "/metrics", true, (*Function).showMetrics},
	}
}

// routes registers every pattern without its methods, so that a wrong method
// and an unknown path are answered by a problem instead of plain text.
func (f *Function) routes() *http.ServeMux {
	operations := map[string]map[string]route{}
	for _, r := range routes() {
		if operations[r.pattern] == nil {
			operations[r.pattern] = map[string]route{}
		}
		operations[r.pattern][r.method] = r
		if r.method == http.MethodGet {
			operations[r.pattern][http.MethodHead] = r
		}
	}
	mux := http.NewServeMux()
	for pattern, byMethod := range operations {
		allow := strings.Join(slices.Sorted(maps.Keys(byMethod)), ", ")
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			chosen, ok := byMethod[r.Method]
			if !ok {
				chosen = route{open: true, serve: func(*Function, *exchange) error { return methodNotAllowed(allow) }}
			}
			f.serve(w, r, chosen)
		})
	}
	mux.HandleFunc("/", f.nowhere)
	return mux
}

func (f *Function) nowhere(w http.ResponseWriter, r *http.Request) {
	f.serve(w, r, route{open: true, serve: func(*Function, *exchange) error { return noSuchPath() }})
}

// direct reports whether the mux takes the path as it is. It would answer any
// other by a redirect to a cleaned one, which a client that posts does not follow.
func direct(p string) bool {
	clean := path.Clean(p)
	return p == clean || p == clean+"/"
}
