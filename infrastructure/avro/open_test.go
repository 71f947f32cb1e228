package avro

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
)

// resealed is e with other data and the checksum of it.
func resealed(e application.Event, data []byte) application.Event {
	e = e.Clone()
	e.Data, e.Extensions[eventing.ExtChecksum] = data, checksum(data)
	return e
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	requested, err := c.Requested(machineRecord(), accepted)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err := c.Terminal(decided(machineRecord(), domain.Completed, "", true), accepted)
	if err != nil {
		t.Fatal(err)
	}
	nameless, unknown := machineRecord(), machineRecord()
	nameless.Request.MessageID, unknown.Request.Type = "", "PAINT_VIRTUAL_MACHINE"
	change := func(e application.Event, f func(*application.Event)) application.Event {
		e = e.Clone()
		f(&e)
		return e
	}
	encoded := func(r application.Record) application.Event {
		e, err := c.Requested(r, accepted)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	tests := map[string]struct {
		reason string
		event  application.Event
		code   string
	}{
		"flipped bit":           {"the data is not what was sent", change(requested, func(e *application.Event) { e.Data[20] ^= 1 }), "checksum-mismatch"},
		"no checksum":           {"ours always carry one", change(requested, func(e *application.Event) { delete(e.Extensions, "checksum") }), "checksum-mismatch"},
		"other algorithm":       {"only sha256 is ours", change(requested, func(e *application.Event) { e.Extensions["checksum"] = "crc32-abc123" }), "checksum-mismatch"},
		"bad and unknown":       {"the checksum comes before the type", change(requested, func(e *application.Event) { e.Type, e.Data = "x", nil }), "checksum-mismatch"},
		"foreign type":          {"it may well have no checksum", application.Event{Type: "com.example.order"}, "unknown-type"},
		"a client's request":    {"it is for intake's entry, not for a function behind a topic", application.Event{Type: eventing.TypeRequest}, "unknown-type"},
		"empty":                 {"a tombstone", resealed(requested, nil), "undecodable"},
		"cut off":               {"the record ends early", resealed(requested, requested.Data[:len(requested.Data)-1]), "undecodable"},
		"trailing byte":         {"a record and nothing else", resealed(requested, append(slices.Clone(requested.Data), 0)), "undecodable"},
		"unknown fingerprint":   {"nobody wrote with that schema", resealed(requested, append([]byte{0xc3, 1, 1, 2, 3, 4, 5, 6, 7, 8}, requested.Data[10:]...)), "undecodable"},
		"no single object":      {"the first two bytes are C3 01", resealed(requested, requested.Data[2:]), "undecodable"},
		"schema of other type":  {"a message is not a result", change(requested, func(e *application.Event) { e.Type = eventing.TypeProvisioned }), "undecodable"},
		"JSON for Avro":         {"the type decides", resealed(requested, []byte(`{"messageId":"m"}`)), "undecodable"},
		"broken JSON":           {"the value ends early", resealed(terminal, terminal.Data[:len(terminal.Data)-1]), "undecodable"},
		"two JSON values":       {"one value and nothing else", resealed(terminal, append(slices.Clone(terminal.Data), "{}"...)), "undecodable"},
		"JSON without request":  {"it names nothing", resealed(terminal, []byte(`{}`)), "undecodable"},
		"Avro without request":  {"it names nothing", encoded(nameless), "undecodable"},
		"unknown request type":  {"it would become a label of a metric", encoded(unknown), "undecodable"},
		"megabyte of nonsense":  {"bounded by what was received", resealed(requested, append(slices.Clone(requested.Data[:10]), []byte(strings.Repeat("\xff", 1<<20))...)), "undecodable"},
		"length beyond the end": {"a length is checked before it is believed", resealed(requested, append(slices.Clone(requested.Data[:10]), 0xfe, 0xff, 0xff, 0xff, 0x0f)), "undecodable"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, err := c.Open(t.Context(), test.event)
			if err == nil || domain.KindOf(err) != domain.Invalid || domain.CodeOf(err) != test.code {
				t.Errorf("%s: got %+v, %v (%s, %s), want Invalid %s", test.reason, n, err, domain.KindOf(err), domain.CodeOf(err), test.code)
			}
		})
	}
}

// noRegistry answers nothing.
type noRegistry struct{}

func (noRegistry) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("no route to host")
}

// FuzzOpen: whatever arrives, opening it answers, and what it accepts names a
// known type of request. Only data that begins as the Confluent wire format does
// may wait for the registry; the ids 1 and 2 are known.
func FuzzOpen(f *testing.F) {
	c := New(Options{Registry: RegistryOptions{URL: &url.URL{Scheme: "http", Host: "registry.example"}, Client: &http.Client{Transport: noRegistry{}}}})
	schemas, err := c.schemas()
	if err != nil {
		f.Fatal(err)
	}
	for i, name := range []string{eventing.SchemaMessage, eventing.SchemaResult} {
		id := uint32(i + 1)
		c.registry.ids.keep(name, id)
		c.registry.writers.keep(sighting{id, name}, read{writer: schemas.writers[fingerprint(schemas.newest[name])]})
	}
	types := slices.Sorted(maps.Keys(schemaOf))
	for _, r := range []application.Record{decided(machineRecord(), domain.Completed, "", true), decided(networkRecord(), domain.Fault, "x", false)} {
		for _, w := range []*Codec{c, New(Options{})} {
			for _, encode := range []func(application.Record, time.Time) (application.Event, error){w.Requested, w.Result, w.Terminal} {
				e, err := encode(r, accepted)
				if err != nil {
					f.Fatal(err)
				}
				f.Add(uint8(slices.Index(types, e.Type)), e.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		e := application.Event{
			Type: types[int(kind)%len(types)], Data: data,
			Extensions: map[string]string{eventing.ExtChecksum: checksum(data)},
		}
		n, err := c.Open(t.Context(), e)
		switch {
		case isAway(err):
			if len(data) <= 5 || data[0] != 0 {
				t.Errorf("%s: waits for the registry with data % x", e.Type, data)
			}
		case err != nil && (domain.KindOf(err) != domain.Invalid || domain.CodeOf(err) != eventing.ReasonUndecodable):
			t.Errorf("%s: got %v, want Invalid undecodable", e.Type, err)
		case err == nil && (n.MessageID == "" || !n.Type.Known()):
			t.Errorf("%s: accepted %+v", e.Type, n)
		}
		if _, err := c.Decode(t.Context(), e); err != nil && domain.KindOf(err) != domain.Invalid && !isAway(err) {
			t.Errorf("%s: decoded with %v, want Invalid", e.Type, err)
		}
	})
}
