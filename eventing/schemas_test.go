package eventing_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/avro"
	"kbnt.dev/virtualization/eventing"
)

const (
	avroExt = ".avsc"
	jsonExt = ".schema.json"
)

// schemaText reads an embedded schema file.
func schemaText(t *testing.T, name string) []byte {
	t.Helper()
	text, err := fs.ReadFile(eventing.Schemas, path.Join("schemas", name))
	if err != nil {
		t.Fatalf("read a schema: %v", err)
	}
	return text
}

// avroSchema parses the current version of an Avro schema.
func avroSchema(t *testing.T, name, version string) *avro.Schema {
	t.Helper()
	schema, err := avro.Parse(string(schemaText(t, name+"-"+version+avroExt)))
	if err != nil {
		t.Fatalf("parse %s %s: %v", name, version, err)
	}
	return schema
}

func TestSchemaFilesSayWhatTheirNamesSay(t *testing.T) {
	t.Parallel()
	entries, err := fs.ReadDir(eventing.Schemas, "schemas")
	if err != nil {
		t.Fatal(err)
	}
	var known, found []string
	for _, schema := range dataSchemas(t) {
		known = append(known, schema.name)
	}
	for _, entry := range entries {
		text := schemaText(t, entry.Name())
		base, isAvro := strings.CutSuffix(entry.Name(), avroExt)
		base, isJSON := strings.CutSuffix(base, jsonExt)
		name, version, ok := strings.Cut(base, "-")
		if !ok || isAvro == isJSON || !slices.Contains(known, name) {
			t.Errorf("%s: want <name>-<version> with %s or %s and a name of %q", entry.Name(), avroExt, jsonExt, known)
			continue
		}
		found = append(found, dataSchema{name, version}.uri())
		if isJSON {
			var schema struct {
				ID    string `json:"$id"`
				Title string `json:"title"`
			}
			if err := json.Unmarshal(text, &schema); err != nil {
				t.Errorf("%s: %v", entry.Name(), err)
			}
			if want := (dataSchema{name, version}).uri(); schema.ID != want || schema.Title != name {
				t.Errorf("%s: got $id %q and title %q, want %q and %q", entry.Name(), schema.ID, schema.Title, want, name)
			}
			continue
		}
		schema, err := avro.Parse(string(text))
		if err != nil {
			t.Errorf("%s: %v", entry.Name(), err)
			continue
		}
		root := schema.Root()
		if root.Name != name || root.Namespace != "dev.kbnt.virtualization" || root.Props["version"] != version {
			t.Errorf("%s: got %s.%s version %v, want dev.kbnt.virtualization.%s version %s",
				entry.Name(), root.Namespace, root.Name, root.Props["version"], name, version)
		}
	}
	for _, schema := range dataSchemas(t) { // older versions stay beside the current one
		if !slices.Contains(found, schema.uri()) {
			t.Errorf("schemas: %s %s is missing, got %q", schema.name, schema.version, found)
		}
	}
}

func TestSchemasDropNothing(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		schema *avro.Schema
		fields string
	}{
		"message": {avroSchema(t, eventing.SchemaMessage, eventing.SchemaMessageVersion),
			"messageId messageType correlationId timestamp virtualResourceId resourceType specification " +
				"estimatedProvisionTime metadata processingHistory domain"},
		"result": {avroSchema(t, eventing.SchemaResult, eventing.SchemaResultVersion),
			"resultId messageId correlationId timestamp messageType outcome reason virtualResourceId resourceType vmId " +
				"resourceId metadata specification host address driver endpoints baselines timings healthChecks " +
				"processingHistory domain"},
	}
	shared := map[string]string{
		"MachineSpecification": "cpu memoryMiB diskMiB diskType network image sshKeys userData securityGroups",
		"NetworkAttachment":    "mode name vlan",
		"VolumeSpecification":  "sizeMiB type iops",
		"NetworkSpecification": "subnet vlan gateway",
		"RequestMetadata":      "requestId userId tenantId priority resourceId labels",
		"HistoryEntry":         "service operation status timestamp",
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			records := recordsOf(test.schema)
			root := records[test.schema.Root().Name]
			sameSet(t, "fields of "+root.Name, fieldNames(root), strings.Fields(test.fields))
			for record, fields := range shared {
				sameSet(t, "fields of "+record, fieldNames(records[record]), strings.Fields(fields))
			}
			for _, field := range root.Fields {
				if field.Name == "domain" && field.Default != eventing.Domain {
					t.Errorf("domain: got default %v, want %q", field.Default, eventing.Domain)
				}
			}
		})
	}
}

// recordsOf finds the records in a schema by name.
func recordsOf(schema *avro.Schema) map[string]avro.SchemaNode {
	found := map[string]avro.SchemaNode{}
	var visit func(node *avro.SchemaNode)
	visit = func(node *avro.SchemaNode) {
		if node == nil {
			return
		}
		if node.Type == "record" {
			found[node.Name] = *node
		}
		for i := range node.Fields {
			visit(&node.Fields[i].Type)
		}
		for i := range node.Branches {
			visit(&node.Branches[i])
		}
		visit(node.Items)
		visit(node.Values)
	}
	visit(schema.Root())
	return found
}

func fieldNames(record avro.SchemaNode) []string {
	var list []string
	for _, field := range record.Fields {
		list = append(list, field.Name)
	}
	return list
}

func TestEveryFieldHasADocWithUnitAndExample(t *testing.T) {
	t.Parallel()
	for _, schema := range []*avro.Schema{
		avroSchema(t, eventing.SchemaMessage, eventing.SchemaMessageVersion),
		avroSchema(t, eventing.SchemaResult, eventing.SchemaResultVersion),
	} {
		for _, record := range recordsOf(schema) {
			if record.Doc == "" {
				t.Errorf("%s: has no doc", record.Name)
			}
			for _, field := range record.Fields {
				if !strings.Contains(field.Doc, "Example: ") {
					t.Errorf("%s.%s: got doc %q, want one with an Example", record.Name, field.Name, field.Doc)
				}
				if isNumber(&field.Type) && !strings.Contains(field.Doc, "Unit: ") {
					t.Errorf("%s.%s: got doc %q, want one with a Unit", record.Name, field.Name, field.Doc)
				}
			}
		}
	}
}

// isNumber reports whether a field holds numbers, perhaps null or several.
func isNumber(node *avro.SchemaNode) bool {
	if node.Values != nil {
		return isNumber(node.Values)
	}
	return slices.Contains([]string{"int", "long", "float", "double"}, node.Type) ||
		slices.ContainsFunc(node.Branches, func(branch avro.SchemaNode) bool { return isNumber(&branch) })
}

// The two files repeat some records, as each must be complete for a registry.
func TestSharedRecordsAreTheSame(t *testing.T) {
	t.Parallel()
	message := recordsOf(avroSchema(t, eventing.SchemaMessage, eventing.SchemaMessageVersion))
	result := recordsOf(avroSchema(t, eventing.SchemaResult, eventing.SchemaResultVersion))
	shared := 0
	for name, record := range message {
		other, ok := result[name]
		if !ok {
			continue
		}
		shared++
		// Compared with their docs, which the canonical form leaves out.
		if got, want := render(t, other), render(t, record); !bytes.Equal(got, want) {
			t.Errorf("%s: got in the result %s, want as in the message %s", name, got, want)
		}
	}
	if shared != 6 {
		t.Errorf("shared records: got %d, want 6", shared)
	}
}

// render writes a record, with the types it refers to, as JSON.
func render(t *testing.T, record avro.SchemaNode) []byte {
	t.Helper()
	schema, err := record.Schema()
	if err != nil {
		t.Fatalf("%s: %v", record.Name, err)
	}
	return []byte(schema.String())
}

func TestMessageKeepsWhatWasAsked(t *testing.T) {
	t.Parallel()
	at := time.Date(2025, 8, 30, 10, 30, 0, 123456000, time.UTC)
	tests := map[string]struct {
		reason string
		spec   any
	}{
		"machine": {"a machine keeps its network and everything optional", map[string]any{
			"cpu": int32(4), "memoryMiB": int64(8192), "diskMiB": int64(102400), "diskType": "SSD",
			"network": map[string]any{"mode": "vlan", "name": "vlan-100", "vlan": int32(100)},
			"image":   "Ubuntu 22.04", "sshKeys": []any{"ssh-ed25519 AAAAC3Nz user"}, "userData": "#cloud-config",
			"securityGroups": []any{"default", "web"}}},
		"volume":    {"a volume keeps its type and operations", map[string]any{"sizeMiB": int64(512000), "type": "SSD", "iops": int32(3000)}},
		"network":   {"a network keeps its gateway", map[string]any{"subnet": "10.0.1.0/24", "vlan": int32(200), "gateway": "10.0.1.1"}},
		"operation": {"an operation on an existing resource has no specification", nil},
	}
	schema := avroSchema(t, eventing.SchemaMessage, eventing.SchemaMessageVersion)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := map[string]any{
				"messageId": "6a08081c-145e-5d31-9168-eb7bdb346600", "messageType": "CREATE_VIRTUAL_MACHINE",
				"correlationId": "corr-456", "timestamp": at, "virtualResourceId": "VM-0909A693",
				"resourceType": "virtual-machine", "specification": test.spec, "estimatedProvisionTime": int64(30000),
				"metadata": map[string]any{"requestId": "req-abc123", "userId": "user-789", "tenantId": "acme",
					"priority": "HIGH", "resourceId": "vm-12345", "labels": map[string]any{"team": "web"}},
				"processingHistory": []any{map[string]any{"service": eventing.ServiceProducer,
					"operation": "domain-validated", "status": "SUCCESS", "timestamp": at}},
				"domain": eventing.Domain,
			}
			data, err := schema.Encode(want)
			if err != nil {
				t.Fatalf("encode: %v", err)
			}
			var got any
			if _, err := schema.Decode(data, &got); err != nil {
				t.Fatalf("decode: %v", err)
			}
			if !reflect.DeepEqual(got, any(want)) {
				t.Errorf("%s: got %v, want %v", test.reason, got, want)
			}
		})
	}
}
