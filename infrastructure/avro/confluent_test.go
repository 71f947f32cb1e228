package avro

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
)

// prepared is a codec that knows its ids from f.
func prepared(t *testing.T, f *fakeRegistry) *Codec {
	t.Helper()
	c := New(Options{Version: "v1.2.3", Registry: f.options()})
	if err := c.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.questions()
	return c
}

func TestConfluentWireFormat(t *testing.T) {
	t.Parallel()
	f := newFakeRegistry(t)
	for range 299 { // an id of two bytes
		f.add("other-value", `"string"`+strings.Repeat(" ", len(f.schemas)))
	}
	c, plain := prepared(t, f), New(Options{})
	r := decided(machineRecord(), domain.Completed, "", true)
	r.Request.Labels = nil // a map has no order
	r.Resource.Facts.Endpoints, r.Resource.Facts.Baselines = nil, nil
	for name, test := range map[string]struct {
		encode func(*Codec) (application.Event, error)
		header []byte
	}{
		"requested": {func(c *Codec) (application.Event, error) { return c.Requested(r, accepted) }, []byte{0, 0, 0, 1, 44}},
		"result":    {func(c *Codec) (application.Event, error) { return c.Result(r, accepted) }, []byte{0, 0, 0, 1, 45}},
	} {
		framed, err := test.encode(c)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		single, err := test.encode(plain)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if want := append(test.header, single.Data[10:]...); !bytes.Equal(framed.Data, want) {
			t.Errorf("%s: got\n% x, want\n% x: the header and the same record", name, framed.Data, want)
		}
		for reader, c := range map[string]*Codec{"the writer": c, "another": New(Options{Registry: f.options()})} {
			for written, e := range map[string]application.Event{"framed": framed, "single": single} {
				n, err := c.Open(t.Context(), e)
				if want := strings.TrimPrefix(e.DataSchema, eventing.SchemaBase); err != nil || n.Schema != want || n.MessageID != r.Request.MessageID {
					t.Errorf("%s, %s opens %s: got %+v, %v, want %s", name, reader, written, n, err, want)
				}
			}
		}
		if framed.DataSchema != single.DataSchema || framed.ContentType != single.ContentType || framed.ID != single.ID {
			t.Errorf("%s: the registry changes %+v to %+v, want the data alone", name, single, framed)
		}
	}
	terminal, err := c.Terminal(r, accepted)
	if err != nil || !json.Valid(terminal.Data) {
		t.Errorf("the public event: %v, %.20q, want JSON and no header", err, terminal.Data)
	}
}

func TestReadersAskOncePerID(t *testing.T) {
	t.Parallel()
	f := newFakeRegistry(t)
	e, err := prepared(t, f).Requested(machineRecord(), accepted)
	if err != nil {
		t.Fatal(err)
	}
	c := New(Options{Registry: f.options()})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := c.Open(t.Context(), e); err != nil {
				t.Errorf("open: %v", err)
			}
		})
	}
	all.Wait()
	if got, want := f.questions(), []string{"GET /schemas/ids/1"}; !slices.Equal(got, want) {
		t.Errorf("20 deliveries asked %q, want %q", got, want)
	}
	f.server.Close()
	if _, err := c.Open(t.Context(), e); err != nil {
		t.Errorf("the registry has gone, its ids are known: %v", err)
	}
}

// framed is an event of ours whose data is what is given.
func framed(kind string, data []byte) application.Event {
	return application.Event{ID: "e", Type: kind, Data: data, Extensions: map[string]string{eventing.ExtChecksum: checksum(data)}}
}

func TestOpenByID(t *testing.T) {
	t.Parallel()
	f := newFakeRegistry(t)
	c := prepared(t, f)
	message, err := c.Requested(machineRecord(), accepted)
	if err != nil {
		t.Fatal(err)
	}
	body := message.Data[confluentHeader:]
	text := mustNewest(t, eventing.SchemaMessage).String()
	reworded := f.add("x", strings.Replace(text, `"An accepted request`, `"In other words`, 1))
	newer := f.add("x", strings.Replace(text, `"fields": [`, `"fields": [{"name": "since220", "type": "string"},`, 1))
	stranger := f.add("x", `{"type": "record", "name": "Order", "fields": [{"name": "messageId", "type": "string"}]}`)
	text0 := f.add("x", `"string"`)
	nonsense := f.add("x", `no schema`)
	data := func(id uint32, parts ...[]byte) []byte {
		return slices.Concat(append([][]byte{binary.BigEndian.AppendUint32([]byte{0}, id)}, parts...)...)
	}
	tests := map[string]struct {
		reason string
		kind   string
		data   []byte
		schema string // of the notice
		code   string // of the error
		again  bool   // each delivery asks anew
	}{
		"ours":             {"as written", eventing.TypeRequested, message.Data, "VirtualizationMessage/2.1.0", "", false},
		"other words":      {"the canonical form tells schemas apart, not their ids", eventing.TypeRequested, data(reworded, body), "VirtualizationMessage/2.1.0", "", false},
		"newer writer":     {"it has a field that we skip", eventing.TypeRequested, data(newer, []byte("\x04hi"), body), "VirtualizationMessage/id-4", "", false},
		"other record":     {"an order is no message", eventing.TypeRequested, data(stranger, body), "", "undecodable", false},
		"no record":        {"a string is no message", eventing.TypeRequested, data(text0, body), "", "undecodable", false},
		"no schema":        {"the registry has what is none", eventing.TypeRequested, data(nonsense, body), "", "undecodable", false},
		"other type":       {"a message is no result", eventing.TypeProvisioned, message.Data, "", "undecodable", false},
		"unknown id":       {"the registry may be behind, or the wrong one", eventing.TypeRequested, data(999, body), "", "registry-away", true},
		"id 0":             {"ids begin with 1", eventing.TypeRequested, data(0, body), "", "undecodable", false},
		"negative id":      {"ids have 31 bits", eventing.TypeRequested, data(1<<31, body), "", "undecodable", false},
		"cut off":          {"the record ends early", eventing.TypeRequested, message.Data[:len(message.Data)-1], "", "undecodable", false},
		"header only":      {"no record, so nobody is asked", eventing.TypeRequested, data(998), "", "undecodable", false},
		"half a header":    {"too short for an id", eventing.TypeRequested, message.Data[:3], "", "undecodable", false},
		"trailing byte":    {"a record and nothing else", eventing.TypeRequested, data(1, body, []byte{0}), "", "undecodable", false},
		"8 bytes of an id": {"the old format of Apicurio is not ours", eventing.TypeRequested, data(0, []byte{0, 0, 0, 1}, body), "", "undecodable", false},
	}
	for name, test := range tests {
		e := framed(test.kind, test.data)
		f.questions()
		for range 2 {
			n, err := c.Open(t.Context(), e)
			switch {
			case test.code == "" && (err != nil || n.Schema != test.schema || n.MessageID != machineRecord().Request.MessageID):
				t.Errorf("%s: %s: got %+v, %v, want %s", name, test.reason, n, err, test.schema)
			case test.code != "" && (err == nil || domain.CodeOf(err) != test.code || domain.KindOf(err).Retriable() != test.again):
				t.Errorf("%s: %s: got %+v, %v, want %s", name, test.reason, n, err, test.code)
			}
		}
		if asked := len(f.questions()); asked > 1 != test.again {
			t.Errorf("%s: asked %d times for two deliveries", name, asked)
		}
		if test.code == "" {
			decoded, err := c.Decode(t.Context(), e)
			if err != nil || decoded["correlationId"] != machineRecord().Request.CorrelationID || decoded["since220"] != nil {
				t.Errorf("%s: decoded %v, %v", name, decoded["correlationId"], err)
			}
		}
		if _, err := New(Options{}).Open(t.Context(), e); test.code != "undecodable" && !isAway(err) {
			t.Errorf("%s, without a registry: got %v, want away: the mistake is ours", name, err)
		}
	}
}

// The checksum is looked at before the registry is asked about anything.
func TestForgedDataAsksNothing(t *testing.T) {
	t.Parallel()
	f := newFakeRegistry(t)
	c := New(Options{Registry: f.options()})
	e := framed(eventing.TypeRequested, []byte{0, 0, 0, 0, 7, 1})
	e.Extensions[eventing.ExtChecksum] = checksum([]byte("other"))
	if _, err := c.Open(t.Context(), e); domain.CodeOf(err) != eventing.ReasonChecksumMismatch {
		t.Errorf("got %v, want checksum-mismatch", err)
	}
	if _, err := c.Open(t.Context(), framed("com.example.order", []byte{0, 0, 0, 0, 7, 1})); domain.CodeOf(err) != eventing.ReasonUnknownType {
		t.Errorf("got %v, want unknown-type", err)
	}
	if asked := f.questions(); asked != nil {
		t.Errorf("asked %q, want nothing", asked)
	}
}

func TestForeignSchemas(t *testing.T) {
	t.Parallel()
	all, err := loadEmbedded()
	if err != nil {
		t.Fatal(err)
	}
	text := all.newest[eventing.SchemaMessage].String()
	for name, test := range map[string]struct {
		found registered
		ok    bool
	}{
		"no type":    {registered{Schema: text}, true},
		"Avro":       {registered{Type: "AVRO", Schema: text}, true},
		"Protobuf":   {registered{Type: "PROTOBUF", Schema: text}, false},
		"JSON":       {registered{Type: "JSON", Schema: text}, false},
		"references": {registered{Schema: text, References: []json.RawMessage{[]byte("{}")}}, false},
	} {
		if _, err := all.foreign(test.found, sighting{7, eventing.SchemaMessage}); (err == nil) != test.ok {
			t.Errorf("%s: got %v, want fine %t", name, err, test.ok)
		}
	}
}
