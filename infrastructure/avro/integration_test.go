//go:build integration

package avro

import (
	"net/url"
	"os"
	"testing"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// TestRealRegistry holds the client, and what the strict fake takes for granted,
// against whatever registry SCHEMA_REGISTRY_URL names. It registers our schemas
// under the subjects that they have in production, so give it one of its own.
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
}
