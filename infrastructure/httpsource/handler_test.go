package httpsource_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
	"kbnt.dev/virtualization/infrastructure/httpsource"
)

// delivery is what a KafkaSource posts: binary mode, with where the record was.
func delivery() *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("\xc3\x01data"))
	for name, value := range map[string]string{
		"Ce-Specversion": "1.0", "Ce-Id": "9ecbd427", "Ce-Type": eventing.TypeRequested, "Ce-Source": eventing.SourceIntake,
		"Ce-Subject": "VM-0909A693", "Ce-Time": "2025-08-30T10:30:00.123456Z", "Ce-Dataschema": "https://kbnt.dev/schemas/VirtualizationMessage/2.1.0",
		"Content-Type": "application/avro", "Ce-Partitionkey": "813c12a2", "Ce-Checksum": "sha256-00", "Ce-Tenantid": "gr%C3%B6%C3%9Fe 100%",
		"Ce-Knativekafkapartition": "2", "Ce-Knativekafkaoffset": "12456", "Prefer": "reply", "Kn-Namespace": "kbnt",
	} {
		r.Header.Set(name, value)
	}
	return r
}

// serve answers one request; handle may be nil when it must not be reached.
func serve(t *testing.T, r *http.Request, handle func(context.Context, application.Event, application.Arrival) error) *httptest.ResponseRecorder {
	t.Helper()
	if handle == nil {
		handle = func(context.Context, application.Event, application.Arrival) error {
			t.Error("the function was reached")
			return nil
		}
	}
	w := httptest.NewRecorder()
	httpsource.Handler(httpsource.Options{Function: "provision", Handle: handle, Log: slog.New(slog.DiscardHandler), MaxBody: 64}).ServeHTTP(w, r)
	if w.Body.Len() != 0 {
		t.Errorf("got the body %q: a Trigger would take it for an event", w.Body)
	}
	return w
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	unavailable := func(code string) error { return &domain.Error{Kind: domain.Unavailable, Code: code} }
	tests := map[string]struct {
		reason string
		err    error
		status int
	}{
		"acknowledge": {"never again", nil, 200},
		"busy":        {"retried, told apart by the code", unavailable(application.CodeBusy), 409},
		"not ready":   {"retried, told apart by the code", unavailable(application.CodeNotReady), 429},
		"no room":     {"waiting is not trouble", unavailable(application.CodeNoCapacity), 429},
		"trouble":     {"retried", unavailable(""), 503},
		"a defect":    {"what nobody knows is trouble", errors.New("nil map"), 503},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := serve(t, delivery(), func(context.Context, application.Event, application.Arrival) error { return test.err })
			if w.Code != test.status {
				t.Errorf("%v: got %d, want %d: %s", test.err, w.Code, test.status, test.reason)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reason string
		change func(*http.Request)
		status int
	}{
		"GET":             {"events are posted", func(r *http.Request) { r.Method = http.MethodGet }, 405},
		"OPTIONS":         {"no webhook handshake", func(r *http.Request) { r.Method = http.MethodOptions }, 405},
		"other path":      {"there is one entrance", func(r *http.Request) { r.URL.Path = "/events" }, 404},
		"no event":        {"neither mode", func(r *http.Request) { r.Header = http.Header{"Content-Type": {"application/json"}} }, 415},
		"unknown version": {"no known version, no known encoding", func(r *http.Request) { r.Header.Set("Ce-Specversion", "7.0") }, 415},
		"no id":           {"required", func(r *http.Request) { r.Header.Del("Ce-Id") }, 400},
		"no type":         {"required", func(r *http.Request) { r.Header.Del("Ce-Type") }, 400},
		"no source":       {"required", func(r *http.Request) { r.Header.Del("Ce-Source") }, 400},
		"bad time":        {"RFC 3339", func(r *http.Request) { r.Header.Set("Ce-Time", "yesterday") }, 400},
		"too large":       {"65 of 64 bytes", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(strings.Repeat("x", 65))) }, 413},
		"broken body":     {"the client went away", func(r *http.Request) { r.Body = io.NopCloser(&broken{}) }, 400},
		"bad structure": {"no JSON", func(r *http.Request) {
			r.Header = http.Header{"Content-Type": {"application/cloudevents+json"}}
			r.Body = io.NopCloser(strings.NewReader(`{"specversion":"1.0",`))
		}, 400},
		"batch": {"no source of ours sends any", func(r *http.Request) {
			r.Header = http.Header{"Content-Type": {"application/cloudevents-batch+json"}}
			r.Body = io.NopCloser(strings.NewReader(`[]`))
		}, 400},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := delivery()
			test.change(r)
			if w := serve(t, r, nil); w.Code != test.status {
				t.Errorf("got %d, want %d: %s", w.Code, test.status, test.reason)
			}
		})
	}
}

type broken struct{}

func (*broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestTheFunctionGetsTheEventThatWasSent(t *testing.T) {
	t.Parallel()
	binary := delivery()
	for name, value := range map[string]string{ // an event that was a dead letter before
		"Ce-Knativeerrordest": "http://provision", "Ce-Knativeerrorcode": "503", "Ce-Knativeerrordata": "eA==", "Ce-Kafkaoffset": "1", "Ce-Kafkatopic": "x",
	} {
		binary.Header.Set(name, value)
	}
	structured := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"specversion":"1.0","id":"9ecbd427","type":"`+eventing.TypeRequested+`",
		"source":"/kbnt/virtualization/intake","subject":"VM-0909A693","time":"2025-08-30T10:30:00.123456Z","datacontenttype":"application/avro",
		"dataschema":"https://kbnt.dev/schemas/VirtualizationMessage/2.1.0","partitionkey":"813c12a2","checksum":"sha256-00","tenantid":"größe 100%",
		"knativekafkapartition":2,"knativekafkaoffset":"12456","data_base64":"wwFkYXRh"}`))
	structured.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	for mode, r := range map[string]*http.Request{"binary": binary, "structured": structured} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			var e application.Event
			var a application.Arrival
			w := httptest.NewRecorder()
			httpsource.Handler(httpsource.Options{Function: "provision", Handle: func(_ context.Context, ge application.Event, ga application.Arrival) error {
				e, a = ge, ga
				return nil
			}}).ServeHTTP(w, r)
			if w.Code != http.StatusOK {
				t.Fatalf("got %d", w.Code)
			}
			at := time.Date(2025, 8, 30, 10, 30, 0, 123456000, time.UTC)
			if e.ID != "9ecbd427" || e.Type != eventing.TypeRequested || e.Source != eventing.SourceIntake || e.Subject != "VM-0909A693" || !e.Time.Equal(at) ||
				e.DataSchema != "https://kbnt.dev/schemas/VirtualizationMessage/2.1.0" || e.ContentType != "application/avro" || string(e.Data) != "\xc3\x01data" ||
				e.Topic != eventing.TopicRequests {
				t.Errorf("got %+v", e)
			}
			want := map[string]string{"partitionkey": "813c12a2", "checksum": "sha256-00", "tenantid": "größe 100%"}
			if mode == "binary" {
				want["tenantid"] = "gr%C3%B6%C3%9Fe 100%" // "%" alone was never encoded, so nothing was
			}
			if !maps.Equal(e.Extensions, want) {
				t.Errorf("extensions: got %v, want %v", e.Extensions, want)
			}
			a.SentAt = a.SentAt.UTC()
			arrived := application.Arrival{Function: "provision", EventID: "9ecbd427", Partition: 2, Offset: 12456, SentAt: at}
			if mode == "binary" {
				arrived.GaveUp = "503" // it was at the dead letters
			}
			if a != arrived {
				t.Errorf("arrival: got %+v, want %+v", a, arrived)
			}
		})
	}
}

func TestArrival(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reason            string
		partition, offset string
		wantPartition     int
		wantOffset        int64
	}{
		"both":          {"as the source says", "0", "9223372036854775807", 0, 9223372036854775807},
		"neither":       {"a PingSource has no record", "", "", -1, -1},
		"one":           {"half a position is none", "1", "", -1, -1},
		"not a number":  {"it matters to the history alone", "one", "2", -1, -1},
		"negative":      {"no record is there", "-3", "2", -1, -1},
		"out of bounds": {"no record is there", "1", "9223372036854775808", -1, -1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := delivery()
			r.Header.Set("Ce-Knativekafkapartition", test.partition)
			r.Header.Set("Ce-Knativekafkaoffset", test.offset)
			w := serve(t, r, func(_ context.Context, _ application.Event, a application.Arrival) error {
				if a.Partition != test.wantPartition || a.Offset != test.wantOffset {
					t.Errorf("got %d, %d, want %d, %d: %s", a.Partition, a.Offset, test.wantPartition, test.wantOffset, test.reason)
				}
				return nil
			})
			if w.Code != http.StatusOK {
				t.Errorf("got %d, want 200", w.Code)
			}
		})
	}
}

func TestPercentEncodedValuesAreRead(t *testing.T) {
	t.Parallel()
	r := delivery()
	r.Header.Set("Ce-Tenantid", "gr%C3%B6%C3%9Fe%20100%25+1")
	serve(t, r, func(_ context.Context, e application.Event, _ application.Arrival) error {
		if got, want := e.Extensions["tenantid"], "größe 100%+1"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		return nil
	})
}

func TestAPanicIsTrouble(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	w := httptest.NewRecorder()
	httpsource.Handler(httpsource.Options{
		Handle: func(context.Context, application.Event, application.Arrival) error { panic("nil map") },
		Log:    slog.New(slog.NewJSONHandler(&log, nil)),
	}).ServeHTTP(w, delivery())
	if w.Code != http.StatusServiceUnavailable || w.Body.Len() != 0 {
		t.Errorf("got %d %q, want 503 and no body", w.Code, w.Body)
	}
	for _, want := range []string{"nil map", "9ecbd427", "handler_test.go"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not name %s: %s", want, log.String())
		}
	}
}
