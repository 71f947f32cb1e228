package httpsource

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/cloudevents/sdk-go/v2/types"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/eventing"
)

// errEncoding: the request is in no encoding of CloudEvents.
var errEncoding = errors.New("neither binary nor structured mode of CloudEvents")

// topicOf tells where an event of ours came from; a delivery does not.
var topicOf = map[string]string{
	eventing.TypeRequested:   eventing.TopicRequests,
	eventing.TypeProvisioned: eventing.TopicResults,
	eventing.TypeRejected:    eventing.TopicResults,
	eventing.TypeCompleted:   eventing.TopicEvents,
	eventing.TypeFailed:      eventing.TopicEvents,
	eventing.TypeCancelled:   eventing.TopicEvents,
}

// decode reads a CloudEvent and takes off what was added on the way here.
func decode(r *http.Request) (application.Event, application.Arrival, error) {
	ce, err := cehttp.NewEventFromHTTPRequest(r)
	switch {
	case errors.Is(err, binding.ErrUnknownEncoding):
		return application.Event{}, application.Arrival{}, errEncoding
	case err != nil:
		return application.Event{}, application.Arrival{}, fmt.Errorf("read the event: %w", err)
	}
	if err := ce.Validate(); err != nil {
		return application.Event{}, application.Arrival{}, fmt.Errorf("read the event: %w", err)
	}
	text := unescape
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/cloudevents") {
		text = func(s string) string { return s } // structured mode encodes nothing
	}
	e := application.Event{
		ID: text(ce.ID()), Type: text(ce.Type()), Source: text(ce.Source()), Subject: text(ce.Subject()), Time: ce.Time(),
		DataSchema: text(ce.DataSchema()), ContentType: ce.DataContentType(), Data: ce.Data(),
		Extensions: map[string]string{}, Topic: topicOf[ce.Type()],
	}
	a := application.Arrival{EventID: e.ID, Partition: -1, Offset: -1, SentAt: e.Time}
	if err := extensions(ce, &e, &a, text); err != nil {
		return application.Event{}, application.Arrival{}, err
	}
	return e, a, nil
}

func extensions(ce *event.Event, e *application.Event, a *application.Arrival, text func(string) string) error {
	var partition, offset string
	for name, value := range ce.Extensions() {
		s, err := types.Format(value)
		if err != nil {
			return fmt.Errorf("extension %s: %w", name, err)
		}
		switch s = text(s); {
		case name == eventing.ExtKafkaPartition:
			partition = s
		case name == eventing.ExtKafkaOffset:
			offset = s
		case name == eventing.ExtErrorCode:
			a.GaveUp = s
		case strings.HasPrefix(name, "knative"), strings.HasPrefix(name, "kafka"):
			// Marks of this or an earlier delivery, not of the event.
		default:
			e.Extensions[name] = s
		}
	}
	// Where a record was matters to the history alone: without both, unknown.
	p, perr := strconv.ParseInt(partition, 10, 32)
	o, oerr := strconv.ParseInt(offset, 10, 64)
	if perr == nil && oerr == nil && p >= 0 && o >= 0 {
		a.Partition, a.Offset = int(p), o
	}
	return nil
}

// unescape undoes the percent-encoding of the HTTP binding, which the SDK and
// Knative forward as it is. What was never encoded stays as it is.
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}
