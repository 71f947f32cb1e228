package local

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/IBM/sarama"
	kafka "github.com/cloudevents/sdk-go/protocol/kafka_sarama/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"

	"kbnt.dev/virtualization/eventing"
)

// errKeyType is a partitionkey that is no string. The Java sink leaves a JSON
// number alone until its String serializer fails on it, and answers 503.
var errKeyType = errors.New("extension partitionkey is no string")

// encode makes the record of an event: the key is the extension partitionkey,
// data that is empty is a null value (a tombstone on a compacted topic).
func encode(e *event.Event, topic string, structured bool) (*sarama.ProducerMessage, error) {
	if key, present := e.Extensions()[eventing.ExtPartitionKey]; present {
		if _, ok := key.(string); !ok {
			return nil, fmt.Errorf("%w but a %T", errKeyType, key)
		}
	}
	// Without forcing, the mode of the output would follow the input's.
	ctx := binding.WithForceBinary(context.Background())
	if structured {
		ctx = binding.WithForceStructured(context.Background())
		// The SDK would write data that came in binary mode as a JSON string,
		// which does not hold every byte.
		copied := *e
		copied.DataBase64 = !isJSON(e.DataContentType())
		e = &copied
	}
	record := &sarama.ProducerMessage{Topic: topic}
	if err := kafka.WriteProducerMessage(ctx, binding.ToMessage(e), record); err != nil {
		return nil, fmt.Errorf("encode event for topic %s: %w", topic, err)
	}
	return record, nil
}

// isJSON reports whether data of a content type stands in a structured event as
// it is. No content type means JSON.
func isJSON(contentType string) bool {
	mediaType, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	mediaType = strings.TrimSpace(mediaType)
	return mediaType == "" || strings.HasSuffix(mediaType, "/json") || strings.HasSuffix(mediaType, "+json")
}

// decodeRecord reads the event of a record. It fails for a record that is no
// CloudEvent, in binary or structured mode, or lacks a required attribute.
//
// The SDK's NewMessageFromConsumerMessage would add the extensions kafkaoffset,
// kafkapartition and kafkatopic, which KafkaSource does not.
func decodeRecord(record *sarama.ConsumerMessage) (*event.Event, error) {
	headers := make(map[string][]byte, len(record.Headers))
	for _, h := range record.Headers {
		headers[strings.ToLower(string(h.Key))] = h.Value
	}
	message := kafka.NewMessage(record.Value, string(headers["content-type"]), headers)
	if encoding := message.ReadEncoding(); encoding != binding.EncodingBinary && encoding != binding.EncodingStructured {
		return nil, fmt.Errorf("decode record: %w", binding.ErrUnknownEncoding)
	}
	e, err := binding.ToEvent(context.Background(), message)
	if err != nil {
		return nil, fmt.Errorf("decode record: %w", err)
	}
	if err := e.Validate(); err != nil {
		return nil, fmt.Errorf("decode record: %w", err)
	}
	return e, nil
}

// wrap makes the event that a KafkaSource sends for a record that is none.
func wrap(record *sarama.ConsumerMessage, s source) (*event.Event, error) {
	e := event.New()
	e.SetID(fmt.Sprintf("partition:%d/offset:%d", record.Partition, record.Offset))
	e.SetType("dev.knative.kafka.event")
	e.SetSource(fmt.Sprintf("/apis/v1/namespaces/%s/kafkasources/%s#%s", s.namespace, s.name, record.Topic))
	e.SetSubject(fmt.Sprintf("partition:%d#%d", record.Partition, record.Offset))
	e.SetTime(record.Timestamp)
	if record.Key != nil {
		key := keyValue(record.Key, s.keyType)
		e.SetExtension("key", key)
		e.SetExtension(eventing.ExtPartitionKey, key)
	}
	for _, h := range record.Headers {
		if strings.EqualFold(string(h.Key), "content-type") {
			e.SetDataContentType(strings.ToLower(string(h.Value)))
			continue
		}
		e.SetExtension("kafkaheader"+alphanumeric(string(h.Key)), string(h.Value))
	}
	if len(record.Value) > 0 {
		e.DataEncoded = record.Value
	}
	if err := e.Validate(); err != nil {
		return nil, fmt.Errorf("wrap record %s: %w", e.ID(), err)
	}
	return &e, nil
}

// keyValue reads a record's key as its source's key-type label says. A key of
// the wrong length is read as a string.
func keyValue(key []byte, keyType string) any {
	switch {
	case keyType == "int" && len(key) == 4:
		return strconv.Itoa(int(int32(binary.BigEndian.Uint32(key))))
	case keyType == "float" && len(key) == 4:
		return strconv.FormatFloat(float64(math.Float32frombits(binary.BigEndian.Uint32(key))), 'f', -1, 32)
	case keyType == "float" && len(key) == 8:
		return strconv.FormatFloat(math.Float64frombits(binary.BigEndian.Uint64(key)), 'f', -1, 64)
	case keyType == "byte-array":
		return key
	}
	return string(key)
}

// alphanumeric keeps what an extension's name may have, in lower case.
func alphanumeric(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(s))
}
