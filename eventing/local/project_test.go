package local_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"kbnt.dev/virtualization/eventing"
	"kbnt.dev/virtualization/eventing/local"
)

// The project's own manifests can be played, and nothing that its functions
// need is skipped.
func TestProjectManifests(t *testing.T) {
	t.Parallel()
	manifests, err := local.Parse(eventing.Manifests)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	if got, want := manifests.Services(), []string{"kbnt-notify", "kbnt-provision"}; !slices.Equal(got, want) {
		t.Errorf("Services() = %v, want %v", got, want)
	}
	for _, r := range manifests.Reports() {
		if strings.Contains(r.Object, "dead-letters-to-provision") {
			continue // its dead letter sink would be the topic that it reads
		}
		if r.Field == "spec.delivery.deadLetterSink" || r.Field == "spec.delivery.retry" {
			t.Errorf("dangerous: %s", r)
		}
	}
	platform, err := local.Open(t.Context(), local.Options{Manifests: manifests, KafkaAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0"})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer func() {
		if err := platform.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	for _, topic := range []string{eventing.TopicRequests, eventing.TopicResults, eventing.TopicDeadLetters} {
		if platform.SinkURL(topic) == "" {
			t.Errorf("SinkURL(%q) is empty: the sinks are named for their topics", topic)
		}
	}
	if platform.BrokerURL(eventing.TopicEvents) == "" {
		t.Errorf("BrokerURL(%q) is empty: the Broker is named for its topic", eventing.TopicEvents)
	}
	function := httptest.NewServer(http.NotFoundHandler())
	defer function.Close()
	services := make(map[string]string)
	for _, name := range manifests.Services() {
		services[name] = function.URL
	}
	if err := platform.StartSources(t.Context(), services); err != nil {
		t.Errorf("StartSources: %v", err)
	}
}
