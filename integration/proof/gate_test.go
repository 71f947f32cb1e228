//go:build integration

package proof

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"slices"
	"sync"
	"syscall"
)

// gate is what a role passes at every named point of the flow. It can be told to
// end its process at one of them, and it remembers who passed where.
//
// A point has a name, such as "Change acquire/before", and happens on behalf of
// something: a request by its message id, a resource by its uid, an event of
// neither by its id. Names come from what a call does, not from how often it was
// made, so they are the same in every run whatever the timing.
type gate struct {
	function string
	record   bool // remember the points of everybody
	end      func()
	told     func(point string) // hears of every point, unless nil

	mu    sync.Mutex
	armed map[string]string          // what to do by point and subject: die or drop
	seen  map[string]map[string]bool // subject -> points
}

// What a gate does at a point that is armed.
const (
	die  = "die"  // end the process, as kill -9 does
	drop = "drop" // the front loses the event it has just taken, the hypervisor its answer
)

func newGate(function string, record bool) *gate {
	return &gate{function: function, record: record, end: perish, armed: map[string]string{}, seen: map[string]map[string]bool{}}
}

// perish ends this process at once: nothing deferred runs, nothing is flushed.
func perish() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal needs a moment; nothing may happen in it
}

// pass notes that a point is passed, and does not return if it is armed to die.
// It reports whether it is armed to drop, once.
func (g *gate) pass(point, subject string) (dropped bool) {
	if g.told != nil {
		g.told(point)
	}
	g.mu.Lock()
	if g.record && subject != "" {
		if g.seen[subject] == nil {
			g.seen[subject] = map[string]bool{}
		}
		g.seen[subject][g.function+" "+point] = true
	}
	do := g.armed[point+"\n"+subject]
	delete(g.armed, point+"\n"+subject)
	g.mu.Unlock()
	if do == die {
		g.end()
	}
	return do == drop
}

// around passes the points before and after a call.
func (g *gate) around(name, subject string, call func() error) error {
	g.pass(name+"/before", subject)
	err := call()
	g.pass(name+"/after", subject)
	return err
}

// ServeHTTP is how the harness speaks to the gate of a process. Any answer at all
// says that the process is up.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	g.mu.Lock()
	defer g.mu.Unlock()
	switch r.URL.Path {
	case "/proof/arm":
		for _, subject := range q["subject"] {
			g.armed[q.Get("point")+"\n"+subject] = q.Get("do")
		}
	case "/proof/disarm":
		clear(g.armed)
	case "/proof/forget":
		for _, subject := range q["subject"] {
			delete(g.seen, subject)
		}
	case "/proof/seen":
		points := map[string]bool{}
		for _, subject := range q["subject"] {
			maps.Copy(points, g.seen[subject])
		}
		_ = json.NewEncoder(w).Encode(slices.Sorted(maps.Keys(points)))
	}
}
