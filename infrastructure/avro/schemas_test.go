package avro

import (
	"encoding/binary"
	"fmt"
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
// older one wrote: a new field needs a default, an old one keeps its type. What
// it refuses is TestSchemaChanges.
func TestReleasedSchemasStayReadable(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(eventing.Schemas, "schemas/*.avsc")
	if err != nil || len(files) < 2 {
		t.Fatalf("found %v, %v", files, err)
	}
	for _, fault := range unreadable(t, eventing.Schemas, versions()) {
		t.Error(fault)
	}
}

// unreadable says which schema files the ones of the versions cannot read.
func unreadable(t *testing.T, files fs.FS, versions map[string]string) (faults []string) {
	t.Helper()
	parse := func(p string) *twmb.Schema {
		text, err := fs.ReadFile(files, p)
		if err != nil {
			t.Fatal(err)
		}
		s, err := twmb.Parse(string(text))
		if err != nil {
			t.Fatalf("%s: %v", p, err)
		}
		return s
	}
	all, err := fs.Glob(files, "schemas/*.avsc")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		name, _, _ := strings.Cut(path.Base(f), "-")
		newest, ok := versions[name]
		if !ok {
			faults = append(faults, f+" belongs to no schema of the contract")
			continue
		}
		older, newer := parse(f), parse("schemas/"+name+"-"+newest+".avsc")
		if err := twmb.CheckCompatibility(older, newer); err != nil {
			faults = append(faults, fmt.Sprintf("version %s cannot read what was written with %s: %v", newest, f, err))
		}
		had := records(*older.Root(), map[string][]twmb.SchemaField{})
		for record, fields := range records(*newer.Root(), map[string][]twmb.SchemaField{}) {
			for _, field := range fields {
				old := func(o twmb.SchemaField) bool { return o.Name == field.Name || slices.Contains(field.Aliases, o.Name) }
				if before, ok := had[record]; ok && !field.HasDefault && !slices.ContainsFunc(before, old) {
					faults = append(faults, fmt.Sprintf("version %s: %s.%s is newer than %s and has no default", newest, record, field.Name, f))
				}
			}
		}
	}
	return faults
}

// records collects the fields of all records in n, by name. The library fills a
// new field with null where its type allows that; by the specification, and for
// registries and readers in Java, nothing but a default does.
func records(n twmb.SchemaNode, found map[string][]twmb.SchemaField) map[string][]twmb.SchemaField {
	if len(n.Fields) > 0 {
		found[n.Namespace+"."+n.Name] = n.Fields
	}
	for _, f := range n.Fields {
		records(f.Type, found)
	}
	for _, b := range n.Branches {
		records(b, found)
	}
	for _, inner := range []*twmb.SchemaNode{n.Items, n.Values} {
		if inner != nil {
			records(*inner, found)
		}
	}
	return found
}

// TestReleasedSchemasAreThere holds the goldens against the schema files of the
// versions in their names: a file that was ever written with can be neither
// deleted nor changed.
func TestReleasedSchemasAreThere(t *testing.T) {
	t.Parallel()
	for _, fault := range lost(t, eventing.Schemas) {
		t.Error(fault)
	}
}

// lost says which goldens were written with a schema that is not there.
func lost(t *testing.T, files fs.FS) (faults []string) {
	t.Helper()
	for _, g := range index(t) {
		if schemaOf[g.kind] == eventing.SchemaEvent {
			continue
		}
		data, err := os.ReadFile("testdata/" + g.name + ".bin")
		if err != nil {
			t.Fatal(err)
		}
		file := schemaOf[g.kind] + g.name[strings.LastIndex(g.name, "-"):]
		if strings.HasPrefix(g.name, "confluent-") {
			if id := binary.BigEndian.Uint32(data[1:]); goldenIDs[id-1] != file {
				faults = append(faults, fmt.Sprintf("%s was written with id %d: that is %s, want %s", g.name, id, goldenIDs[id-1], file))
			}
			continue
		}
		text, err := fs.ReadFile(files, "schemas/"+file+".avsc")
		if err != nil {
			faults = append(faults, fmt.Sprintf("%s: %v", g.name, err))
			continue
		}
		schema, err := twmb.Parse(string(text))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if print, _, err := twmb.SingleObjectFingerprint(data); err != nil || print != fingerprint(schema) {
			faults = append(faults, fmt.Sprintf("%s was written with fingerprint %x, %s has %x", g.name, print, file, fingerprint(schema)))
		}
	}
	return faults
}

// older is the schema folder plus a VirtualizationMessage 2.0.9 that has no
// labels and no estimate yet, and has a field that was dropped since.
func older(t *testing.T) fstest.MapFS {
	t.Helper()
	files := released(t)
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
