package local

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/IBM/sarama"
	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/google/uuid"
)

// patience bounds every wait of these tests; none of them takes it.
const patience = 30 * time.Second

// world is a platform whose topics and groups are named for one test, so that
// tests can share a real Kafka. The services are receivers of this test.
type world struct {
	*Eventing
	t        *testing.T
	client   *http.Client
	name     string // stands for "virtualization" in the manifests
	services map[string]string
	shared   bool // its topics are in a real Kafka, to be deleted
	provision, notify, subscriber,
	sweeper *receiver
}

// newWorld prepares the services; open makes the platform.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, client: testClient(t), name: "test-" + uuid.NewString()[:8], services: make(map[string]string)}
	w.provision, w.notify = newReceiver(t), newReceiver(t)
	w.subscriber, w.sweeper = newReceiver(t), newReceiver(t)
	for name, r := range map[string]*receiver{"provision": w.provision, "notify": w.notify, "subscriber": w.subscriber, "sweeper": w.sweeper} {
		w.services[name] = r.URL
	}
	return w
}

// open starts Kafka and the sinks from the manifests of testdata/platform,
// changed by edit: old and new text in pairs.
func (w *world) open(change func(*Options), edit ...string) *world {
	w.t.Helper()
	manifests, err := Parse(edited(w.t, os.DirFS("testdata/platform"), append([]string{"virtualization-", w.name + "-", "name: completed", "name: completed-" + w.name}, edit...)...))
	if err != nil {
		w.t.Fatalf("Parse(testdata/platform): %v", err)
	}
	options := Options{Manifests: manifests, KafkaAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0", Log: testLog(w.t)}
	if brokers := os.Getenv("KAFKA_BROKERS"); brokers != "" {
		options.Brokers = strings.Split(brokers, ",")
	}
	options.commitEvery = time.Hour // only Close commits
	if change != nil {
		change(&options)
	}
	if w.Eventing, err = Open(w.t.Context(), options); err != nil {
		w.t.Fatalf("Open: %v", err)
	}
	opened := w.Eventing
	if os.Getenv("KAFKA_BROKERS") != "" && len(options.Brokers) > 0 && !w.shared {
		w.shared = true
		w.t.Cleanup(func() { w.deleteTopics(opened) })
	}
	w.t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			w.t.Errorf("Close: %v", err)
		}
	})
	return w
}

// deleteTopics leaves a real Kafka as it was.
func (w *world) deleteTopics(of *Eventing) {
	admin, err := sarama.NewClusterAdmin(of.Brokers(), clientConfig())
	if err != nil {
		w.t.Error(err)
		return
	}
	defer admin.Close()
	for _, topic := range of.options.Manifests.topics {
		if err := admin.DeleteTopic(topic.topic); err != nil {
			w.t.Error(err)
		}
	}
}

func (w *world) start() *world {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if err := w.StartSources(ctx, w.services); err != nil {
		w.t.Fatalf("StartSources: %v", err)
	}
	return w
}

// post sends an event in binary mode and returns the status.
func (w *world) post(url string, e event.Event) int {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, url, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cehttp.WriteRequest(w.t.Context(), binding.ToMessage(&e), request); err != nil {
		w.t.Fatal(err)
	}
	response, err := w.client.Do(request)
	if err != nil {
		w.t.Fatalf("post event %s to %s: %v", e.ID(), url, err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

// records reads the first n records of a topic, over all partitions.
func (w *world) records(topic string, n int) []*sarama.ConsumerMessage {
	w.t.Helper()
	consumer, err := sarama.NewConsumer(w.Brokers(), clientConfig())
	if err != nil {
		w.t.Fatal(err)
	}
	defer consumer.Close()
	partitions, err := consumer.Partitions(topic)
	if err != nil {
		w.t.Fatal(err)
	}
	all := make(chan *sarama.ConsumerMessage)
	done := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(done)
	for _, partition := range partitions {
		claim, err := consumer.ConsumePartition(topic, partition, sarama.OffsetOldest)
		if err != nil {
			w.t.Fatal(err)
		}
		wg.Go(func() {
			defer claim.Close()
			for {
				select {
				case record := <-claim.Messages():
					select {
					case all <- record:
					case <-done:
						return
					}
				case <-done:
					return
				}
			}
		})
	}
	var got []*sarama.ConsumerMessage
	for len(got) < n {
		select {
		case record := <-all:
			got = append(got, record)
		case <-time.After(patience):
			w.t.Fatalf("topic %s: got %d records, want %d", topic, len(got), n)
		}
	}
	return got
}

// committed is the sum of the committed offsets of a group.
func (w *world) committed(group, topic string) int64 {
	w.t.Helper()
	admin, err := sarama.NewClusterAdmin(w.Brokers(), clientConfig())
	if err != nil {
		w.t.Fatal(err)
	}
	defer admin.Close()
	offsets, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0, 1, 2}})
	if err != nil {
		w.t.Fatal(err)
	}
	var sum int64
	for _, block := range offsets.Blocks[topic] {
		sum += max(0, block.Offset)
	}
	return sum
}

// receiver is a function: it notes what it gets and answers as told.
type receiver struct {
	*httptest.Server
	t      *testing.T
	got    chan delivered
	mu     sync.Mutex
	answer http.HandlerFunc
}

type delivered struct {
	*event.Event
	header http.Header
	path   string
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{t: t, got: make(chan delivered, 10_000)}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

// answers sets what later requests are answered; nil is 200.
func (r *receiver) answers(answer http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		r.t.Errorf("read a delivery: %v", err)
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	e, err := cehttp.NewEventFromHTTPRequest(request)
	if err != nil {
		r.t.Errorf("a delivery is no event: %v", err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.got <- delivered{Event: e, header: request.Header, path: request.URL.Path}
	r.mu.Lock()
	answer := r.answer
	r.mu.Unlock()
	if answer != nil {
		answer(w, request)
	}
}

// next waits for a delivery.
func (r *receiver) next() delivered {
	r.t.Helper()
	select {
	case e := <-r.got:
		return e
	case <-time.After(patience):
		r.t.Fatal("no delivery came")
		return delivered{}
	}
}

// none says that nothing was delivered that was not looked at.
func (r *receiver) none() {
	r.t.Helper()
	select {
	case e := <-r.got:
		r.t.Errorf("unexpected delivery: %s", e.Event)
	default:
	}
}

func testClient(t *testing.T) *http.Client {
	client := newClient()
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func newEvent(id, key string) event.Event {
	e := event.New()
	e.SetID(id)
	e.SetType("dev.kbnt.virtualization.completed")
	e.SetSource("/test")
	if key != "" {
		e.SetExtension("partitionkey", key)
	}
	if err := e.SetData("application/json", []byte(`{"id":"`+id+`"}`)); err != nil {
		panic(err) // a constant cannot fail
	}
	return e
}

// edited is a copy of a folder of manifests with text replaced.
func edited(t *testing.T, folder fs.FS, pairs ...string) fs.FS {
	t.Helper()
	files := make(fstest.MapFS)
	err := fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(folder, name)
		files[name] = &fstest.MapFile{Data: []byte(strings.NewReplacer(pairs...).Replace(string(data)))}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// testLog shows what the platform says if the test fails or is verbose.
func testLog(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}
