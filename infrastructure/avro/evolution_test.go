package avro

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"kbnt.dev/virtualization/eventing"
)

// TestSchemaChanges shows which changes of a schema TestReleasedSchemasStayReadable
// lets through as a new version, and that none that matters can be made to a
// file that was released.
func TestSchemaChanges(t *testing.T) {
	t.Parallel()
	const (
		message, result = eventing.SchemaMessage, eventing.SchemaResult
		first           = `"fields": [`
	)
	tests := map[string]struct {
		reason   string
		name     string
		old, new string // replaced once
		readable bool   // by the new version
		words    bool   // only words change: a released file may have it
	}{
		"new field":                    {"nothing fills it when old data is read", message, first, first + `{"name": "zone", "type": "string"},`, false, false},
		"new field with default":       {"the default fills it", message, first, first + `{"name": "zone", "type": "string", "default": ""},`, true, false},
		"new field that may be null":   {"a union with null has no default by itself", message, first, first + `{"name": "zone", "type": ["null", "string"]},`, false, false},
		"null by default":              {"null fills it", message, first, first + `{"name": "zone", "type": ["null", "string"], "default": null},`, true, false},
		"new field further in":         {"records within are records", message, `{"name": "cpu", "type": "int",`, `{"name": "sockets", "type": "int"}, {"name": "cpu", "type": "int",`, false, false},
		"default further in":           {"the default fills it", message, `{"name": "cpu", "type": "int",`, `{"name": "sockets", "type": "int", "default": 1}, {"name": "cpu", "type": "int",`, true, false},
		"renamed field":                {"it is a new one without default", message, `"name": "correlationId"`, `"name": "correlation"`, false, false},
		"renamed with alias":           {"the alias finds the old one", message, `{"name": "correlationId",`, `{"name": "correlation", "aliases": ["correlationId"],`, true, false},
		"other type":                   {"a number is no string", message, `{"name": "messageType", "type": "string"`, `{"name": "messageType", "type": "int"`, false, false},
		"wider type":                   {"an int is a long", message, `{"name": "cpu", "type": "int"`, `{"name": "cpu", "type": "long"`, true, false},
		"narrower type":                {"a long may be no int", message, `{"name": "memoryMiB", "type": "long"`, `{"name": "memoryMiB", "type": "int"`, false, false},
		"type that may be null too":    {"a string is one of the two", message, `{"name": "correlationId", "type": "string"`, `{"name": "correlationId", "type": ["null", "string"]`, true, false},
		"type that may not be null":    {"old data may have null", result, `{"name": "reason", "type": ["null", "string"], "default": null`, `{"name": "reason", "type": "string", "default": ""`, false, false},
		"dropped branch":               {"old data may have a machine", message, `"name": "MachineSpecification"`, `"name": "VirtualMachineSpecification"`, false, false},
		"symbol less":                  {"old data may have it, and there is no default", result, `"symbols": ["COMPLETED", "FAILED", "CANCELLED"]`, `"symbols": ["COMPLETED", "FAILED"]`, false, false},
		"symbol more":                  {"old data does not have it", result, `"symbols": ["COMPLETED", "FAILED", "CANCELLED"]`, `"symbols": ["COMPLETED", "FAILED", "CANCELLED", "EXPIRED"]`, true, false},
		"symbol less, with a default":  {"the default stands for it", message, `"symbols": ["LOW", "NORMAL", "HIGH"]`, `"symbols": ["NORMAL", "HIGH"]`, true, false},
		"another name of the record":   {"it is another schema", message, `"name": "VirtualizationMessage"`, `"name": "Message"`, false, false},
		"other words":                  {"documentation is not part of the canonical form", message, `"doc": "An accepted request`, `"doc": "A request that was accepted`, true, true},
		"another default of old field": {"what is written has no defaults in it", message, `{"name": "diskType", "type": "string", "default": ""`, `{"name": "diskType", "type": "string", "default": "SSD"`, true, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := "schemas/" + test.name + "-" + versions()[test.name] + ".avsc"
			text, err := fs.ReadFile(eventing.Schemas, old)
			if err != nil {
				t.Fatal(err)
			}
			changed := strings.Replace(string(text), test.old, test.new, 1)
			if changed == string(text) {
				t.Fatalf("%s has no %s", old, test.old)
			}

			beside, next := released(t), versions()
			next[test.name] = "2.2.0"
			beside["schemas/"+test.name+"-2.2.0.avsc"] = &fstest.MapFile{Data: []byte(changed)}
			if faults := unreadable(t, beside, next); len(faults) == 0 != test.readable {
				t.Errorf("as a new version: %s: got %q, want readable %t", test.reason, faults, test.readable)
			}
			if faults := lost(t, beside); len(faults) > 0 {
				t.Errorf("as a new version: the old one is lost: %q", faults)
			}
			if c, err := load(beside, next); test.readable && (err != nil || c.newest[test.name].String() != changed) {
				t.Errorf("as a new version: loaded with %v", err)
			}

			within := released(t)
			within[old] = &fstest.MapFile{Data: []byte(changed)}
			if faults := lost(t, within); len(faults) == 0 != test.words {
				t.Errorf("in the released file: got %q, want it unnoticed %t", faults, test.words)
			}
		})
	}
}

func TestSchemasAreNotDeleted(t *testing.T) {
	t.Parallel()
	files := released(t)
	delete(files, "schemas/"+eventing.SchemaMessage+"-2.1.0.avsc")
	if len(lost(t, files)) == 0 {
		t.Error("a schema was deleted that events were written with, and nothing noticed")
	}
}

// released is a copy of the schema files.
func released(t *testing.T) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	paths, err := fs.Glob(eventing.Schemas, "schemas/*.avsc")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		text, err := fs.ReadFile(eventing.Schemas, p)
		if err != nil {
			t.Fatal(err)
		}
		files[p] = &fstest.MapFile{Data: text}
	}
	return files
}
