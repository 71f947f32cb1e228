package httpsink_test

import (
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
	"kbnt.dev/virtualization/infrastructure/httpsink"
)

func sample() application.Event {
	return application.Event{
		ID: "9ecbd427-8bff-517f-8346-21efa1c5369e", Type: eventing.TypeRequested, Source: eventing.SourceIntake, Subject: "VM-0909A693",
		Time:       time.Date(2025, 8, 30, 12, 30, 0, 123456000, time.FixedZone("CEST", 7200)),
		DataSchema: "https://kbnt.dev/schemas/VirtualizationMessage/2.1.0", ContentType: eventing.ContentTypeAvro,
		Data: []byte{0xc3, 0x01, 0, 1, 2, 0xff}, Topic: eventing.TopicRequests,
		Extensions: map[string]string{
			"partitionkey": "813c12a2-331c-5aa7-ad2d-9170d012be9d", "correlationid": "corr-456", "causationid": "order-7",
			"requestid": "req-abc123", "tenantid": "acme", "operation": "CREATE_VIRTUAL_MACHINE", "priority": "HIGH",
			"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "checksum": "sha256-00",
		},
	}
}

// sinkOf is a sender for TopicRequests to a server with that handler.
func sinkOf(t *testing.T, h http.HandlerFunc, change ...func(*httpsink.Options)) *httpsink.Sender {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	o := httpsink.Options{Addresses: map[string]string{eventing.TopicRequests: server.URL + "/kbnt/virtualization-requests"}, Timeout: time.Minute}
	for _, c := range change {
		c(&o)
	}
	s, err := httpsink.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	const ok = domain.Kind(255)
	tests := map[int]struct {
		reason string
		want   domain.Kind
	}{
		200: {"any 2xx acknowledges", ok},
		202: {"what a KafkaSink answers", ok},
		204: {"any 2xx acknowledges", ok},
		302: {"not followed; the address must be mended", domain.Internal},
		307: {"not followed, although it would keep the method", domain.Internal},
		400: {"no CloudEvent; the same bytes will never be one", domain.Internal},
		401: {"not the sender's to mend", domain.Internal},
		404: {"the sink is not there yet", domain.Unavailable},
		405: {"no sink at all", domain.Internal},
		408: {"Knative retries it", domain.Unavailable},
		409: {"Knative retries it", domain.Unavailable},
		413: {"it will not shrink", domain.Internal},
		429: {"Knative retries it", domain.Unavailable},
		500: {"trouble of the sink", domain.Unavailable},
		503: {"Kafka did not acknowledge", domain.Unavailable},
	}
	for status, test := range tests {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			s := sinkOf(t, func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				if status/100 == 3 {
					w.Header().Set("Location", "/elsewhere")
				}
				w.WriteHeader(status)
			})
			err := s.Send(t.Context(), sample())
			got := ok
			if err != nil {
				got = domain.KindOf(err)
			}
			if got != test.want {
				t.Errorf("%d: %s: got %v (%v), want %v", status, test.reason, got, err, test.want)
			}
			if n := calls.Load(); n != 1 {
				t.Errorf("%d: got %d calls, want 1", status, n)
			}
		})
	}
}

func TestEachAttributeExactlyOnce(t *testing.T) {
	t.Parallel()
	var header http.Header
	var body []byte
	s := sinkOf(t, func(_ http.ResponseWriter, r *http.Request) {
		header = r.Header
		body, _ = io.ReadAll(r.Body)
		if r.Method != http.MethodPost || r.URL.Path != "/kbnt/virtualization-requests" || r.ContentLength != int64(len(body)) {
			t.Errorf("got %s %s with length %d", r.Method, r.URL.Path, r.ContentLength)
		}
	})
	e := sample()
	if err := s.Send(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"Ce-Specversion": "1.0", "Ce-Id": e.ID, "Ce-Source": e.Source, "Ce-Type": e.Type, "Ce-Subject": e.Subject,
		"Ce-Time": "2025-08-30T10:30:00.123456Z", "Ce-Dataschema": e.DataSchema, "Content-Type": "application/avro",
		"Traceparent": e.Extensions["traceparent"],
	}
	for name, value := range e.Extensions {
		want[http.CanonicalHeaderKey("ce-"+name)] = value
	}
	for name, values := range header {
		if value, ok := want[name]; ok && (len(values) != 1 || values[0] != value) {
			t.Errorf("%s: got %q, want %q once", name, values, value)
		} else if !ok && strings.HasPrefix(name, "Ce-") {
			t.Errorf("%s: got %q, want none", name, values)
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("missing headers: %v", want)
	}
	if string(body) != string(e.Data) {
		t.Errorf("data: got %x, want %x", body, e.Data)
	}
}

func TestTheSDKReadsWhatIsSent(t *testing.T) {
	t.Parallel()
	e := sample()
	got := make(chan error, 1)
	s := sinkOf(t, func(_ http.ResponseWriter, r *http.Request) {
		ce, err := cehttp.NewEventFromHTTPRequest(r)
		if err != nil {
			got <- err
			return
		}
		extensions := map[string]string{}
		for k, v := range ce.Extensions() {
			extensions[k], _ = v.(string)
		}
		if ce.ID() != e.ID || ce.Type() != e.Type || ce.Source() != e.Source || ce.Subject() != e.Subject || !ce.Time().Equal(e.Time) ||
			ce.DataSchema() != e.DataSchema || ce.DataContentType() != e.ContentType || string(ce.Data()) != string(e.Data) || !maps.Equal(extensions, e.Extensions) {
			t.Errorf("got %s, want %+v", ce, e)
		}
		got <- ce.Validate()
	})
	if err := s.Send(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Errorf("the SDK reads: %v", err)
	}
}

func TestValuesArePercentEncoded(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ value, want string }{
		"plain":   {"user-789@example.com/~a!", "user-789@example.com/~a!"},
		"percent": {"100%", "100%25"},
		"space":   {`a "b"`, "a%20%22b%22"},
		"umlaut":  {"größe", "gr%C3%B6%C3%9Fe"},
		"split":   {"a\r\nX-Evil: 1", "a%0D%0AX-Evil:%201"},
		"emoji":   {"Euro € 😀", "Euro%20%E2%82%AC%20%F0%9F%98%80"}, // the example of the HTTP binding
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sinkOf(t, func(_ http.ResponseWriter, r *http.Request) {
				if got := r.Header.Values("ce-tenantid"); len(got) != 1 || got[0] != test.want {
					t.Errorf("%q: got %q, want %q", test.value, got, test.want)
				}
			})
			e := sample()
			e.Extensions["tenantid"] = test.value
			if err := s.Send(t.Context(), e); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhatIsNeverSent(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reason string
		change func(*application.Event)
		names  string
	}{
		"unknown topic":      {"configuration knows no address", func(e *application.Event) { e.Topic = "virtualization-typos" }, "virtualization-typos"},
		"no id":              {"required", func(e *application.Event) { e.ID = "" }, "id"},
		"no source":          {"required", func(e *application.Event) { e.Source = "" }, "source"},
		"no type":            {"required", func(e *application.Event) { e.Type = "" }, "type"},
		"upper case name":    {"names are a-z and 0-9", func(e *application.Event) { e.Extensions["tenantID"] = "x" }, "tenantID"},
		"empty name":         {"names are a-z and 0-9", func(e *application.Event) { e.Extensions[""] = "x" }, "extension"},
		"second id":          {"each attribute once", func(e *application.Event) { e.Extensions["id"] = "x" }, "id"},
		"split content type": {"a header is one line", func(e *application.Event) { e.ContentType = "a\r\nb" }, "content type"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sinkOf(t, func(http.ResponseWriter, *http.Request) { t.Error("it was sent") })
			e := sample()
			test.change(&e)
			err := s.Send(t.Context(), e)
			if err == nil || domain.KindOf(err) != domain.Internal || !strings.Contains(err.Error(), test.names) {
				t.Errorf("%s: got %v, want Internal naming %s", test.reason, err, test.names)
			}
		})
	}
}

func TestNoAnswerIsUnavailable(t *testing.T) {
	t.Parallel()
	silent := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the server notices a client that left only after reading
		<-r.Context().Done()
	}
	t.Run("time limit", func(t *testing.T) {
		t.Parallel()
		s := sinkOf(t, silent, func(o *httpsink.Options) { o.Timeout = 20 * time.Millisecond })
		if err := s.Send(t.Context(), sample()); err == nil || domain.KindOf(err) != domain.Unavailable {
			t.Errorf("got %v, want Unavailable", err)
		}
	})
	t.Run("caller left", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		s := sinkOf(t, func(w http.ResponseWriter, r *http.Request) { cancel(); silent(w, r) })
		if err := s.Send(ctx, sample()); err == nil || domain.KindOf(err) != domain.Unavailable {
			t.Errorf("got %v, want Unavailable", err)
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		s, err := httpsink.New(httpsink.Options{Addresses: map[string]string{eventing.TopicRequests: "http://" + l.Addr().String()}})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Send(t.Context(), sample()); err == nil || domain.KindOf(err) != domain.Unavailable {
			t.Errorf("got %v, want Unavailable", err)
		}
	})
}

func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	var opened atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("a talkative sink ", 2000))
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	s, err := httpsink.New(httpsink.Options{Addresses: map[string]string{eventing.TopicRequests: server.URL}, Client: server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if err := s.Send(t.Context(), sample()); err != nil {
			t.Fatal(err)
		}
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("got %d connections for 10 events in a row, want 1: bodies must be drained and closed", n)
	}
	if server.Client().CheckRedirect != nil {
		t.Error("the client given was changed")
	}
}

func TestNewNamesAllBadAddresses(t *testing.T) {
	t.Parallel()
	_, err := httpsink.New(httpsink.Options{Addresses: map[string]string{
		"good": "https://sink.example/kbnt/x", "relative": "/kbnt/x", "scheme": "ftp://sink", "broken": "http://[::1",
	}})
	if err == nil {
		t.Fatal("got no error")
	}
	for _, topic := range []string{"relative", "scheme", "broken"} {
		if !strings.Contains(err.Error(), "topic "+topic) {
			t.Errorf("got %v, want it to name %s", err, topic)
		}
	}
	if strings.Contains(err.Error(), "topic good") {
		t.Errorf("got %v, want nothing about the good one", err)
	}
}
