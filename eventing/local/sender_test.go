package local

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// exchange is a receiver without a network: what it answers, how late, and when
// it was asked.
type exchange struct {
	answers []any // an int is a status, an error is no answer; the last one repeats
	takes   time.Duration
	asked   []time.Duration // since began
	began   time.Time
	last    *http.Request
}

func (x *exchange) RoundTrip(r *http.Request) (*http.Response, error) {
	x.asked, x.last = append(x.asked, time.Since(x.began)), r
	select {
	case <-time.After(x.takes):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	got := x.answers[min(len(x.asked), len(x.answers))-1]
	if err, failed := got.(error); failed {
		return nil, err
	}
	return &http.Response{StatusCode: got.(int), Header: make(http.Header), Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
}

func (x *exchange) sender(t *testing.T, d delivery) *sender {
	x.began = time.Now()
	client := newClient()
	client.Transport = x
	return &sender{client: client, namespace: "kbnt", delivery: d, retry: retried, log: testLog(t)}
}

func TestRetrySet(t *testing.T) {
	t.Parallel()
	again := map[int]bool{404: true, 408: true, 409: true, 429: true}
	for status := 300; status < 600; status++ {
		if want := again[status] || status >= 500; retried(status) != want {
			t.Errorf("retried(%d) = %t, want %t", status, !want, want)
		}
	}
}

func TestSend(t *testing.T) {
	t.Parallel()
	refused := errors.New("connection refused")
	policy := delivery{retries: 3, delay: time.Second, timeout: 10 * time.Second}
	tests := map[string]struct {
		reason   string
		answers  []any
		takes    time.Duration
		delivery delivery
		asked    []time.Duration
		status   int // of the last answer; 0: none
		ok       bool
	}{
		"accepted":           {"any status below 300 is success", []any{299}, 0, policy, []time.Duration{0}, 299, true},
		"redirect":           {"3xx is not followed and not retried", []any{307}, 0, policy, []time.Duration{0}, 307, false},
		"refused for good":   {"other 4xx are not retried", []any{400}, 0, policy, []time.Duration{0}, 400, false},
		"used up":            {"retry 3 is four attempts, after 2, 4 and 8 delays", []any{503}, 0, policy, []time.Duration{0, 2 * time.Second, 6 * time.Second, 14 * time.Second}, 503, false},
		"recovers":           {"the first success ends it", []any{503, refused, 202}, 0, policy, []time.Duration{0, 2 * time.Second, 6 * time.Second}, 202, true},
		"then refused":       {"an answer not worth a retry ends it", []any{429, 422}, 0, policy, []time.Duration{0, 2 * time.Second}, 422, false},
		"no answer":          {"connection errors are retried", []any{refused}, 0, delivery{retries: 1, delay: time.Second, timeout: time.Minute}, []time.Duration{0, 2 * time.Second}, 0, false},
		"no retry":           {"retry 0 is one attempt: the trap of a delivery block without retry", []any{503}, 0, delivery{delay: time.Second, timeout: time.Minute}, []time.Duration{0}, 503, false},
		"linear":             {"linear waits are delay*n", []any{500}, 0, delivery{retries: 3, linear: true, delay: time.Second, timeout: time.Minute}, []time.Duration{0, 1 * time.Second, 3 * time.Second, 6 * time.Second}, 500, false},
		"times out":          {"an attempt that takes too long is retried", []any{200}, time.Hour, delivery{retries: 1, delay: time.Second, timeout: 10 * time.Second}, []time.Duration{0, 12 * time.Second}, 0, false},
		"just within":        {"the timeout is of one attempt", []any{503, 200}, 9 * time.Second, policy, []time.Duration{0, 11 * time.Second}, 200, true},
		"no Retry-After yet": {"waits do not depend on the answer", []any{429, 200}, 0, policy, []time.Duration{0, 2 * time.Second}, 200, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				x := &exchange{answers: test.answers, takes: test.takes}
				e := newEvent("1", "k")
				got, err := x.sender(t, test.delivery).send(t.Context(), "http://function/", &e)
				if (err == nil) != test.ok {
					t.Errorf("send: error %v, want success %t (%s)", err, test.ok, test.reason)
				}
				if len(x.asked) != len(test.asked) {
					t.Fatalf("asked at %v, want %v (%s)", x.asked, test.asked, test.reason)
				}
				for i := range test.asked {
					if x.asked[i] != test.asked[i] {
						t.Errorf("asked at %v, want %v (%s)", x.asked, test.asked, test.reason)
						break
					}
				}
				if err != nil {
					got = asUndelivered(err)
				}
				status := 0
				if got != nil {
					status = got.status
				}
				if status != test.status {
					t.Errorf("last status %d, want %d (%s)", status, test.status, test.reason)
				}
			})
		})
	}
}

func TestSendRequest(t *testing.T) {
	t.Parallel()
	x := &exchange{answers: []any{200}}
	e := newEvent("1", "k")
	if _, err := x.sender(t, sourceDelivery).send(t.Context(), "http://function/path", &e); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Prefer": "reply", "Kn-Namespace": "kbnt", "Content-Type": "application/json",
		"Ce-Id": "1", "Ce-Partitionkey": "k", "Ce-Specversion": "1.0",
	} {
		if got := x.last.Header[name]; len(got) != 1 || got[0] != want {
			t.Errorf("header %s is %q, want %q once", name, got, want)
		}
	}
	if x.last.Method != http.MethodPost || x.last.URL.Path != "/path" {
		t.Errorf("%s %s, want POST /path", x.last.Method, x.last.URL)
	}
}

// Closing the platform ends the waits at once, and nothing is settled by it.
func TestSendStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		quit := make(chan struct{})
		x := &exchange{answers: []any{503}}
		s := x.sender(t, delivery{retries: 10, delay: time.Hour, timeout: time.Minute})
		s.quit = quit
		time.AfterFunc(time.Minute, func() { close(quit) })
		e := newEvent("1", "k")
		if _, err := s.send(t.Context(), "http://function/", &e); !errors.Is(err, errStopped) {
			t.Errorf("send: error %v, want errStopped", err)
		}
		if got := time.Since(x.began); got != time.Minute {
			t.Errorf("send returned after %s, want when quit closed, after 1m", got)
		}
	})
}

func TestAnswerEvent(t *testing.T) {
	t.Parallel()
	ce := http.Header{"Ce-Specversion": {"1.0"}, "Ce-Id": {"1"}, "Ce-Type": {"t"}, "Ce-Source": {"/s"}}
	tests := map[string]struct {
		reason string
		answer answer
		event  bool
		fails  bool
	}{
		"empty":          {"an empty body is no reply", answer{}, false, false},
		"event":          {"a CloudEvent is a reply", answer{header: ce, body: []byte("x")}, true, false},
		"event, no data": {"a binary event may have headers only", answer{header: ce}, true, false},
		"text":           {"any other body is a failure", answer{header: http.Header{}, body: []byte("ok")}, false, true},
		"half an event":  {"an event without its attributes is a failure", answer{header: http.Header{"Ce-Specversion": {"1.0"}}, body: []byte("x")}, false, true},
	}
	for name, test := range tests {
		e, err := test.answer.event()
		if (e != nil) != test.event || (err != nil) != test.fails {
			t.Errorf("%s: event %v, error %v, want %t, %t (%s)", name, e, err, test.event, test.fails, test.reason)
		}
	}
}
