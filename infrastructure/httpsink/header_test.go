package httpsink

import (
	"bytes"
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/eventing"
)

// BenchmarkWrite sets writing the headers by hand beside the SDK's way.
func BenchmarkWrite(b *testing.B) {
	e := application.Event{
		ID: "9ecbd427-8bff-517f-8346-21efa1c5369e", Type: eventing.TypeRequested, Source: eventing.SourceIntake, Subject: "VM-0909A693",
		Time: time.Date(2025, 8, 30, 10, 30, 0, 123456000, time.UTC), DataSchema: "https://kbnt.dev/schemas/VirtualizationMessage/2.1.0",
		ContentType: eventing.ContentTypeAvro, Data: bytes.Repeat([]byte{1}, 540),
		Extensions: map[string]string{
			"partitionkey": "813c12a2-331c-5aa7-ad2d-9170d012be9d", "correlationid": "corr-456", "causationid": "order-7",
			"requestid": "req-abc123", "tenantid": "acme", "operation": "CREATE_VIRTUAL_MACHINE", "priority": "HIGH",
			"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "checksum": "sha256-00",
		},
	}
	request := func(b *testing.B) *http.Request {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "http://sink.example/kbnt/x", bytes.NewReader(e.Data))
		if err != nil {
			b.Fatal(err)
		}
		return req
	}
	b.Run("direct", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := write(request(b).Header, e); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sdk", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ce := event.New()
			ce.SetID(e.ID)
			ce.SetType(e.Type)
			ce.SetSource(e.Source)
			ce.SetSubject(e.Subject)
			ce.SetTime(e.Time)
			ce.SetDataSchema(e.DataSchema)
			for name, value := range e.Extensions {
				ce.SetExtension(name, value)
			}
			if err := ce.SetData(e.ContentType, e.Data); err != nil {
				b.Fatal(err)
			}
			if err := ce.Validate(); err != nil {
				b.Fatal(err)
			}
			if err := cehttp.WriteRequest(binding.WithForceBinary(context.Background()), binding.ToMessage(&ce), request(b)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
