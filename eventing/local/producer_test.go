package local

import (
	"context"
	"errors"
	"testing"
	"time"
)

// With Kafka away a record is tried until its time is over, as the receiver
// does: its client waits that long for the 503.
func TestProducerWithoutKafka(t *testing.T) {
	t.Parallel()
	kafka, err := openEmbedded("127.0.0.1:0", "", testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := createTopics(kafka.cluster.ListenAddrs(), []topic{{topic: "t", partitions: 1, replicas: 1}}, testLog(t)); err != nil {
		t.Fatal(err)
	}
	p, err := openProducer(kafka.cluster.ListenAddrs())
	if err != nil {
		t.Fatal(err)
	}
	if err := kafka.close(); err != nil {
		t.Fatal(err)
	}
	p.timeout = 2 * time.Second
	e := newEvent("1", "k")
	record, err := encode(&e, "t", false)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := p.send(context.Background(), record); err == nil || time.Since(began) < p.timeout {
		t.Errorf("send: %v after %s, want an error after %s", err, time.Since(began), p.timeout)
	}
	if err := p.close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := p.send(context.Background(), record); !errors.Is(err, errClosedProducer) {
		t.Errorf("send after close: %v, want errClosedProducer", err)
	}
}
