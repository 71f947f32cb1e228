package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/cloudevents/sdk-go/protocol/kafka_sarama/v2"
	"github.com/cloudevents/sdk-go/v2/binding"

	"kbnt.dev/virtualization/eventing"
)

// completion is what the demo reads of a completion event.
type completion struct {
	id, eventType, requestID, subject string
	partition                         int32
	offset                            int64
	bytes                             int
}

// reader reads a topic, as any subscriber with a Kafka client would.
type reader struct {
	client   sarama.Client
	consumer sarama.Consumer
	messages chan *sarama.ConsumerMessage
	errors   chan error
	stop     chan struct{}
	done     sync.WaitGroup
}

func kafkaConfig() *sarama.Config {
	c := sarama.NewConfig()
	c.ClientID = "kbnt-demo"
	c.Version = sarama.V3_6_0_0
	c.Consumer.MaxWaitTime = 100 * time.Millisecond
	return c
}

// readTopic starts reading at sarama.OffsetOldest, or at sarama.OffsetNewest: with
// what is written after the return.
func readTopic(brokers []string, topic string, from int64) (*reader, error) {
	client, err := sarama.NewClient(brokers, kafkaConfig())
	if err != nil {
		return nil, fmt.Errorf("connect to Kafka at %v: %w", brokers, err)
	}
	r := &reader{client: client, messages: make(chan *sarama.ConsumerMessage), errors: make(chan error, 1), stop: make(chan struct{})}
	if r.consumer, err = sarama.NewConsumerFromClient(client); err != nil {
		_ = client.Close()
		return nil, err
	}
	partitions, err := client.Partitions(topic)
	if err != nil {
		r.close()
		return nil, fmt.Errorf("partitions of %s: %w", topic, err)
	}
	for _, p := range partitions {
		pc, err := r.consumer.ConsumePartition(topic, p, from)
		if err != nil {
			r.close()
			return nil, fmt.Errorf("read partition %d of %s: %w", p, topic, err)
		}
		r.done.Go(func() { r.forward(pc) })
	}
	return r, nil
}

func (r *reader) forward(pc sarama.PartitionConsumer) {
	defer pc.AsyncClose()
	for {
		select {
		case <-r.stop:
			return
		case m, ok := <-pc.Messages():
			if !ok {
				return
			}
			select {
			case r.messages <- m:
			case <-r.stop:
				return
			}
		}
	}
}

// next returns the next event, its checksum verified.
func (r *reader) next(ctx context.Context) (c completion, err error) {
	var m *sarama.ConsumerMessage
	select {
	case m = <-r.messages:
	case <-ctx.Done():
		return c, ctx.Err()
	}
	e, err := binding.ToEvent(ctx, kafka_sarama.NewMessageFromConsumerMessage(m))
	if err != nil {
		return c, fmt.Errorf("partition %d offset %d is no CloudEvent: %w", m.Partition, m.Offset, err)
	}
	sum := sha256.Sum256(e.Data())
	if want, got := e.Extensions()[eventing.ExtChecksum], "sha256-"+hex.EncodeToString(sum[:]); want != got {
		return c, fmt.Errorf("event %s has the checksum %v, its data %s", e.ID(), want, got)
	}
	var data struct {
		EventType string `json:"eventType"`
		Payload   struct {
			RequestID string `json:"requestId"`
		} `json:"payload"`
	}
	if err := json.Unmarshal(e.Data(), &data); err != nil {
		return c, fmt.Errorf("data of event %s: %w", e.ID(), err)
	}
	return completion{id: e.ID(), eventType: data.EventType, requestID: data.Payload.RequestID, subject: e.Subject(),
		partition: m.Partition, offset: m.Offset, bytes: len(e.Data())}, nil
}

func (r *reader) close() {
	close(r.stop)
	r.done.Wait()
	_ = r.consumer.Close()
	_ = r.client.Close()
}

// written is how many records were ever written to a topic, whatever is left of
// them.
func written(brokers []string, topic string) (n int64, err error) {
	client, err := sarama.NewClient(brokers, kafkaConfig())
	if err != nil {
		return 0, fmt.Errorf("connect to Kafka at %v: %w", brokers, err)
	}
	defer func() { _ = client.Close() }()
	partitions, err := client.Partitions(topic)
	if err != nil {
		return 0, fmt.Errorf("partitions of %s: %w", topic, err)
	}
	for _, p := range partitions {
		end, err := client.GetOffset(topic, p, sarama.OffsetNewest)
		if err != nil {
			return 0, fmt.Errorf("end of partition %d of %s: %w", p, topic, err)
		}
		n += end
	}
	return n, nil
}
