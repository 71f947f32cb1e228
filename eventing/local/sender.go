package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
)

// maxAnswer bounds what is read of an answer: the largest reply that fits a record.
const maxAnswer = 1 << 20

// answer is a response, read whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// undelivered says that no attempt succeeded.
type undelivered struct {
	url      string
	attempts int
	answer   *answer // the last one; nil if there was none (refused, timed out, ...)
	err      error   // why there was none
}

func (u *undelivered) Error() string {
	if u.answer != nil {
		return fmt.Sprintf("deliver to %s: status %d after %d attempts", u.url, u.answer.status, u.attempts)
	}
	return fmt.Sprintf("deliver to %s: %v after %d attempts", u.url, u.err, u.attempts)
}

func (u *undelivered) Unwrap() error { return u.err }

// sender posts events as the Kafka data plane does. Its waits use package
// time, so that testing/synctest can drive them.
type sender struct {
	client    *http.Client
	namespace string // of the resource that sends
	delivery  delivery
	retry     func(status int) bool // which answers are worth another attempt
	quit      <-chan struct{}       // closed: no more retries; nil: never
	log       *slog.Logger
}

// errStopped ends a delivery because the platform is being closed.
var errStopped = errors.New("the platform is being closed")

// retried is the retry set of the data plane. Every other status of 300 and
// above goes to the dead letter sink at once.
func retried(status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return true
	}
	return status >= 500
}

// send posts the event in binary mode until it is accepted, the answer is not
// worth a retry, or the retries are used up: then the error is an
// [undelivered]. A timed-out attempt is retried although the receiver may
// still be at work. It returns errStopped as soon as ctx ends, and instead of
// waiting for another attempt once quit is closed.
func (s *sender) send(ctx context.Context, url string, e *event.Event) (*answer, error) {
	for n := 1; ; n++ {
		got, err := s.post(ctx, url, e)
		if err != nil && ctx.Err() != nil {
			return nil, errStopped
		}
		if err == nil && got.status < 300 {
			return got, nil
		}
		if n > s.delivery.retries || err == nil && !s.retry(got.status) {
			return nil, &undelivered{url: url, attempts: n, answer: got, err: err}
		}
		wait := s.delivery.backoff(n)
		s.again(url, e, n, wait, got, err)
		if !sleep(ctx, s.quit, wait) {
			return nil, errStopped
		}
	}
}

// again tells that an attempt failed that is not the last.
func (s *sender) again(url string, e *event.Event, attempt int, wait time.Duration, got *answer, err error) {
	log := s.log.With("url", url, "id", e.ID(), "attempt", attempt, "wait", wait)
	if got != nil {
		log = log.With("status", got.status)
	}
	log.Debug("the delivery is tried again", "error", err)
}

// post is one attempt.
func (s *sender) post(ctx context.Context, url string, e *event.Event) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, s.delivery.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if err := cehttp.WriteRequest(binding.WithForceBinary(ctx), binding.ToMessage(e), request); err != nil {
		return nil, fmt.Errorf("write event: %w", err)
	}
	request.Header.Set("Prefer", "reply")
	request.Header.Set("Kn-Namespace", s.namespace)
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	return &answer{status: response.StatusCode, header: response.Header, body: body}, nil
}

// event is the CloudEvent of an answer, nil if the answer is none and empty.
// Another body is an error: a Trigger takes it for a failure of its subscriber.
func (a *answer) event() (*event.Event, error) {
	e, err := binding.ToEvent(context.Background(), cehttp.NewMessage(a.header, io.NopCloser(bytes.NewReader(a.body))))
	if err == nil {
		err = e.Validate()
	}
	switch {
	case err == nil:
		return e, nil
	case len(a.body) == 0:
		return nil, nil
	}
	return nil, fmt.Errorf("the answer is neither empty nor a CloudEvent: %w", err)
}

// sleep waits and reports whether it did so to the end: ctx and quit cut it short.
func sleep(ctx context.Context, quit <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-quit:
	}
	return false
}

// newClient keeps enough idle connections for everything in flight: with
// net/http's default of two per host, most deliveries would open their own.
func newClient() *http.Client {
	transport := &http.Transport{
		MaxIdleConns:        0, // no limit: the hosts are our own
		MaxIdleConnsPerHost: maxInFlight + 1,
		MaxConnsPerHost:     0,
		IdleConnTimeout:     90 * time.Second,
		WriteBufferSize:     16 << 10,
		ReadBufferSize:      16 << 10,
	}
	return &http.Client{
		Transport: transport,
		// A redirect is an answer of 3xx, which the data plane does not retry.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// asUndelivered finds the last answer of a failed delivery, if there was one.
func asUndelivered(err error) *answer {
	var u *undelivered
	if errors.As(err, &u) {
		return u.answer
	}
	return nil
}
