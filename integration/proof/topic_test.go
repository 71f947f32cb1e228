//go:build integration

package proof

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/IBM/sarama"
	"github.com/cloudevents/sdk-go/protocol/kafka_sarama/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
)

// published is an event that is in a topic.
type published struct {
	*event.Event
	content [32]byte
}

// read returns all events of a topic.
func read(ctx context.Context, brokers []string, topic string) (events []published, err error) {
	config := sarama.NewConfig()
	config.ClientID, config.Version = "kbnt-proof", sarama.V2_8_0_0
	config.Consumer.MaxWaitTime = 100 * time.Millisecond
	client, err := sarama.NewClient(brokers, config)
	if err != nil {
		return nil, fmt.Errorf("connect to Kafka at %v: %w", brokers, err)
	}
	defer client.Close()
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	partitions, err := client.Partitions(topic)
	if err != nil {
		return nil, err
	}
	for _, p := range partitions {
		some, err := readPartition(ctx, client, consumer, topic, p)
		if err != nil {
			return nil, fmt.Errorf("read %s/%d: %w", topic, p, err)
		}
		events = append(events, some...)
	}
	return events, nil
}

func readPartition(ctx context.Context, client sarama.Client, consumer sarama.Consumer, topic string, p int32) (events []published, err error) {
	end, err := client.GetOffset(topic, p, sarama.OffsetNewest)
	if err != nil || end == 0 {
		return nil, err
	}
	reader, err := consumer.ConsumePartition(topic, p, sarama.OffsetOldest)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	for {
		select {
		case m := <-reader.Messages():
			e, err := binding.ToEvent(ctx, kafka_sarama.NewMessageFromConsumerMessage(m))
			if err != nil {
				return nil, fmt.Errorf("offset %d: %w", m.Offset, err)
			}
			events = append(events, published{e, sha256.Sum256(e.Data())})
			if m.Offset == end-1 {
				return events, nil
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
