package avro

import (
	"encoding/json"
	"net/url"
	"testing"

	"kbnt.dev/virtualization/eventing"
)

// The benchmarks set the reference message beside the same Go values in
// encoding/json (names of the same length): bytes on the wire, and CPU to read
// and to write them.

func BenchmarkDecode(b *testing.B) {
	c := New(Options{})
	e, err := c.Requested(machineRecord(), accepted)
	if err != nil {
		b.Fatal(err)
	}
	plain, err := json.Marshal(messageWithSpec())
	if err != nil {
		b.Fatal(err)
	}
	schemas, err := c.schemas()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("avro", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var m message
			if _, err := c.decode(b.Context(), schemas, e.Data, eventing.SchemaMessage, &m); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(e.Data)), "wire-B")
	})
	b.Run("json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var m message
			if err := json.Unmarshal(plain, &m); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(plain)), "wire-B")
	})
}

// BenchmarkOpen is what a function does with every delivery: verify the
// checksum, read which request the event names, skip the rest.
func BenchmarkOpen(b *testing.B) {
	c := New(Options{})
	e, err := c.Requested(machineRecord(), accepted)
	if err != nil {
		b.Fatal(err)
	}
	plain, err := json.Marshal(messageWithSpec())
	if err != nil {
		b.Fatal(err)
	}
	b.Run("avro", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Open(b.Context(), e); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("json", func(b *testing.B) {
		b.ReportAllocs()
		want := checksum(plain)
		for b.Loop() {
			var n struct{ MessageID, MessageType string }
			if err := json.Unmarshal(plain, &n); err != nil || checksum(plain) != want {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkConfluent is the same with a schema registry whose ids are known.
func BenchmarkConfluent(b *testing.B) {
	c := New(Options{Registry: RegistryOptions{URL: &url.URL{Scheme: "http", Host: "registry.example"}}})
	schemas, err := c.schemas()
	if err != nil {
		b.Fatal(err)
	}
	c.registry.ids.keep(eventing.SchemaMessage, 1)
	c.registry.writers.keep(sighting{1, eventing.SchemaMessage}, read{writer: schemas.writers[fingerprint(schemas.newest[eventing.SchemaMessage])]})
	r := machineRecord()
	e, err := c.Requested(r, accepted)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Open(b.Context(), e); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(e.Data)), "wire-B")
	})
	b.Run("requested", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Requested(r, accepted); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkLoad is paid once, by the first event of a process.
func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := loadEmbedded(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	c := New(Options{})
	schemas, err := c.schemas()
	if err != nil {
		b.Fatal(err)
	}
	m, plain := messageOf(machineRecord(), accepted), messageWithSpec()
	b.Run("avro", func(b *testing.B) {
		b.ReportAllocs()
		var buffer []byte
		for b.Loop() {
			if buffer, err = schemas.newest[eventing.SchemaMessage].AppendSingleObject(buffer[:0], &m); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(&plain); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("requested", func(b *testing.B) { // the whole event
		b.ReportAllocs()
		r := machineRecord()
		for b.Loop() {
			if _, err := c.Requested(r, accepted); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// messageWithSpec holds the specification itself, not the branch of a union.
func messageWithSpec() message {
	m := messageOf(machineRecord(), accepted)
	m.Specification = specOf(machineRecord().Request.Spec)
	return m
}
