//go:build integration

package integration

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/integration/kafka"
)

// A subscriber with a client of its own reads the platform's events, out of the
// embedded Kafka and out of a real one. One broker of Apache Kafka serves all
// tests that need it, one after the other: they share its topics.
func TestPlatform(t *testing.T) {
	program := build(t)
	t.Run("embedded", func(t *testing.T) {
		p := start(t, program, "")
		t.Run("lists", func(t *testing.T) { kcatLists(t, p.broker) })
		t.Run("follows", func(t *testing.T) { kcatFollows(t, p, "embedded") })
		p.stop(t)
	})
	t.Run("apache", func(t *testing.T) {
		broker := startKafka(t)
		brokers := strings.Join(broker.Addresses(), ",")
		t.Run("demo", func(t *testing.T) { // topics are new, and are not any more
			for range 2 {
				demo(t, program, brokers)
			}
		})
		t.Run("kcat", func(t *testing.T) {
			p := start(t, program, brokers)
			t.Run("lists", func(t *testing.T) { kcatLists(t, p.broker) })
			t.Run("follows", func(t *testing.T) { kcatFollows(t, p, fmt.Sprintf("apache-%d", time.Now().UnixNano())) })
			p.stop(t)
		})
		t.Run("local", func(t *testing.T) { testLocal(t, brokers) })
		t.Run("outages", func(t *testing.T) { outages(t, program, broker) })
	})
}

// startKafka returns the Kafka of KAFKA_BROKERS, or one of its own.
func startKafka(t *testing.T) *kafka.Broker {
	t.Helper()
	var addresses []string
	if set := os.Getenv("KAFKA_BROKERS"); set != "" {
		addresses = strings.Split(set, ",")
	}
	broker, err := kafka.Start(within(t, 3*time.Minute), addresses)
	if errors.Is(err, kafka.ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := broker.Close(); err != nil {
			t.Error(err)
		}
	})
	return broker
}

// demo runs the acceptance demo, which judges itself.
func demo(t *testing.T, program, brokers string) {
	t.Helper()
	c := exec.CommandContext(within(t, 2*time.Minute), program, "demo")
	c.Env = append(os.Environ(), "KAFKA_BROKERS="+brokers)
	out, err := c.CombinedOutput()
	if want := "All of it is as it should be."; err != nil || !strings.Contains(string(out), want) {
		t.Fatalf("kbnt demo: %v, want %q\n%s", err, want, out)
	}
}
