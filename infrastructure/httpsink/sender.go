// Package httpsink posts events over HTTP to where their topics are fed: a
// KafkaSink, a Broker, or whatever else takes CloudEvents.
//
// It neither stores nor repeats: an event that was not acknowledged stays in
// the outbox, which sends it again under the same id.
//
// # Configuration
//
// One address per topic, and how long one event may take. The sinks' own time
// limits are minutes (a KafkaSink whose Kafka is away answers after 60 to 120 s),
// so this one has to be short.
//
// # Guarantees
//
// Events are posted in binary content mode of the CloudEvents 1.0 HTTP binding,
// each attribute exactly once, the data untouched. A trace parent is also sent
// as the W3C header. Redirects are not followed: a sink that moved is a
// configuration to mend, and a followed POST may arrive as GET.
//
// # Errors
//
// Any 2xx acknowledges. Unavailable: no answer in time, or one that the same
// event may not get again (5xx, 404, 408, 409, 429, the set that Knative
// retries); the sink may have taken the event all the same. Internal: every
// other answer, an unknown topic, or an event that is none; sending it again
// will not help before somebody mended something.
//
// # Limits
//
// Attribute values are percent-encoded as the HTTP binding demands (space, double
// quote, percent and all that is not printable ASCII). Knative's Kafka sink
// and source forward them as they are, without decoding.
package httpsink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// DefaultTimeout is how long one sending may take unless told otherwise.
const DefaultTimeout = 2 * time.Second

// maxDrain bounds what is read of an answer's body to reuse its connection.
// Sinks answer with an empty one.
const maxDrain = 64 << 10

// Options of a [Sender].
type Options struct {
	Addresses map[string]string // topic -> absolute http or https URL
	Timeout   time.Duration     // of one sending, with connecting; 0: DefaultTimeout
	Client    *http.Client      // its transport is used, nothing else of it changes; nil: a pooled one
}

// Sender implements [application.Sender]. It is safe for concurrent use.
type Sender struct {
	addresses map[string]string
	timeout   time.Duration
	client    *http.Client
}

var _ application.Sender = (*Sender)(nil)

// New makes a sender and connects to nothing. It fails, naming all of them, when
// an address is no absolute http or https URL.
func New(o Options) (*Sender, error) {
	s := &Sender{addresses: make(map[string]string, len(o.Addresses)), timeout: o.Timeout}
	if s.timeout <= 0 {
		s.timeout = DefaultTimeout
	}
	var faults []error
	for topic, address := range o.Addresses {
		u, err := url.Parse(address)
		switch {
		case err != nil:
			faults = append(faults, fmt.Errorf("address of topic %s: %w", topic, err))
		case (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
			faults = append(faults, fmt.Errorf("address of topic %s: %q is no absolute http or https URL", topic, address))
		}
		s.addresses[topic] = address
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	client := http.Client{Transport: pooled()}
	if o.Client != nil {
		client = *o.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	s.client = &client
	return s, nil
}

// pooled keeps as many connections to one sink as requests are accepted at a
// time; the default of two would open and close one for nearly every event. It
// asks no proxy: sinks are neighbours, and the environment is config's to read.
func pooled() *http.Transport {
	return &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 64, IdleConnTimeout: 90 * time.Second}
}

// Send posts one event. Sending it again is the same event. It ends when ctx
// does, or after the time limit.
func (s *Sender) Send(ctx context.Context, e application.Event) error {
	address, ok := s.addresses[e.Topic]
	if !ok {
		return failed(domain.Internal, fmt.Errorf("no address for topic %q", e.Topic))
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(e.Data))
	if err != nil {
		return failed(domain.Internal, err)
	}
	if err := write(req.Header, e); err != nil {
		return failed(domain.Internal, fmt.Errorf("event %.80q: %w", e.ID, err))
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return failed(domain.Unavailable, err)
	}
	defer resp.Body.Close()
	// The status is the answer; a body that cannot be drained costs a connection.
	_, _ = io.CopyN(io.Discard, resp.Body, maxDrain)
	return judge(e.Topic, resp.StatusCode)
}

// judge maps the answer of a sink.
func judge(topic string, status int) error {
	if status >= 200 && status < 300 {
		return nil
	}
	kind := domain.Internal
	switch {
	case status >= 500,
		status == http.StatusNotFound, status == http.StatusRequestTimeout,
		status == http.StatusConflict, status == http.StatusTooManyRequests:
		kind = domain.Unavailable
	}
	return failed(kind, fmt.Errorf("the sink of topic %s answered %d %s", topic, status, http.StatusText(status)))
}

func failed(kind domain.Kind, err error) error {
	return &domain.Error{Op: "httpsink.Send", Kind: kind, Err: err}
}
