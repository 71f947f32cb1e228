package avro

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
)

var update = flag.Bool("update", false, "add golden encodings of samples that have none; existing ones are never touched")

// goldenIDs are the schemas that goldens in the Confluent wire format name by id:
// the first has id 1. A new version of a schema is added at the end.
var goldenIDs = []string{"VirtualizationMessage-2.1.0", "ProvisioningResult-2.1.0"}

// reader is a codec that reads every golden: it has a registry with goldenIDs.
func reader(t *testing.T) *Codec {
	t.Helper()
	f := newFakeRegistry(t)
	for i, file := range goldenIDs {
		text, err := eventing.Schemas.ReadFile("schemas/" + file + ".avsc")
		if err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(file, "-")
		subject, ok := subjectOf(name)
		if id := f.add(subject, string(text)); !ok || id != uint32(i+1) {
			t.Fatalf("%s has the id %d and the subject %q, want the id %d", file, id, subject, i+1)
		}
	}
	return New(Options{Version: "v1.2.3", Registry: f.options()})
}

// samples are the events whose encoding is kept for ever, by name. A name ends
// in the version of the schema, so a new version adds goldens beside the old.
func samples(t *testing.T) map[string]application.Event {
	t.Helper()
	framing := reader(t)
	if err := framing.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	events := samplesOf(t, New(Options{Version: "v1.2.3"}))
	for name, e := range samplesOf(t, framing) {
		if schemaOf[e.Type] != eventing.SchemaEvent { // that one is JSON, and the same
			events["confluent-"+name] = e
		}
	}
	return events
}

func samplesOf(t *testing.T, c *Codec) map[string]application.Event {
	t.Helper()
	events := map[string]application.Event{}
	add := func(name, version string, e application.Event, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("encode %s: %v", name, err)
		}
		events[name+"-"+version] = e
	}
	for name, r := range map[string]application.Record{
		"machine": machineRecord(), "volume": volumeRecord(), "network": networkRecord(), "stop": stopRecord(),
	} {
		e, err := c.Requested(r, accepted)
		add("requested-"+name, eventing.SchemaMessageVersion, e, err)
	}
	for name, r := range map[string]application.Record{
		"machine-completed": decided(machineRecord(), domain.Completed, "", true),
		"machine-failed":    decided(machineRecord(), domain.Fault, domain.ReasonDeadline, false),
		"volume-cancelled":  decided(volumeRecord(), domain.Cancelled, domain.ReasonCancelled, false),
		"volume-completed":  decided(volumeRecord(), domain.Completed, "", true),
		"network-completed": decided(networkRecord(), domain.Completed, "", true),
		"stop-failed":       decided(stopRecord(), domain.Fault, domain.ReasonAttemptsExhausted, true),
	} {
		e, err := c.Result(r, accepted.Add(decidedAfter))
		add("result-"+name, eventing.SchemaResultVersion, e, err)
		e, err = c.Terminal(r, accepted.Add(decidedAfter))
		add("terminal-"+name, eventing.SchemaEventVersion, e, err)
	}
	return events
}

// golden is one line of testdata/index.txt: name, type of event, SHA-256 of the data.
type golden struct{ name, kind, sum string }

const indexFile = "testdata/index.txt"

func index(t *testing.T) []golden {
	t.Helper()
	content, err := os.ReadFile(indexFile)
	if err != nil && !(*update && os.IsNotExist(err)) {
		t.Fatal(err)
	}
	var all []golden
	for line := range strings.Lines(string(content)) {
		f := strings.Fields(line)
		if len(f) != 3 {
			t.Fatalf("%s: line %q has not three fields", indexFile, line)
		}
		all = append(all, golden{f[0], f[1], f[2]})
	}
	return all
}

func sum(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }

func pretty(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

// TestGoldens proves that this code reads what all code before it wrote. The
// index names every golden there ever was, so none can be lost unnoticed.
func TestGoldens(t *testing.T) {
	if *update {
		addGoldens(t)
	}
	c := reader(t)
	all := index(t)
	if len(all) == 0 {
		t.Fatal("the index is empty")
	}
	var listed []string
	for _, g := range all {
		listed = append(listed, g.name+".bin", g.name+".json")
		data, err := os.ReadFile(filepath.Join("testdata", g.name+".bin"))
		if err != nil {
			t.Errorf("a golden encoding is gone: %v", err)
			continue
		}
		if got := sum(data); got != g.sum {
			t.Errorf("%s.bin was changed: got SHA-256 %s, want %s", g.name, got, g.sum)
			continue
		}
		e := application.Event{Type: g.kind, Data: data, Extensions: map[string]string{eventing.ExtChecksum: checksum(data)}}
		if _, err := c.Open(t.Context(), e); err != nil {
			t.Errorf("open %s.bin: %v", g.name, err)
		}
		decoded, err := c.Decode(t.Context(), e)
		if err != nil {
			t.Errorf("decode %s.bin: %v", g.name, err)
			continue
		}
		want, err := os.ReadFile(filepath.Join("testdata", g.name+".json"))
		if err != nil {
			t.Errorf("a golden is gone: %v", err)
			continue
		}
		if got := pretty(t, decoded); !bytes.Equal(got, want) {
			t.Errorf("%s.bin reads as\n%s\nwant\n%s", g.name, got, want)
		}
	}
	files, err := filepath.Glob("testdata/*.*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name := filepath.Base(f); f != indexFile && !slices.Contains(listed, name) {
			t.Errorf("testdata/%s is not in the index", name)
		}
	}
}

// TestEncodingsAreTheGoldens notices a change of the encoding without a new
// version. Maps have no order on the wire, so what they mean is compared.
func TestEncodingsAreTheGoldens(t *testing.T) {
	c := reader(t)
	known := map[string]bool{}
	for _, g := range index(t) {
		known[g.name] = true
	}
	for name, e := range samples(t) {
		if !known[name] {
			t.Errorf("%s has no golden encoding; run the test with -update and commit it", name)
			continue
		}
		want, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		if err != nil {
			t.Error(err)
			continue
		}
		decoded, err := c.Decode(t.Context(), e)
		if err != nil {
			t.Errorf("decode %s: %v", name, err)
			continue
		}
		if got := pretty(t, decoded); !bytes.Equal(got, want) {
			t.Errorf("%s is now encoded as\n%s\nwant\n%s\nchange the version of the schema if this is meant", name, got, want)
		}
	}
}

func addGoldens(t *testing.T) {
	t.Helper()
	all := index(t)
	c := reader(t)
	for name, e := range samples(t) {
		if slices.ContainsFunc(all, func(g golden) bool { return g.name == name }) {
			continue
		}
		decoded, err := c.Decode(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		for ext, content := range map[string][]byte{".bin": e.Data, ".json": pretty(t, decoded)} {
			if err := os.WriteFile(filepath.Join("testdata", name+ext), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, golden{name, e.Type, sum(e.Data)})
	}
	slices.SortFunc(all, func(a, b golden) int { return strings.Compare(a.name, b.name) })
	var b strings.Builder
	for _, g := range all {
		fmt.Fprintln(&b, g.name, g.kind, g.sum)
	}
	if err := os.WriteFile(indexFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
