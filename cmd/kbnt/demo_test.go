package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// TestDemo_again: in a Kafka that outlives the demo, the topics have the records
// of earlier ones. Nobody takes them for those of today.
func TestDemo_again(t *testing.T) {
	t.Parallel()
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, time := range []string{"first", "second"} {
		c := exec.CommandContext(t.Context(), self)
		c.Args = []string{"kbnt", "demo"} // testscript.Main goes by the name
		c.Env = append(os.Environ(), "KAFKA_BROKERS="+strings.Join(kafka.ListenAddrs(), ","))
		out, err := c.CombinedOutput()
		if want := "4 requests -> 4 messages"; err != nil || !strings.Contains(string(out), want) {
			t.Fatalf("the %s demo: %v, want success and %q in\n%s", time, err, want, out)
		}
	}
}
