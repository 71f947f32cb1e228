package avro

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
)

func TestAttributes(t *testing.T) {
	t.Parallel()
	c := New(Options{Version: "v1.2.3"})
	create, stop := machineRecord(), stopRecord()
	createID, stopID := create.Request.MessageID, stop.Request.MessageID
	common := map[string]string{
		"correlationid": "corr-456", "requestid": "req-abc123", "tenantid": "acme", "operation": "CREATE_VIRTUAL_MACHINE", "priority": "HIGH",
		"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	}
	with := func(base map[string]string, pairs ...string) map[string]string {
		m := maps.Clone(base)
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	tests := map[string]struct {
		reason string
		encode func(application.Record, time.Time) (application.Event, error)
		record application.Record
		want   application.Event
	}{
		"requested": {
			"the key is the request that created the resource, the cause what the client named",
			c.Requested, create,
			application.Event{
				ID: domain.RequestedID(createID), Type: "dev.kbnt.virtualization.requested", Source: "/kbnt/virtualization/intake", Topic: "virtualization-requests",
				DataSchema: "https://kbnt.dev/schemas/VirtualizationMessage/2.1.0", ContentType: "application/avro",
				Extensions: with(common, "partitionkey", createID, "causationid", "order-7"),
			},
		},
		"requested by a later operation": {
			"all events about a resource share the key; without a cause the request is its own; what is empty is left out",
			c.Requested, stop,
			application.Event{
				ID: domain.RequestedID(stopID), Type: "dev.kbnt.virtualization.requested", Source: "/kbnt/virtualization/intake", Topic: "virtualization-requests",
				DataSchema: "https://kbnt.dev/schemas/VirtualizationMessage/2.1.0", ContentType: "application/avro",
				Extensions: map[string]string{
					"partitionkey": createID, "causationid": stopID, "correlationid": "corr-456", "requestid": "req-stop", "tenantid": "acme",
					"operation": "STOP_VIRTUAL_MACHINE", "priority": "HIGH",
				},
			},
		},
		"result, completed": {
			"a reached target is provisioned, caused by the requested event",
			c.Result, decided(create, domain.Completed, "", true),
			application.Event{
				ID: domain.ResultID(createID), Type: "dev.kbnt.virtualization.provisioned", Source: "/kbnt/virtualization/provision", Topic: "virtualization-results",
				DataSchema: "https://kbnt.dev/schemas/ProvisioningResult/2.1.0", ContentType: "application/avro",
				Extensions: with(common, "partitionkey", createID, "causationid", domain.RequestedID(createID)),
			},
		},
		"result, failed": {
			"the outcome is not part of the id",
			c.Result, decided(create, domain.Fault, domain.ReasonDeadline, false),
			application.Event{
				ID: domain.ResultID(createID), Type: "dev.kbnt.virtualization.rejected", Source: "/kbnt/virtualization/provision", Topic: "virtualization-results",
				DataSchema: "https://kbnt.dev/schemas/ProvisioningResult/2.1.0", ContentType: "application/avro",
				Extensions: with(common, "partitionkey", createID, "causationid", domain.RequestedID(createID)),
			},
		},
		"terminal, completed": {
			"public events are routed by user",
			c.Terminal, decided(create, domain.Completed, "", true),
			application.Event{
				ID: domain.TerminalID(createID), Type: "dev.kbnt.virtualization.completed", Source: "/kbnt/virtualization/notify", Topic: "virtualization-events",
				DataSchema: "https://kbnt.dev/schemas/VirtualizationEvent/3.0.0", ContentType: "application/json",
				Extensions: with(common, "partitionkey", "user-789", "causationid", domain.ResultID(createID)),
			},
		},
		"terminal, failed": {
			"each outcome has its type",
			c.Terminal, decided(create, domain.Fault, domain.ReasonDeadline, false),
			application.Event{
				ID: domain.TerminalID(createID), Type: "dev.kbnt.virtualization.failed", Source: "/kbnt/virtualization/notify", Topic: "virtualization-events",
				DataSchema: "https://kbnt.dev/schemas/VirtualizationEvent/3.0.0", ContentType: "application/json",
				Extensions: with(common, "partitionkey", "user-789", "causationid", domain.ResultID(createID)),
			},
		},
		"terminal, cancelled": {
			"each outcome has its type",
			c.Terminal, decided(create, domain.Cancelled, domain.ReasonCancelled, false),
			application.Event{
				ID: domain.TerminalID(createID), Type: "dev.kbnt.virtualization.cancelled", Source: "/kbnt/virtualization/notify", Topic: "virtualization-events",
				DataSchema: "https://kbnt.dev/schemas/VirtualizationEvent/3.0.0", ContentType: "application/json",
				Extensions: with(common, "partitionkey", "user-789", "causationid", domain.ResultID(createID)),
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := time.Date(2025, 8, 30, 12, 30, 0, 123456789, time.FixedZone("CEST", 7200))
			got, err := test.encode(test.record, at)
			if err != nil {
				t.Fatal(err)
			}
			test.want.Extensions["checksum"] = checksum(got.Data)
			want := test.want
			if got.ID != want.ID || got.Type != want.Type || got.Source != want.Source || got.Topic != want.Topic ||
				got.DataSchema != want.DataSchema || got.ContentType != want.ContentType || got.Subject != "VM-0909A693" {
				t.Errorf("%s: got %+v, want %+v", test.reason, got, want)
			}
			if !maps.Equal(got.Extensions, want.Extensions) {
				t.Errorf("%s: got extensions %v, want %v", test.reason, got.Extensions, want.Extensions)
			}
			if want := "2025-08-30T10:30:00.123456Z"; got.Time.Format(time.RFC3339Nano) != want {
				t.Errorf("time: got %s, want %s: stores keep microseconds", got.Time.Format(time.RFC3339Nano), want)
			}
			notice, err := c.Open(t.Context(), got)
			wantNotice := application.Notice{
				MessageID: test.record.Request.MessageID, Type: test.record.Request.Type,
				Schema: strings.TrimPrefix(want.DataSchema, eventing.SchemaBase),
			}
			if err != nil || notice != wantNotice {
				t.Errorf("opened: got %+v, %v, want %+v", notice, err, wantNotice)
			}
		})
	}
}

func TestUndecidedRequestsHaveNoOutcomeToTell(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	for name, encode := range map[string]func(application.Record, time.Time) (application.Event, error){"Result": c.Result, "Terminal": c.Terminal} {
		if e, err := encode(machineRecord(), accepted); err == nil || domain.KindOf(err) != domain.Internal {
			t.Errorf("%s of an undecided request: got %+v, %v, want Internal", name, e, err)
		}
	}
}

func TestAttributesAreValidStrings(t *testing.T) {
	t.Parallel()
	r := machineRecord()
	r.Request.Tenant, r.Request.CorrelationID = "a\x00b\u0085c\ufdd0d\U0001ffffe\xff", "größe 100%"
	e, err := New(Options{}).Requested(r, accepted)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := e.Extensions[eventing.ExtTenantID], "a�b�c�d�e�"; got != want {
		t.Errorf("tenantid: got %q, want %q", got, want)
	}
	if got, want := e.Extensions[eventing.ExtCorrelationID], "größe 100%"; got != want {
		t.Errorf("correlationid: got %q, want %q", got, want)
	}
}

func TestUnmeasuredBaselinesAreLeftOut(t *testing.T) {
	t.Parallel()
	r := decided(machineRecord(), domain.Completed, "", true)
	r.Resource.Facts.Baselines = map[string]float64{"cpu_ratio": math.NaN(), "disk_iops": math.Inf(1), "memory_bytes": 5}
	c := New(Options{})
	e, err := c.Terminal(r, accepted)
	if err != nil {
		t.Fatalf("one value that is no number must not keep an outcome from being told: %v", err)
	}
	if got, want := string(e.Data), `"metrics":{"baselines":{"memory_bytes":5}`; !strings.Contains(got, want) {
		t.Errorf("got %s, want it to contain %s", got, want)
	}
	if e, err = c.Result(r, accepted); err != nil {
		t.Fatal(err)
	}
	data, err := c.Decode(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	if got := data["baselines"].(map[string]any); len(got) != 1 || got["memory_bytes"] != 5.0 {
		t.Errorf("result: got %v, want only memory_bytes", got)
	}
	if len(r.Resource.Facts.Baselines) != 3 {
		t.Errorf("the record was changed: %v", r.Resource.Facts.Baselines)
	}
}

func TestPublicEventsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	e, err := New(Options{}).Terminal(decided(machineRecord(), domain.Completed, "", true), accepted)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"ssh-ed25519", "cloud-config", "sshKeys", "userData"} {
		if strings.Contains(string(e.Data), secret) {
			t.Errorf("the public event contains %q: %s", secret, e.Data)
		}
	}
}

func TestBuriedKeepsTheEvent(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	e, err := c.Requested(machineRecord(), accepted)
	if err != nil {
		t.Fatal(err)
	}
	got := c.Buried(e, eventing.ReasonUndecodable)
	if got.Topic != eventing.TopicDeadLetters || got.Extensions[eventing.ExtReason] != "undecodable" {
		t.Errorf("got topic %q and reason %q", got.Topic, got.Extensions[eventing.ExtReason])
	}
	if _, ok := e.Extensions[eventing.ExtReason]; ok || e.Topic != eventing.TopicRequests {
		t.Error("the event given was changed")
	}
	delete(got.Extensions, eventing.ExtReason)
	if got.ID != e.ID || !slices.Equal(got.Data, e.Data) || !maps.Equal(got.Extensions, e.Extensions) {
		t.Errorf("got %+v, want %+v but for the topic", got, e)
	}
	if got := c.Buried(application.Event{}, "undecodable"); got.Extensions[eventing.ExtReason] != "undecodable" {
		t.Errorf("an event without extensions: got %v", got.Extensions)
	}
}

// TestTerminalFollowsItsSchema holds every public sample against the property
// names and required properties of the published JSON schema.
func TestTerminalFollowsItsSchema(t *testing.T) {
	t.Parallel()
	text, err := eventing.Schemas.ReadFile("schemas/" + eventing.SchemaEvent + "-" + eventing.SchemaEventVersion + ".schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	for name, e := range samples(t) {
		if e.ContentType != eventing.ContentTypeJSON {
			continue
		}
		var data map[string]any
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		for _, fault := range faults(root, root, data, "") {
			t.Errorf("%s: %s", name, fault)
		}
	}
}

func faults(root, schema map[string]any, v any, at string) (all []string) {
	if ref, ok := schema["$ref"].(string); ok {
		schema = root["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
	}
	if branches, ok := schema["anyOf"].([]any); ok {
		for _, b := range branches {
			all = faults(root, b.(map[string]any), v, at)
			if len(all) == 0 {
				return nil
			}
		}
		return all
	}
	object, ok := v.(map[string]any)
	if !ok {
		if v == nil {
			return []string{at + " is null"}
		}
		return nil
	}
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, ok := object[name.(string)]; !ok {
			all = append(all, at+"/"+name.(string)+" is missing")
		}
	}
	if properties == nil {
		return all
	}
	for name, value := range object {
		if p, ok := properties[name].(map[string]any); ok {
			all = append(all, faults(root, p, value, at+"/"+name)...)
		} else {
			all = append(all, at+"/"+name+" is not in the schema")
		}
	}
	return all
}
