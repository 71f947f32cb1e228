//go:build integration

package cutlines

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// record is an event in a topic, in binary mode.
type record struct {
	topic  string
	header http.Header // the attributes
	body   []byte
}

// topics are a KafkaSink per topic and a KafkaSource behind those that have a
// subscriber. What was acknowledged is kept, and delivered until it is acknowledged.
type topics struct {
	ctx     context.Context
	end     context.CancelFunc
	client  *http.Client
	running sync.WaitGroup

	mu          sync.Mutex
	records     []record
	undelivered int
	refused     []string          // answers after which a source delivers no more
	statuses    map[int]int       // how often subscribers answered that
	subscribers map[string]string // topic -> URL
	waiting     func()            // called when a subscriber answers 429
	changed     chan struct{}     // closed, and made anew, when something of this changes
}

// retried are the answers after which a KafkaSource delivers again, besides 5xx
// (Knative Eventing, delivery spec; docs/protocol.md has ours).
var retried = map[int]bool{404: true, 408: true, 409: true, 429: true}

func newTopics(client *http.Client) *topics {
	ctx, end := context.WithCancel(context.Background())
	return &topics{ctx: ctx, end: end, client: client, subscribers: map[string]string{}, statuses: map[int]int{}, changed: make(chan struct{})}
}

func (t *topics) close() {
	t.end()
	t.running.Wait()
}

// ServeHTTP takes an event into the topic that the path names.
func (t *topics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	e := record{topic: strings.TrimPrefix(r.URL.Path, "/"), header: http.Header{}, body: body}
	for name, values := range r.Header {
		if name == "Content-Type" || strings.HasPrefix(name, "Ce-") {
			e.header[name] = values
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	offset := len(t.records)
	t.records = append(t.records, e)
	if to := t.subscribers[e.topic]; to != "" {
		t.undelivered++
		t.running.Go(func() { t.deliver(to, e, offset) })
	}
	w.WriteHeader(http.StatusAccepted)
}

// deliver posts an event until it is acknowledged.
func (t *topics) deliver(to string, e record, offset int) {
	header := e.header.Clone()
	header.Set("Ce-Knativekafkapartition", "0")
	header.Set("Ce-Knativekafkaoffset", strconv.Itoa(offset))
	for delay := 2 * time.Millisecond; ; delay = min(2*delay, 60*time.Millisecond) {
		status := t.post(to, header, e.body)
		if t.ctx.Err() != nil {
			return
		}
		if t.note(status, e) {
			return
		}
		select {
		case <-time.After(delay): // as a KafkaSource waits
		case <-t.ctx.Done():
			return
		}
	}
}

// post makes one delivery. 0: there was no answer.
func (t *topics) post(to string, header http.Header, body []byte) int {
	r, err := http.NewRequestWithContext(t.ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return 0
	}
	r.Header = header
	answer, err := t.client.Do(r)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return 0
	}
	return answer.StatusCode
}

// note keeps the answer to a delivery and reports whether it was the last.
func (t *topics) note(status int, e record) (over bool) {
	t.mu.Lock()
	waiting := t.waiting
	t.statuses[status]++
	over = status != 0 && status < 500 && !retried[status]
	if over {
		t.undelivered--
		if status >= 300 {
			t.refused = append(t.refused, strconv.Itoa(status)+" to "+e.header.Get("Ce-Type"))
		}
	}
	close(t.changed)
	t.changed = make(chan struct{})
	t.mu.Unlock()
	if status == http.StatusTooManyRequests && waiting != nil {
		waiting()
	}
	return over
}

// settled reports whether everything was delivered; changes says when to ask again.
func (t *topics) settled() (all bool, changes <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.undelivered == 0, t.changed
}

// await returns when a subscriber has answered so, n times since the beginning.
func (t *topics) await(ctx context.Context, status, n int) bool {
	for {
		t.mu.Lock()
		have, changed := t.statuses[status], t.changed
		t.mu.Unlock()
		if have >= n {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// onWait has f called at each 429, before the next delivery of that event.
func (t *topics) onWait(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = f
}

// of returns the events about a request in a topic.
func (t *topics) of(topic, requestID string) (found []record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.records {
		if e.topic == topic && e.header.Get("Ce-Requestid") == requestID {
			found = append(found, e)
		}
	}
	return found
}

// gaveUp returns what was never delivered because of the answer.
func (t *topics) gaveUp() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.refused
}
