package avro

import (
	"encoding/binary"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	twmb "github.com/twmb/avro"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
)

// TestReleasedSchemasStayReadable refuses a new schema that cannot read what an
// older one wrote: a new field needs a default, an old one keeps its type.
func TestReleasedSchemasStayReadable(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(eventing.Schemas, "schemas/*.avsc")
	if err != nil || len(files) < 2 {
		t.Fatalf("found %v, %v", files, err)
	}
	parse := func(p string) *twmb.Schema {
		text, err := eventing.Schemas.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		s, err := twmb.Parse(string(text))
		if err != nil {
			t.Fatalf("%s: %v", p, err)
		}
		return s
	}
	for _, f := range files {
		name, _, _ := strings.Cut(path.Base(f), "-")
		newest, ok := versions()[name]
		if !ok {
			t.Errorf("%s belongs to no schema of the contract", f)
			continue
		}
		if err := twmb.CheckCompatibility(parse(f), parse("schemas/"+name+"-"+newest+".avsc")); err != nil {
			t.Errorf("version %s cannot read what was written with %s: %v", newest, f, err)
		}
	}
}

// TestReleasedSchemasAreThere holds the fingerprints in the goldens against the
// schema files, and their versions against the names of the goldens: a file that
// was ever written with can be neither deleted nor changed.
func TestReleasedSchemasAreThere(t *testing.T) {
	t.Parallel()
	c, err := loadEmbedded()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range index(t) {
		if schemaOf[g.kind] == eventing.SchemaEvent {
			continue
		}
		data, err := os.ReadFile("testdata/" + g.name + ".bin")
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(g.name, "confluent-") {
			id := binary.BigEndian.Uint32(data[1:])
			_, version, _ := strings.Cut(goldenIDs[id-1], "-")
			if !strings.HasPrefix(goldenIDs[id-1], schemaOf[g.kind]+"-") || !strings.HasSuffix(g.name, "-"+version) {
				t.Errorf("%s was written with id %d: that is %s", g.name, id, goldenIDs[id-1])
			}
			continue
		}
		print, _, err := twmb.SingleObjectFingerprint(data)
		if err != nil {
			t.Fatal(err)
		}
		w, ok := c.writers[print]
		if !ok || !strings.HasSuffix(g.name, "-"+w.version) || w.name != schemaOf[g.kind] {
			t.Errorf("%s was written with fingerprint %x: the schema files have %s %s for it", g.name, print, w.name, w.version)
		}
	}
}

// older is the schema folder plus a VirtualizationMessage 2.0.9 that has no
// labels and no estimate yet, and has a field that was dropped since.
func older(t *testing.T) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	entries, err := fs.Glob(eventing.Schemas, "schemas/*.avsc")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range entries {
		text, err := eventing.Schemas.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		files[p] = &fstest.MapFile{Data: text}
	}
	files["schemas/VirtualizationMessage-2.0.9.avsc"] = &fstest.MapFile{Data: []byte(`{
		"type": "record", "name": "VirtualizationMessage", "namespace": "dev.kbnt.virtualization", "fields": [
			{"name": "messageId", "type": "string"}, {"name": "dropped", "type": {"type": "array", "items": "int"}},
			{"name": "messageType", "type": "string"}, {"name": "correlationId", "type": "string"},
			{"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-micros"}},
			{"name": "virtualResourceId", "type": "string"}, {"name": "resourceType", "type": "string"},
			{"name": "metadata", "type": {"type": "record", "name": "RequestMetadata", "fields": [
				{"name": "requestId", "type": "string"}, {"name": "userId", "type": "string"}, {"name": "tenantId", "type": "string"}]}}
		]}`)}
	return files
}

func TestOldVersionsAreReadByTheNewest(t *testing.T) {
	t.Parallel()
	files := older(t)
	old, err := twmb.Parse(string(files["schemas/VirtualizationMessage-2.0.9.avsc"].Data))
	if err != nil {
		t.Fatal(err)
	}
	data, err := old.AppendSingleObject(nil, map[string]any{
		"messageId": "m-1", "dropped": []any{1, 2, 3}, "messageType": "STOP_VIRTUAL_MACHINE", "correlationId": "c", "timestamp": accepted,
		"virtualResourceId": "VM-0909A693", "resourceType": "virtual-machine",
		"metadata": map[string]any{"requestId": "r", "userId": "u", "tenantId": "t"},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := &Codec{schemas: func() (*catalogue, error) { return load(files, versions()) }}
	e := application.Event{Type: eventing.TypeRequested, Data: data, Extensions: map[string]string{eventing.ExtChecksum: checksum(data)}}
	got, err := c.Open(t.Context(), e)
	want := application.Notice{MessageID: "m-1", Schema: "VirtualizationMessage/2.0.9", Type: domain.StopMachine}
	if err != nil || got != want {
		t.Errorf("open: got %+v, %v, want %+v", got, err, want)
	}
	decoded, err := c.Decode(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	metadata := decoded["metadata"].(map[string]any)
	if metadata["priority"] != "NORMAL" || len(metadata["labels"].(map[string]any)) != 0 || decoded["domain"] != "virtualization" {
		t.Errorf("defaults of the newest version: got %v", decoded)
	}
	if _, ok := decoded["dropped"]; ok {
		t.Errorf("a field that was dropped since: got %v", decoded)
	}
	if _, err := New(Options{}).Open(t.Context(), e); domain.CodeOf(err) != eventing.ReasonUndecodable {
		t.Errorf("without the file of its schema: got %v, want undecodable", err)
	}
}

func TestOfTwoVersionsAlikeTheNewerIsNamed(t *testing.T) {
	t.Parallel()
	files := older(t)
	files["schemas/VirtualizationMessage-2.0.10.avsc"] = files["schemas/VirtualizationMessage-2.0.9.avsc"]
	c, err := load(files, versions())
	if err != nil {
		t.Fatal(err)
	}
	old, err := twmb.Parse(string(files["schemas/VirtualizationMessage-2.0.9.avsc"].Data))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.writers[fingerprint(old)].version; got != "2.0.10" {
		t.Errorf("got %s, want 2.0.10", got)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	incompatible := older(t)
	incompatible["schemas/VirtualizationMessage-2.0.8.avsc"] = &fstest.MapFile{Data: []byte(
		`{"type": "record", "name": "VirtualizationMessage", "namespace": "dev.kbnt.virtualization", "fields": [{"name": "messageId", "type": "string"}]}`)}
	missing := older(t)
	delete(missing, "schemas/ProvisioningResult-2.1.0.avsc")
	broken := older(t)
	broken["schemas/VirtualizationMessage-2.0.9.avsc"] = &fstest.MapFile{Data: []byte(`{`)}
	for name, files := range map[string]fstest.MapFS{"incompatible": incompatible, "missing": missing, "broken": broken} {
		if _, err := load(files, versions()); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func TestVersionsAreOrderedByNumber(t *testing.T) {
	t.Parallel()
	got := slices.SortedFunc(slices.Values([]string{"2.10.0", "2.9.1", "10.0.0", "2.9"}), compareVersions)
	if want := []string{"2.9", "2.9.1", "2.10.0", "10.0.0"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
