package local

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/IBM/sarama"
	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
)

const (
	headerProbe     = "K-Network-Probe"
	headerProbeHash = "K-Network-Hash"

	// maxBody bounds a request. A structured event may be larger than its
	// record, as base64 is; what is larger than this cannot fit a record.
	maxBody = 4 << 20
)

// ingress answers for KafkaSinks and Brokers, which share one receiver in a
// cluster too. Bodies of answers are always empty.
type ingress struct {
	routes map[string]route // "/<namespace>/<name>"
	send   func(context.Context, *sarama.ProducerMessage) error
	log    *slog.Logger
}

type route struct {
	topic      string
	structured bool
}

// ServeHTTP checks in the receiver's order: health, method, path, probe, event.
func (i *ingress) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	get := r.Method == http.MethodGet
	if get && (r.URL.Path == "/healthz" || r.URL.Path == "/readyz") {
		w.WriteHeader(http.StatusOK)
		return
	}
	probe := get && r.Header.Get(headerProbe) == "probe"
	if r.Method != http.MethodPost && !probe {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	to, known := i.routes[strings.TrimSuffix(r.URL.Path, "/")]
	if !known {
		i.log.Warn("no sink or broker has this path", "path", r.URL.Path)
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if probe {
		w.Header().Set(headerProbeHash, r.Header.Get(headerProbeHash))
		w.WriteHeader(http.StatusOK)
		return
	}
	w.WriteHeader(i.receive(to, r))
}

// receive writes the event of a request to a topic and returns the status: 202
// once Kafka acknowledged it, 400 if it is none, 503 for all that goes wrong
// with Kafka, a record that is too large included.
func (i *ingress) receive(to route, r *http.Request) int {
	body := &limited{Reader: io.LimitReader(r.Body, maxBody+1)}
	r.Body = io.NopCloser(body)
	e, err := binding.ToEvent(r.Context(), cehttp.NewMessageFromHttpRequest(r))
	if body.read > maxBody {
		i.log.Error("the event does not fit a record", "topic", to.topic, "bytes", r.ContentLength)
		return http.StatusServiceUnavailable
	}
	if err == nil {
		err = e.Validate()
	}
	if err != nil {
		i.log.Warn("the request is no CloudEvent", "path", r.URL.Path, "error", err)
		return http.StatusBadRequest
	}
	record, err := encode(e, to.topic, to.structured)
	if err == nil {
		// The record is on its way whether or not the client still listens.
		err = i.send(context.WithoutCancel(r.Context()), record)
	}
	if err != nil {
		i.log.Error("the event is not stored", "topic", to.topic, "id", e.ID(), "error", err)
		return http.StatusServiceUnavailable
	}
	return http.StatusAccepted
}

// limited counts what was read.
type limited struct {
	io.Reader
	read int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	l.read += int64(n)
	return n, err
}
