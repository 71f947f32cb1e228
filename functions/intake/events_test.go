package intake_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/functions/intake"
)

// A server's own deadlines, which are shorter than a wait or a stream, are moved.
func TestRequest_liftsDeadlines(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{ports: func(p *intake.Ports) { p.Heartbeat = 20 * time.Millisecond }})
	s := httptest.NewUnstartedServer(http.HandlerFunc(b.f.Handle))
	s.Config.ReadTimeout, s.Config.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	s.Start()
	defer s.Close()
	id := b.accept(volume)
	waited := make(chan string)
	go func() {
		r, _ := http.NewRequest(http.MethodGet, s.URL+"/api/v1/requests/"+id, nil)
		r.Header.Set("Prefer", "wait=1")
		answer, err := s.Client().Do(r)
		if err != nil {
			waited <- err.Error()
			return
		}
		defer answer.Body.Close()
		waited <- answer.Status
	}()
	lines, stop := b.stream(s, id, "")
	defer stop()
	beats := 0
	for line := range lines {
		if strings.HasPrefix(line, ":") {
			if beats++; beats == 10 { // 10 heartbeats take twice the server's deadline
				b.finish(id)
			}
		}
		if line == "event: end" {
			beats = -1
			break
		}
	}
	if beats != -1 {
		t.Errorf("the stream ended after %d heartbeats, without its end", beats)
	}
	if got := <-waited; got != "200 OK" {
		t.Errorf("waiting longer than the server's deadline: got %s", got)
	}
}

// stream follows a request and yields lines until the stream ends.
func (b *bench) stream(s *httptest.Server, id, last string) (lines chan string, stop func()) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/v1/requests/"+id+"/events", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	answer, err := s.Client().Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" {
		b.t.Fatalf("stream: got %s %v", answer.Status, answer.Header)
	}
	lines = make(chan string)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(lines)
		in := bufio.NewScanner(answer.Body)
		in.Buffer(nil, 1<<20)
		for in.Scan() {
			select {
			case lines <- in.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines, func() { cancel(); <-done; answer.Body.Close() }
}

func TestRequest_events(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{})
	s := httptest.NewServer(http.HandlerFunc(b.f.Handle))
	defer s.Close()
	id := b.accept(volume)

	// The first steps come at once; then the client goes away.
	lines, stop := b.stream(s, id, "")
	var ids []string
	for line := range lines {
		if n, ok := strings.CutPrefix(line, "id: "); ok {
			if ids = append(ids, n); len(ids) == 7 {
				break
			}
		}
	}
	stop()
	if fmt.Sprint(ids) != "[1 2 3 4 5 6 7]" {
		t.Fatalf("ids: got %v, want 1 to 7", ids)
	}

	// Meanwhile a step is added and one undone; the client comes back.
	b.change(id, func(w *application.Work) {
		w.Note(domain.NewStep(domain.MessageConsumed, w.Now, 0, nil))
		w.Compensate(domain.UseCaseProcessed)
	})
	lines, stop = b.stream(s, id, "7")
	defer stop()
	var events []string
	for line := range lines {
		switch name, value, _ := strings.Cut(line, ": "); name {
		case "id", "event":
			events = append(events, value)
		case "data":
			var data struct{ Name, Status string }
			if err := json.Unmarshal([]byte(value), &data); err != nil {
				t.Errorf("data %q: %v", value, err)
			}
			events = append(events, data.Name+" "+data.Status)
		}
		if len(events) == 5 {
			b.finish(id)
		}
	}
	want := "step|use-case-processed COMPENSATED|8|step|message-consumed SUCCESS|end|end| COMPLETED"
	if got := strings.Join(events, "|"); got != want {
		t.Errorf("resumed after 7:\n got %s\nwant %s", got, want)
	}
	if a := b.call(http.MethodGet, "/api/v1/requests/"+id+"/events", "", "Last-Event-ID", "end"); a.status != http.StatusNoContent {
		t.Errorf("resumed after the end: got %d, want 204", a.status)
	}
	if a := b.call(http.MethodGet, "/api/v1/requests/"+id+"/events", "", "Last-Event-ID", "x"); a.status != http.StatusBadRequest {
		t.Errorf("resumed after x: got %d, want 400", a.status)
	}
	if a := b.call(http.MethodHead, "/api/v1/requests/"+id+"/events", ""); a.status != http.StatusOK {
		t.Errorf("HEAD: got %d, want 200 at once", a.status)
	}
}

// A stream would keep an instance that is told to end from ending.
func TestRequest_leaving(t *testing.T) {
	t.Parallel()
	leaving := make(chan struct{})
	b := newBench(t, setup{ports: func(p *intake.Ports) { p.Leaving = leaving }})
	s := httptest.NewServer(http.HandlerFunc(b.f.Handle))
	defer s.Close()
	id := b.accept(volume)
	lines, stop := b.stream(s, id, "")
	defer stop()
	for line := range lines { // to its end
		if line == "id: 7" {
			close(leaving)
		}
		if line == "event: end" {
			t.Error("the stream says that the request has ended, want it to end in between")
		}
	}
	if a := b.call(http.MethodGet, "/api/v1/requests/"+id, ""); a.status != http.StatusOK {
		t.Errorf("another request while leaving: got %d, want 200", a.status)
	}
}

// What waits and what follows is bounded: a wait over the bound is answered at
// once, a stream is refused.
func TestRequest_tooManyStreams(t *testing.T) {
	t.Parallel()
	b := newBench(t, setup{ports: func(p *intake.Ports) { p.Streams = 1 }})
	s := httptest.NewServer(http.HandlerFunc(b.f.Handle))
	defer s.Close()
	id := b.accept(volume)
	lines, stop := b.stream(s, id, "")
	defer stop()
	<-lines // the stream is open
	if a := b.call(http.MethodGet, "/api/v1/requests/"+id, "", "Prefer", "wait=30"); a.status != http.StatusOK || a.header.Get("Preference-Applied") != "" {
		t.Errorf("a wait too many: got %d %v, want 200 at once", a.status, a.header)
	}
	if a := b.call(http.MethodGet, "/api/v1/requests/"+id+"/events", ""); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("a stream too many: got %d %v, want 503", a.status, a.header)
	}
}
