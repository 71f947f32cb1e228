package local

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

const (
	// maxInFlight of an unordered source: the dispatcher polls up to 50 more
	// records while fewer than 50 are in flight.
	maxInFlight = 99

	commitEvery = 5 * time.Second // auto.commit.interval.ms of the data plane
	// grace is how long Close waits for calls in progress, so that their
	// results are committed.
	grace = 2 * time.Second
)

// consumer is the one group member of a KafkaSource or Trigger. It claims
// partitions, has their records dispatched, and commits contiguous prefixes.
type consumer struct {
	brokers    []string
	group      string
	topics     []string
	latest     bool          // start at the end of the log where no offset is committed
	ordered    bool          // one record in flight per partition
	commits    time.Duration // between two commits
	isolation  sarama.IsolationLevel
	dispatcher *dispatcher
	log        *slog.Logger

	slots   chan struct{}  // one per record in flight, unless ordered
	calls   sync.WaitGroup // dispatches in progress
	callCtx context.Context
	joined  chan struct{} // closed with the first session
	once    sync.Once
}

func (c *consumer) config() *sarama.Config {
	config := clientConfig()
	config.Consumer.Return.Errors = true
	config.Consumer.IsolationLevel = c.isolation
	config.Consumer.MaxWaitTime = 100 * time.Millisecond // a new claim waits for the running fetch
	config.Consumer.Group.Session.Timeout = 10 * time.Second
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategySticky()}
	config.Consumer.Offsets.AutoCommit.Interval = c.commits
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	if c.latest {
		config.Consumer.Offsets.Initial = sarama.OffsetNewest
	}
	return config
}

// run consumes until ctx ends: sessions end with every rebalance, and the whole
// group member is made anew when Kafka was away.
func (c *consumer) run(ctx context.Context) {
	const first, longest = 200 * time.Millisecond, 5 * time.Second
	wait := first
	for ctx.Err() == nil {
		began := time.Now()
		err := c.member(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > longest {
			wait = first
		}
		c.log.Warn("the source lost Kafka and tries again", "group", c.group, "wait", wait, "error", err)
		if !sleep(ctx, nil, wait) {
			return
		}
		wait = min(2*wait, longest)
	}
}

// member is one life as a group member. It returns nil when ctx ends.
func (c *consumer) member(ctx context.Context) (err error) {
	client, err := sarama.NewClient(c.brokers, c.config())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	group, err := sarama.NewConsumerGroupFromClient(c.group, client)
	if err != nil {
		return err
	}
	var drain sync.WaitGroup
	drain.Go(func() {
		for err := range group.Errors() {
			c.log.Warn("the source has trouble with Kafka", "group", c.group, "error", err)
		}
	})
	defer func() {
		err = errors.Join(err, group.Close())
		drain.Wait()
	}()
	for ctx.Err() == nil {
		if err := group.Consume(ctx, c.topics, &session{consumer: c, client: client, closing: ctx}); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// session handles the claims between two rebalances.
type session struct {
	*consumer
	client  sarama.Client
	closing context.Context // ended: the source is being closed, this is no rebalance
}

func (s *session) Setup(group sarama.ConsumerGroupSession) error {
	if s.latest {
		if err := startAtEnd(s.client, s.group, group); err != nil {
			return err
		}
	}
	s.once.Do(func() { close(s.joined) })
	return nil
}

func (s *session) Cleanup(sarama.ConsumerGroupSession) error { return nil }

// ConsumeClaim dispatches the records of one partition until the session ends.
// What is in flight then goes on, but after a rebalance its result is not
// committed: another member has the partition, and delivers the record again.
func (s *session) ConsumeClaim(group sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	var (
		progress offsets
		inFlight sync.WaitGroup
		ended    = group.Context().Done()
	)
	defer s.linger(&inFlight)
	for {
		var record *sarama.ConsumerMessage
		var more bool
		select {
		case record, more = <-claim.Messages():
		case <-ended:
		}
		if !more || !s.enter(ended) {
			return nil
		}
		progress.received(record.Offset)
		settled := make(chan struct{})
		inFlight.Add(1)
		s.calls.Go(func() {
			defer s.leave()
			err := s.dispatcher.dispatch(s.callCtx, record)
			if err == nil {
				if next, moved := progress.settled(record.Offset); moved {
					group.MarkOffset(record.Topic, record.Partition, next, "")
				}
				close(settled)
			}
			inFlight.Done()
			if errors.Is(err, errUnsettled) {
				<-s.callCtx.Done() // its place stays taken, as in a cluster
			}
		})
		if s.ordered {
			select {
			case <-settled:
			case <-ended:
				return nil
			}
		}
	}
}

// enter takes a place among the records in flight, unless the session ends.
func (s *session) enter(ended <-chan struct{}) bool {
	if s.ordered {
		return true
	}
	select {
	case s.slots <- struct{}{}:
		return true
	case <-ended:
		return false
	}
}

func (s *session) leave() {
	if !s.ordered {
		<-s.slots
	}
}

// linger holds a claim of a source that is being closed until its calls are
// answered, so that their offsets are in the last commit.
func (s *session) linger(inFlight *sync.WaitGroup) {
	if s.closing.Err() == nil {
		return
	}
	answered := make(chan struct{})
	go func() { // ends with the calls, at the latest when callCtx does
		inFlight.Wait()
		close(answered)
	}()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-answered:
	case <-timer.C:
	}
}
