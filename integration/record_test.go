//go:build integration

package integration

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/eventing"
)

// record is one record as kcat -J prints it.
type record struct {
	Partition int32    `json:"partition"`
	Headers   []string `json:"headers"` // name, value, name, value
	Key       string   `json:"key"`
	Payload   string   `json:"payload"`
}

func (r record) header(name string) string {
	for i := 0; i+1 < len(r.Headers); i += 2 {
		if r.Headers[i] == name {
			return r.Headers[i+1]
		}
	}
	return ""
}

// records are all of a topic, from its beginning to its end.
func records(t *testing.T, broker, topic string) (all []record) {
	t.Helper()
	for line := range strings.Lines(kcat(t, broker, "-C", "-q", "-J", "-t", topic, "-o", "beginning", "-e")) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("kcat printed %q: %v", line, err)
		}
		all = append(all, r)
	}
	return all
}

// kcatFollows sends a request through a platform and reads with kcat what a
// subscriber gets: one CloudEvent in binary mode, under the key of its user.
func kcatFollows(t *testing.T, p *platform, requestID string) {
	ctx := within(t, time.Minute)
	tracking, err := p.post(ctx, requestID)
	if err != nil {
		t.Fatal(err)
	}
	ended, err := p.follow(ctx, tracking)
	if err != nil || ended.Status != "COMPLETED" {
		t.Fatalf("%s is %s, %v; want COMPLETED\n%s", requestID, ended.Status, err, p.Said())
	}
	var found []record
	for _, r := range records(t, p.broker, eventing.TopicEvents) {
		if r.header("ce_"+eventing.ExtRequestID) == requestID {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d events of %s, want one", len(found), requestID)
	}
	r := found[0]
	if r.Key != user {
		t.Errorf("the key is %q, want %q", r.Key, user)
	}
	sum := sha256.Sum256([]byte(r.Payload))
	for name, want := range map[string]string{
		"ce_specversion": "1.0", "ce_type": eventing.TypeCompleted, "ce_source": eventing.SourceNotify,
		"ce_subject": ended.Resource.VirtualResourceID, "ce_" + eventing.ExtPartitionKey: user,
		"ce_" + eventing.ExtChecksum: "sha256-" + hex.EncodeToString(sum[:]), "content-type": eventing.ContentTypeJSON,
	} {
		if got := r.header(name); got != want {
			t.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
	if r.header("ce_id") == "" || r.header("ce_time") == "" {
		t.Errorf("headers %q, want ce_id and ce_time", r.Headers)
	}
	var data struct {
		EventType string `json:"eventType"`
		Payload   struct {
			UserID string `json:"userId"`
		} `json:"payload"`
	}
	if err := json.Unmarshal([]byte(r.Payload), &data); err != nil || data.EventType != eventing.EventCompleted || data.Payload.UserID != user {
		t.Errorf("data %s, %v; want the %s of %s in JSON", r.Payload, err, eventing.EventCompleted, user)
	}
}

// kcatLists checks that Kafka has the topics that the manifests ask for.
func kcatLists(t *testing.T, broker string) {
	var metadata struct {
		Topics []struct {
			Topic      string            `json:"topic"`
			Partitions []json.RawMessage `json:"partitions"`
		} `json:"topics"`
	}
	if err := json.Unmarshal([]byte(kcat(t, broker, "-L", "-J")), &metadata); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, topic := range metadata.Topics {
		got[topic.Topic] = len(topic.Partitions)
	}
	for _, topic := range []string{eventing.TopicRequests, eventing.TopicResults, eventing.TopicEvents, eventing.TopicDeadLetters} {
		if got[topic] != 3 {
			t.Errorf("topic %s has %d partitions, want 3", topic, got[topic])
		}
	}
}
