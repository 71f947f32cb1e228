//go:build integration

package avro

import (
	"errors"
	"net/url"
	"os"
	"strings"
	"testing"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// TestRealRegistry holds the client, and what the strict fake takes for granted,
// against whatever registry SCHEMA_REGISTRY_URL names, with its compatibility at
// BACKWARD, the default. It registers our schemas under the subjects that they
// have in production, so give it one of its own.
func TestRealRegistry(t *testing.T) {
	address := os.Getenv("SCHEMA_REGISTRY_URL")
	if address == "" {
		t.Skip("SCHEMA_REGISTRY_URL is not set; any of Confluent's, Karapace, Redpanda, Apicurio (…/apis/ccompat/v7) will do")
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	open := func() *Codec { return New(Options{Registry: RegistryOptions{URL: u}}) }
	first, second := open(), open()
	for _, c := range []*Codec{first, second} {
		if err := c.Prepare(t.Context()); err != nil {
			t.Fatalf("prepare: %v", err)
		}
	}
	for _, name := range []string{"VirtualizationMessage", "ProvisioningResult"} {
		a, _ := first.registry.ids.peek(name)
		b, _ := second.registry.ids.peek(name)
		if a == 0 || a != b {
			t.Errorf("%s: two processes got the ids %d and %d, want one id", name, a, b)
		}
	}
	r := decided(machineRecord(), domain.Completed, "", true)
	requested, err := first.Requested(r, accepted)
	if err != nil {
		t.Fatal(err)
	}
	result, err := first.Result(r, accepted)
	if err != nil {
		t.Fatal(err)
	}
	reader := open() // knows no id
	for want, e := range map[string]application.Event{"VirtualizationMessage/2.1.0": requested, "ProvisioningResult/2.1.0": result} {
		if n, err := reader.Open(t.Context(), e); err != nil || n.Schema != want || n.MessageID != r.Request.MessageID {
			t.Errorf("open: got %+v, %v, want %s", n, err, want)
		}
	}
	requested.Data = append([]byte{0, 0x7f, 0xff, 0xff, 0xff}, requested.Data[confluentHeader:]...)
	requested.Extensions["checksum"] = checksum(requested.Data)
	if _, err := reader.Open(t.Context(), requested); !isAway(err) {
		t.Errorf("an id that nobody gave: got %v, want away", err)
	}

	t.Run("as the fake does", func(t *testing.T) {
		const subject = "virtualization-integration-value"
		text := mustNewest(t, "VirtualizationMessage").String()
		shared, _ := first.registry.ids.peek("VirtualizationMessage")
		if id, err := first.registry.id(t.Context(), subject, text); err != nil || id != shared {
			t.Errorf("under another subject: got the id %d, %v, want %d", id, err, shared)
		}
		for name, test := range map[string]struct {
			schema string
			status int
		}{
			"a field without default":           {strings.Replace(text, `"fields": [`, `"fields": [{"name": "zone", "type": "string"},`, 1), 409},
			"null is no default by itself":      {strings.Replace(text, `"fields": [`, `"fields": [{"name": "zone", "type": ["null", "string"]},`, 1), 409},
			"a type that nobody has":            {`{"type": "record", "name": "R", "fields": [{"name": "f", "type": "nope"}]}`, 422},
			"an int where old data has strings": {strings.Replace(text, `{"name": "messageType", "type": "string"`, `{"name": "messageType", "type": "int"`, 1), 409},
		} {
			_, err := first.registry.id(t.Context(), subject, test.schema)
			if e, ok := errors.AsType[*refusal](err); !ok || e.status != test.status {
				t.Errorf("%s: got %v, want it refused with %d", name, err, test.status)
			}
		}
	})
}
