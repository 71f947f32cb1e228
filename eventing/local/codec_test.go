package local

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/cloudevents/sdk-go/v2/event"
)

func fullEvent() event.Event {
	e := event.New()
	e.SetID("id-1")
	e.SetType("dev.kbnt.virtualization.requested")
	e.SetSource("/kbnt/virtualization/intake")
	e.SetSubject("VM-0A1B2C3D")
	e.SetTime(time.Date(2026, time.March, 1, 10, 0, 0, 123_000_000, time.UTC))
	e.SetDataSchema("https://kbnt.dev/schemas/VirtualizationMessage/2.1.0")
	e.SetDataContentType("application/avro")
	e.SetExtension("partitionkey", "message-1")
	e.SetExtension("kafkaoffset", "the sender's own")
	e.DataEncoded = []byte{0xc3, 0x01, 0x00, 0xff}
	return e
}

// headers of a record; a name twice is an error of the test.
func headers(t *testing.T, record *sarama.ProducerMessage) map[string]string {
	t.Helper()
	m := make(map[string]string)
	for _, h := range record.Headers {
		if _, twice := m[string(h.Key)]; twice {
			t.Errorf("header %s is written twice", h.Key)
		}
		m[string(h.Key)] = string(h.Value)
	}
	return m
}

func TestEncodeBinary(t *testing.T) {
	t.Parallel()
	e := fullEvent()
	record, err := encode(&e, "topic", false)
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	want := map[string]string{
		"ce_specversion": "1.0", "ce_id": "id-1", "ce_type": e.Type(), "ce_source": e.Source(), "ce_subject": e.Subject(),
		"ce_time": "2026-03-01T10:00:00.123Z", "ce_dataschema": e.DataSchema(), "content-type": "application/avro",
		"ce_partitionkey": "message-1", "ce_kafkaoffset": "the sender's own",
	}
	if got := headers(t, record); !maps.Equal(got, want) {
		t.Errorf("headers %v, want %v", got, want)
	}
	if got := bytesOf(t, record.Key); string(got) != "message-1" {
		t.Errorf("key %q, want the partitionkey message-1", got)
	}
	if got := bytesOf(t, record.Value); !slices.Equal(got, e.DataEncoded) {
		t.Errorf("value %x, want the data bytes untouched: %x", got, e.DataEncoded)
	}
}

func TestEncodeStructured(t *testing.T) {
	t.Parallel()
	e := fullEvent()
	record, err := encode(&e, "topic", true)
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	if got, want := headers(t, record), map[string]string{"content-type": "application/cloudevents+json"}; !maps.Equal(got, want) {
		t.Errorf("headers %v, want %v", got, want)
	}
	if got := string(bytesOf(t, record.Value)); !strings.Contains(got, `"data_base64":"wwEA/w=="`) {
		t.Errorf("value %s, want Avro as data_base64", got)
	}
	if got := bytesOf(t, record.Key); string(got) != "message-1" {
		t.Errorf("key %q, want the partitionkey in this mode too", got)
	}
}

func TestEncodeKeyAndTombstone(t *testing.T) {
	t.Parallel()
	e := newEvent("1", "")
	e.DataEncoded = nil
	record, err := encode(&e, "topic", false)
	if err != nil || record.Key != nil || record.Value != nil {
		t.Errorf("without partitionkey and data: key %v, value %v, error %v, want nulls", record.Key, record.Value, err)
	}
	e.SetExtension("partitionkey", 42)
	if _, err := encode(&e, "topic", false); !errors.Is(err, errKeyType) {
		t.Errorf("a number as partitionkey: error %v, want errKeyType", err)
	}
}

func TestDecodeIsInverse(t *testing.T) {
	t.Parallel()
	for _, structured := range []bool{false, true} {
		e := fullEvent()
		record, err := encode(&e, "topic", structured)
		if err != nil {
			t.Fatalf("encode: %v", err)
		}
		got, err := decodeRecord(consumed(t, record))
		if err != nil {
			t.Fatalf("decode, structured %t: %v", structured, err)
		}
		e.DataBase64 = structured // how it came, not what it is
		if got.String() != e.String() {
			t.Errorf("structured %t: decoded\n%s\nwant\n%s", structured, got, e)
		}
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, time.March, 1, 10, 0, 0, 0, time.UTC)
	header := func(pairs ...string) (headers []*sarama.RecordHeader) {
		for i := 0; i < len(pairs); i += 2 {
			headers = append(headers, &sarama.RecordHeader{Key: []byte(pairs[i]), Value: []byte(pairs[i+1])})
		}
		return headers
	}
	tests := map[string]struct {
		reason      string
		record      sarama.ConsumerMessage
		keyType     string
		extensions  map[string]any
		contentType string
	}{
		"plain": {
			reason:      "headers become extensions, the content type the data's",
			record:      sarama.ConsumerMessage{Key: []byte("k"), Value: []byte("v"), Headers: header("X-Trace_Id", "7", "Content-Type", "Text/Plain")},
			extensions:  map[string]any{"key": "k", "partitionkey": "k", "kafkaheaderxtraceid": "7"},
			contentType: "text/plain",
		},
		"broken structured": {
			reason:      "an unreadable CloudEvent is wrapped with its content type",
			record:      sarama.ConsumerMessage{Value: []byte("{"), Headers: header("content-type", "application/cloudevents+json")},
			extensions:  map[string]any{},
			contentType: "application/cloudevents+json",
		},
		"batch": {
			reason:      "a batch is no event",
			record:      sarama.ConsumerMessage{Value: []byte("[]"), Headers: header("content-type", "application/cloudevents-batch+json")},
			extensions:  map[string]any{},
			contentType: "application/cloudevents-batch+json",
		},
		"no id": {
			reason:     "binary headers without a required attribute are no event",
			record:     sarama.ConsumerMessage{Value: []byte("v"), Headers: header("ce_specversion", "1.0", "ce_type", "t", "ce_source", "/s")},
			extensions: map[string]any{"kafkaheaderceid": nil, "kafkaheadercespecversion": "1.0", "kafkaheadercetype": "t", "kafkaheadercesource": "/s"},
		},
		"int key": {
			reason:     "four bytes are a number with key-type int",
			record:     sarama.ConsumerMessage{Key: []byte{0xff, 0xff, 0xff, 0xfe}},
			keyType:    "int",
			extensions: map[string]any{"key": "-2", "partitionkey": "-2"},
		},
		"int key of another length": {
			reason:     "another length falls back to a string",
			record:     sarama.ConsumerMessage{Key: []byte("abc")},
			keyType:    "int",
			extensions: map[string]any{"key": "abc", "partitionkey": "abc"},
		},
		"float key": {
			reason:     "eight bytes are a double with key-type float",
			record:     sarama.ConsumerMessage{Key: []byte{0x3f, 0xf8, 0, 0, 0, 0, 0, 0}},
			keyType:    "float",
			extensions: map[string]any{"key": "1.5", "partitionkey": "1.5"},
		},
	}
	for name, test := range tests {
		test.record.Topic, test.record.Partition, test.record.Offset, test.record.Timestamp = "t", 2, 9, at
		if e, err := decodeRecord(&test.record); err == nil {
			t.Errorf("%s: decoded %s, want an error (%s)", name, e, test.reason)
		}
		e, err := wrap(&test.record, source{object: object{namespace: "ns", name: "src"}, keyType: test.keyType})
		if err != nil {
			t.Errorf("%s: wrap: %v (%s)", name, err, test.reason)
			continue
		}
		if e.ID() != "partition:2/offset:9" || e.Type() != "dev.knative.kafka.event" || !e.Time().Equal(at) ||
			e.Source() != "/apis/v1/namespaces/ns/kafkasources/src#t" || e.Subject() != "partition:2#9" {
			t.Errorf("%s: wrapped as %s", name, e)
		}
		for extension, want := range test.extensions {
			if got := e.Extensions()[extension]; got != want {
				t.Errorf("%s: extension %s is %v, want %v (%s)", name, extension, got, want, test.reason)
			}
		}
		if e.DataContentType() != test.contentType || string(e.Data()) != string(test.record.Value) {
			t.Errorf("%s: content type %q and data %q, want %q and %q (%s)", name, e.DataContentType(), e.Data(), test.contentType, test.record.Value, test.reason)
		}
	}
}

// murmur2 as org.apache.kafka.common.utils.Utils has it, in Java's terms: int
// is 32 bits and wraps around.
func murmur2(data []byte) int32 {
	const m, r = 0x5bd1e995, 24
	h := uint32(0x9747b28c) ^ uint32(len(data))
	for ; len(data) >= 4; data = data[4:] {
		k := uint32(data[0]) | uint32(data[1])<<8 | uint32(data[2])<<16 | uint32(data[3])<<24
		k *= m
		k ^= k >> r
		k *= m
		h = h*m ^ k
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(data[0])) * m
	}
	h ^= h >> 13
	h *= m
	h ^= h >> 15
	return int32(h)
}

func TestPartitionIsJavas(t *testing.T) {
	t.Parallel()
	// The vectors of Kafka's own UtilsTest hold the reference above.
	for key, want := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string": -1486304829, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
	} {
		if got := murmur2([]byte(key)); got != want {
			t.Fatalf("murmur2(%q) = %d, want %d", key, got, want)
		}
	}
	partitioner := sarama.NewMurmur2Partitioner("topic")
	for _, partitions := range []int32{1, 3, 12} {
		for i := range 200 {
			e := newEvent("1", strings.Repeat("ä-", i%5)+string(rune('a'+i%26))+strings.Repeat("0", i/26))
			record, err := encode(&e, "topic", false)
			if err != nil {
				t.Fatal(err)
			}
			key := bytesOf(t, record.Key)
			got, err := partitioner.Partition(record, partitions)
			if want := (murmur2(key) & 0x7fffffff) % partitions; err != nil || got != want {
				t.Errorf("key %q of %d partitions: partition %d, %v, want %d", key, partitions, got, err, want)
			}
		}
	}
}

func bytesOf(t *testing.T, value sarama.Encoder) []byte {
	t.Helper()
	if value == nil {
		return nil
	}
	data, err := value.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// consumed is the record as a consumer gets it.
func consumed(t *testing.T, record *sarama.ProducerMessage) *sarama.ConsumerMessage {
	t.Helper()
	got := &sarama.ConsumerMessage{Topic: record.Topic, Key: bytesOf(t, record.Key), Value: bytesOf(t, record.Value)}
	for _, h := range record.Headers {
		got.Headers = append(got.Headers, &h)
	}
	return got
}
