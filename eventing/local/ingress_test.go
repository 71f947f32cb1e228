package local

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/IBM/sarama"
)

// The table of KafkaSink's answers, in the order of its checks.
func TestIngressAnswers(t *testing.T) {
	t.Parallel()
	binary := map[string]string{"ce-specversion": "1.0", "ce-id": "1", "ce-type": "t", "ce-source": "/s", "Content-Type": "application/json"}
	without := func(name string) map[string]string {
		m := make(map[string]string)
		for k, v := range binary {
			if k != name {
				m[k] = v
			}
		}
		return m
	}
	structured := func(extra string) (map[string]string, string) {
		return map[string]string{"Content-Type": "application/cloudevents+json; charset=UTF-8"},
			`{"specversion":"1.0","id":"1","type":"t","source":"/s"` + extra + `}`
	}
	jsonHeader, jsonBody := structured(`,"data":{"a":1}`)
	_, numberKey := structured(`,"partitionkey":42`)
	_, noType := structured(``)
	noType = strings.Replace(noType, `"type":"t",`, "", 1)
	probe := map[string]string{"K-Network-Probe": "probe", "K-Network-Hash": "hash-1"}

	tests := map[string]struct {
		reason  string
		method  string
		path    string
		headers map[string]string
		body    string
		fails   error // the producer's
		want    int
		sent    bool
	}{
		"liveness":             {"GET on the health path", "GET", "/healthz", nil, "", nil, 200, false},
		"readiness":            {"GET on the health path", "GET", "/readyz", nil, "", nil, 200, false},
		"post to health":       {"only GET is health", "POST", "/healthz", binary, "", nil, 404, false},
		"head":                 {"HEAD is not GET", "HEAD", "/healthz", nil, "", nil, 405, false},
		"get":                  {"only POST", "GET", "/ns/sink", nil, "", nil, 405, false},
		"get unknown path":     {"the method is checked before the path", "GET", "/ns/none", nil, "", nil, 405, false},
		"options":              {"no webhook handshake", "OPTIONS", "/ns/sink", nil, "", nil, 405, false},
		"put":                  {"only POST", "PUT", "/ns/sink", binary, "{}", nil, 405, false},
		"unknown path":         {"no such sink", "POST", "/ns/none", binary, "{}", nil, 404, false},
		"deeper path":          {"the path is exact", "POST", "/ns/sink/x", binary, "{}", nil, 404, false},
		"root":                 {"no such sink", "POST", "/", binary, "{}", nil, 404, false},
		"probe":                {"a probe of a sink", "GET", "/ns/sink", probe, "", nil, 200, false},
		"probe unknown":        {"the path is checked before the probe", "GET", "/ns/none", probe, "", nil, 404, false},
		"no event":             {"no CloudEvent", "POST", "/ns/sink", map[string]string{"Content-Type": "application/json"}, "{}", nil, 400, false},
		"no id":                {"a required attribute is missing", "POST", "/ns/sink", without("ce-id"), "{}", nil, 400, false},
		"no type":              {"a required attribute is missing", "POST", "/ns/sink", without("ce-type"), "{}", nil, 400, false},
		"no source":            {"a required attribute is missing", "POST", "/ns/sink", without("ce-source"), "{}", nil, 400, false},
		"no specversion":       {"a required attribute is missing", "POST", "/ns/sink", without("ce-specversion"), "{}", nil, 400, false},
		"structured no type":   {"a required attribute is missing", "POST", "/ns/sink", jsonHeader, noType, nil, 400, false},
		"structured broken":    {"no JSON", "POST", "/ns/sink", jsonHeader, "{", nil, 400, false},
		"batch":                {"batches are refused", "POST", "/ns/sink", map[string]string{"Content-Type": "application/cloudevents-batch+json"}, "[" + jsonBody + "]", nil, 400, false},
		"binary":               {"Kafka acknowledged", "POST", "/ns/sink", binary, "{}", nil, 202, true},
		"trailing slash":       {"a trailing slash is tolerated", "POST", "/ns/sink/", binary, "{}", nil, 202, true},
		"structured":           {"both modes are read", "POST", "/ns/sink", jsonHeader, jsonBody, nil, 202, true},
		"no body":              {"an event need not have data", "POST", "/ns/sink", binary, "", nil, 202, true},
		"Kafka down":           {"any failure of the producer is 503", "POST", "/ns/sink", binary, "{}", sarama.ErrOutOfBrokers, 503, true},
		"too large for Kafka":  {"never 413", "POST", "/ns/sink", binary, "{}", sarama.ErrMessageSizeTooLarge, 503, true},
		"too large to read":    {"never 413", "POST", "/ns/sink", binary, strings.Repeat(" ", maxBody+1), nil, 503, false},
		"number as the key":    {"a partitionkey that is no string fails in the serializer", "POST", "/ns/sink", jsonHeader, numberKey, nil, 503, false},
		"broker, same answers": {"brokers share the receiver", "POST", "/ns/broker", binary, "{}", nil, 202, true},
	}
	for name, test := range tests {
		var sent *sarama.ProducerMessage
		in := &ingress{
			routes: map[string]route{"/ns/sink": {topic: "t"}, "/ns/broker": {topic: "b"}},
			log:    testLog(t),
			send: func(_ context.Context, record *sarama.ProducerMessage) error {
				sent = record
				return test.fails
			},
		}
		request := httptest.NewRequestWithContext(t.Context(), test.method, test.path, strings.NewReader(test.body))
		for k, v := range test.headers {
			request.Header.Set(k, v)
		}
		answer := httptest.NewRecorder()
		in.ServeHTTP(answer, request)
		if answer.Code != test.want || (sent != nil) != test.sent {
			t.Errorf("%s: %s %s: status %d, sent %t, want %d, %t (%s)", name, test.method, test.path, answer.Code, sent != nil, test.want, test.sent, test.reason)
		}
		if answer.Body.Len() != 0 || answer.Header().Get("Retry-After") != "" {
			t.Errorf("%s: body %q, Retry-After %q, want neither", name, answer.Body, answer.Header().Get("Retry-After"))
		}
		if hash := answer.Header().Get("K-Network-Hash"); name == "probe" && hash != "hash-1" {
			t.Errorf("probe: K-Network-Hash %q, want the request's hash-1", hash)
		}
	}
}

// A client that hangs up does not keep its event out of Kafka.
func TestIngressIgnoresHangUp(t *testing.T) {
	t.Parallel()
	in := &ingress{
		routes: map[string]route{"/ns/sink": {topic: "t"}},
		log:    testLog(t),
		send:   func(ctx context.Context, _ *sarama.ProducerMessage) error { return ctx.Err() },
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	request := httptest.NewRequestWithContext(ctx, http.MethodPost, "/ns/sink", strings.NewReader("{}"))
	for k, v := range map[string]string{"ce-specversion": "1.0", "ce-id": "1", "ce-type": "t", "ce-source": "/s", "X-Other": "dropped"} {
		request.Header.Set(k, v)
	}
	answer := httptest.NewRecorder()
	if in.ServeHTTP(answer, request); answer.Code != http.StatusAccepted {
		t.Errorf("status %d, want 202", answer.Code)
	}
}

func TestIngressDropsOtherHeaders(t *testing.T) {
	t.Parallel()
	errSeen := errors.New("seen")
	var got map[string]string
	in := &ingress{
		routes: map[string]route{"/ns/sink": {topic: "t"}},
		log:    testLog(t),
		send: func(_ context.Context, record *sarama.ProducerMessage) error {
			got = headers(t, record)
			return errSeen
		},
	}
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/ns/sink", strings.NewReader("x"))
	for k, v := range map[string]string{"Ce-Specversion": "1.0", "CE-ID": "%C3%A4", "ce-type": "t", "ce-source": "/s", "X-Other": "dropped", "Ce-Custom": "kept"} {
		request.Header.Set(k, v)
	}
	in.ServeHTTP(httptest.NewRecorder(), request)
	for name, want := range map[string]string{"ce_id": "%C3%A4", "ce_custom": "kept", "x-other": "", "ce_specversion": "1.0"} {
		if got[name] != want {
			t.Errorf("header %s is %q, want %q: attributes go undecoded, other headers not at all", name, got[name], want)
		}
	}
}
