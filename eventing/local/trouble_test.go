package local

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"
)

// An event whose dead letter sink fails is lost, and its offset committed.
func TestFailedDeadLetterSinkLosesEvent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := newWorld(t)
	w.provision.answers(status(http.StatusServiceUnavailable))
	graveyard := newReceiver(t)
	graveyard.answers(status(http.StatusServiceUnavailable))
	w.open(func(o *Options) { o.DataDir = dir }, "ref: {apiVersion: eventing.knative.dev/v1alpha1, kind: KafkaSink, name: dead-letters}", "uri: "+graveyard.URL).start()
	w.post(w.SinkURL("requests"), newEvent("lost", "user-1"))
	for range 3 { // retry: 2
		w.provision.next()
		graveyard.next()
	}
	if err := w.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	w.provision.none()
	graveyard.none()
	w.open(func(o *Options) { o.DataDir = dir })
	if got := w.committed(w.name+"-provision", w.name+"-requests"); got != 1 {
		t.Errorf("committed %d records, want the lost one", got)
	}
}

// A Kne- header that is no extension's name stops an ordered partition for
// good, and no other: the record comes again with every start.
func TestUnsettledRecordBlocksItsPartition(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	inDir := func(o *Options) { o.DataDir = dir }
	ordered := []string{"ordering: unordered", "ordering: ordered"}
	w := newWorld(t)
	w.provision.answers(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Ce-Id") == "bad" {
			rw.Header().Set("Kne-Error-Reason", "x")
			rw.WriteHeader(http.StatusBadRequest)
		}
	})
	w.open(inDir, ordered...).start()
	bad, elsewhere := "key-0", "key-1"
	for i := 2; murmur2([]byte(bad))&0x7fffffff%3 == murmur2([]byte(elsewhere))&0x7fffffff%3; i++ {
		elsewhere = fmt.Sprint("key-", i)
	}
	w.post(w.SinkURL("requests"), newEvent("bad", bad))
	if got := w.provision.next(); got.ID() != "bad" {
		t.Fatalf("delivered %s, want bad", got.Event)
	}
	w.post(w.SinkURL("requests"), newEvent("behind", bad))
	w.post(w.SinkURL("requests"), newEvent("beside", elsewhere))
	if got := w.provision.next(); got.ID() != "beside" {
		t.Errorf("delivered %s, want only the event of another partition", got.Event)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w.provision.none()
	w.provision.answers(nil)
	w.open(inDir, ordered...).start()
	for _, want := range []string{"bad", "behind"} {
		if got := w.provision.next(); got.ID() != want {
			t.Errorf("delivered %s, want %s", got.Event, want)
		}
	}
}

// A platform that ends keeps what it did: nothing is delivered twice.
func TestCloseThenOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	inDir := func(o *Options) { o.DataDir = dir }
	w := newWorld(t).open(inDir).start()
	w.post(w.SinkURL("requests"), newEvent("first", "user-1"))
	w.provision.next()
	if err := w.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	w.open(inDir).start()
	w.post(w.SinkURL("requests"), newEvent("second", "user-1"))
	if got := w.provision.next(); got.ID() != "second" {
		t.Errorf("delivered %s, want second", got.Event)
	}
}

// Variables that tell TestVictim what to do.
const (
	victimDir      = "LOCAL_TEST_VICTIM_DIR"
	victimName     = "LOCAL_TEST_VICTIM_NAME"
	victimFunction = "LOCAL_TEST_VICTIM_FUNCTION"
)

// A platform that is killed loses no event, and delivers again what was done
// since the last commit.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := newWorld(t)
	victim := exec.Command(os.Args[0], "-test.run=^TestVictim$")
	victim.Env = append(os.Environ(), victimDir+"="+dir, victimName+"="+w.name, victimFunction+"="+w.provision.URL)
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	killed := sync.OnceFunc(func() {
		if err := victim.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = victim.Wait() // it says that it was killed
	})
	defer killed()
	if got := w.provision.next(); got.ID() != "first" {
		t.Fatalf("delivered %s, want first", got.Event)
	}
	killed()

	w.open(func(o *Options) { o.DataDir = dir }).start()
	if got := w.provision.next(); got.ID() != "first" {
		t.Errorf("delivered %s, want first again", got.Event)
	}
}

// TestVictim is the process that TestKilled kills: it sends one event and
// waits for its end.
func TestVictim(t *testing.T) {
	dir := os.Getenv(victimDir)
	if dir == "" {
		t.Skip("is run by TestKilled")
	}
	w := newWorld(t)
	w.name, w.services["provision"] = os.Getenv(victimName), os.Getenv(victimFunction)
	w.open(func(o *Options) { o.DataDir = dir }).start()
	w.post(w.SinkURL("requests"), newEvent("first", "user-1"))
	<-t.Context().Done() // its parent, or the time limit of tests
}

// What is not answered when the platform ends is delivered again by the next.
func TestUnansweredIsDeliveredAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := newWorld(t)
	w.provision.answers(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	w.open(func(o *Options) { o.DataDir = dir }).start()
	w.post(w.SinkURL("requests"), newEvent("slow", "user-1"))
	w.provision.next()
	if err := w.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	w.provision.answers(nil)
	w.open(func(o *Options) { o.DataDir = dir }).start()
	if got := w.provision.next(); got.ID() != "slow" {
		t.Errorf("delivered %s, want slow again", got.Event)
	}
}

// Offsets are committed on Close, once their records are settled.
func TestCloseCommits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := newWorld(t).open(func(o *Options) { o.DataDir = dir }).start()
	for i := range 10 {
		w.post(w.SinkURL("requests"), newEvent(fmt.Sprint(i), fmt.Sprint(i)))
		w.provision.next()
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w.open(func(o *Options) { o.DataDir = dir })
	if got := w.committed(w.name+"-provision", w.name+"-requests"); got != 10 {
		t.Errorf("committed %d records, want 10", got)
	}
}

// Sources survive a Kafka that goes away and returns.
func TestKafkaReturns(t *testing.T) {
	t.Parallel()
	skipRealKafka(t)
	dir := t.TempDir()
	kafka, err := openEmbedded("127.0.0.1:0", dir, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	addr := kafka.cluster.ListenAddrs()[0]
	w := newWorld(t).open(func(o *Options) { o.Brokers = []string{addr} }).start()
	w.post(w.SinkURL("requests"), newEvent("before", "user-1"))
	w.provision.next()
	if err := kafka.close(); err != nil {
		t.Fatal(err)
	}
	answered := make(chan int, 1)
	go func() { answered <- w.post(w.SinkURL("requests"), newEvent("after", "user-1")) }()
	if kafka, err = openEmbedded(addr, dir, testLog(t)); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-answered:
		if got != http.StatusAccepted {
			t.Errorf("post: status %d, want 202 once Kafka is back", got)
		}
	case <-time.After(patience):
		t.Fatal("the sink does not answer")
	}
	for w.provision.next().ID() != "after" { // "before" may come again
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := kafka.close(); err != nil {
		t.Fatal(err)
	}
}

// skipRealKafka is for what needs a Kafka of its own.
func skipRealKafka(t *testing.T) {
	t.Helper()
	if os.Getenv("KAFKA_BROKERS") != "" {
		t.Skip("needs the embedded Kafka, and KAFKA_BROKERS is set")
	}
}

// Offsets are committed while the platform runs.
func TestPeriodicCommit(t *testing.T) {
	t.Parallel()
	skipRealKafka(t)
	w := newWorld(t).open(func(o *Options) { o.commitEvery = 10 * time.Millisecond }).start()
	w.post(w.SinkURL("requests"), newEvent("one", "user-1"))
	w.provision.next()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := w.embedded.cluster.WaitGroupInfo(ctx, w.name+"-provision", func(group *kfake.GroupInfo) bool {
		return group != nil && len(group.Commits) > 0
	})
	if err != nil {
		t.Errorf("wait for a commit: %v", err)
	}
}

// Closing comes to an end when Kafka is away.
func TestCloseWithoutKafka(t *testing.T) {
	t.Parallel()
	skipRealKafka(t)
	kafka, err := openEmbedded("127.0.0.1:0", "", testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t).open(func(o *Options) { o.Brokers = kafka.cluster.ListenAddrs() }).start()
	if err := kafka.close(); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error)
	go func() { closed <- w.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Errorf("Close: %v", err)
		}
	case <-time.After(patience):
		t.Error("Close does not return")
	}
}

// A rebalance delivers again what is in flight.
func TestRebalanceDeliversAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	release := make(chan struct{})
	w.provision.answers(func(http.ResponseWriter, *http.Request) { <-release })
	w.open(nil).start()
	partitions := make(map[int32]bool)
	for i := 0; len(partitions) < 3; i++ { // one event for each
		key := fmt.Sprint("key-", i)
		if p := murmur2([]byte(key)) & 0x7fffffff % 3; !partitions[p] {
			partitions[p] = true
			w.post(w.SinkURL("requests"), newEvent(fmt.Sprint(p), key))
		}
	}
	for range partitions {
		w.provision.next()
	}

	other := &bystander{joined: make(chan struct{})}
	config := w.consumers[0].config()
	group, err := sarama.NewConsumerGroup(w.Brokers(), w.name+"-provision", config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var member sync.WaitGroup
	member.Go(func() {
		for ctx.Err() == nil {
			if err := group.Consume(ctx, []string{w.name + "-requests"}, other); err != nil && ctx.Err() == nil {
				t.Errorf("second member: %v", err)
				return
			}
		}
	})
	w.provision.next() // a partition that stayed: its event comes again
	<-other.joined
	close(release)
	cancel()
	member.Wait()
	if err := group.Close(); err != nil {
		t.Error(err)
	}
}

// bystander is a member that takes partitions and delivers nothing.
type bystander struct {
	joined chan struct{}
	once   sync.Once
}

func (b *bystander) Setup(sarama.ConsumerGroupSession) error {
	b.once.Do(func() { close(b.joined) })
	return nil
}
func (*bystander) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (*bystander) ConsumeClaim(s sarama.ConsumerGroupSession, _ sarama.ConsumerGroupClaim) error {
	<-s.Context().Done()
	return nil
}
