//go:build integration

package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// testLocal runs the tests of eventing/local against a Kafka, each as a subtest
// of this one: what they require of the embedded Kafka holds for it too.
func testLocal(t *testing.T, brokers string) {
	c := exec.CommandContext(within(t, 4*time.Minute), "go", "test", "-count=1", "-json", "kbnt.dev/virtualization/eventing/local")
	c.Env = append(os.Environ(), "KAFKA_BROKERS="+brokers)
	var trouble strings.Builder
	c.Stderr = &trouble
	out, ended := c.Output()
	said, results, embedded := map[string]string{}, 0, []string(nil)
	for line := range strings.Lines(string(out)) {
		var e struct{ Action, Test, Output string } // go doc cmd/test2json
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("go test -json printed %q: %v", line, err)
		}
		said[e.Test] += e.Output
		if e.Test == "" || strings.Contains(e.Test, "/") || e.Action != "pass" && e.Action != "fail" && e.Action != "skip" {
			continue
		}
		results++
		if e.Action == "skip" { // it runs with the tests of its package
			embedded = append(embedded, e.Test)
			continue
		}
		t.Run(e.Test, func(t *testing.T) {
			if e.Action == "fail" {
				t.Errorf("with KAFKA_BROKERS=%s:\n%s", brokers, said[e.Test])
			}
		})
	}
	t.Logf("for the embedded Kafka alone: %q", embedded)
	if ended != nil || results == 0 {
		t.Errorf("%v: %d results, %v\n%s%s", c.Args, results, ended, said[""], trouble.String())
	}
}
