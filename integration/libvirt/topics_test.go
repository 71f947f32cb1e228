//go:build integration

package libvirt

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// topics take events by POST and deliver those of a topic with a subscriber until they
// are acknowledged, as KafkaSink and KafkaSource do. eventing/local plays these in full.
type topics struct {
	ctx     context.Context
	running sync.WaitGroup

	mu          sync.Mutex
	subscribers map[string]string // topic -> URL
	public      chan []byte       // data of what came to topics without a subscriber
}

func (t *topics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	t.mu.Lock()
	to := t.subscribers[strings.TrimPrefix(r.URL.Path, "/")]
	t.mu.Unlock()
	if to == "" {
		t.public <- body
	} else {
		header := r.Header.Clone()
		header.Del("Content-Length")
		t.running.Go(func() { t.deliver(to, header, body) })
	}
	w.WriteHeader(http.StatusAccepted)
}

func (t *topics) deliver(to string, header http.Header, body []byte) {
	for delay := 50 * time.Millisecond; ; delay = min(2*delay, time.Second) {
		r, err := http.NewRequestWithContext(t.ctx, http.MethodPost, to, bytes.NewReader(body))
		if err != nil {
			return
		}
		r.Header = header.Clone()
		if answer, err := http.DefaultClient.Do(r); err == nil {
			answer.Body.Close()
			if answer.StatusCode/100 == 2 {
				return
			}
		}
		select {
		case <-time.After(delay): // as a KafkaSource waits
		case <-t.ctx.Done():
			return
		}
	}
}
