package local

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

const (
	maxRecord       = 1 << 20           // bytes, the producer's max.request.size
	deliveryTimeout = 120 * time.Second // the producer's delivery.timeout.ms
)

// errClosedProducer is returned after close; sarama itself would panic.
var errClosedProducer = errors.New("the producer is closed")

// producer writes records for all sinks, as the receiver's does: acks=all, not
// idempotent, no linger, up to five requests in flight. So duplicates and
// reordering inside a sink are possible when a broker fails.
type producer struct {
	async   sarama.AsyncProducer
	pumps   sync.WaitGroup
	timeout time.Duration // of one record, retries included

	mu     sync.RWMutex // held for reading while a record is handed over
	closed bool
	gone   chan struct{} // closed when no answer is waited for any more
}

func openProducer(brokers []string) (*producer, error) {
	config := clientConfig()
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Timeout = 2 * time.Second
	config.Producer.MaxMessageBytes = maxRecord
	config.Producer.Partitioner = sarama.NewMurmur2Partitioner // where Java's would put it
	config.Producer.Return.Successes = true
	config.Producer.Return.Errors = true
	// About deliveryTimeout in all: 100 ms doubling up to 1 s.
	config.Producer.Retry.Max = int(deliveryTimeout / time.Second)
	config.Producer.Retry.BackoffFunc = func(retries, _ int) time.Duration {
		return min(time.Second, 100*time.Millisecond<<min(retries, 4))
	}
	async, err := sarama.NewAsyncProducer(brokers, config)
	if err != nil {
		return nil, fmt.Errorf("connect producer to Kafka at %s: %w", brokers, err)
	}
	p := &producer{async: async, timeout: deliveryTimeout, gone: make(chan struct{})}
	p.pumps.Go(func() {
		for record := range async.Successes() {
			record.Metadata.(chan error) <- nil
		}
	})
	p.pumps.Go(func() {
		for failure := range async.Errors() {
			failure.Msg.Metadata.(chan error) <- failure.Err
		}
	})
	return p, nil
}

// send returns once Kafka has acknowledged the record. With Kafka away it tries
// for two minutes, as the receiver does. After an error, ctx's among them, the
// record may be in Kafka or not.
func (p *producer) send(ctx context.Context, record *sarama.ProducerMessage) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		// sarama retries what a broker refuses, but not finding a broker.
		err := p.try(ctx, record)
		if err == nil || ctx.Err() != nil || final(err) || !sleep(ctx, p.gone, wait) {
			return err
		}
	}
}

// final says that another attempt cannot help.
func final(err error) bool {
	var (
		encoding sarama.PacketEncodingError
		config   sarama.ConfigurationError // says also that a record is too large
	)
	if errors.As(err, &config) || errors.As(err, &encoding) {
		return true
	}
	for _, never := range []error{sarama.ErrMessageSizeTooLarge, sarama.ErrInvalidMessage, sarama.ErrShuttingDown, errClosedProducer} {
		if errors.Is(err, never) {
			return true
		}
	}
	return false
}

func (p *producer) try(ctx context.Context, record *sarama.ProducerMessage) error {
	result := make(chan error, 1) // the pump never waits
	record.Metadata = result
	if err := p.hand(ctx, record); err != nil {
		return fmt.Errorf("write to topic %s: %w", record.Topic, err)
	}
	select {
	case err := <-result:
		if err != nil {
			return fmt.Errorf("write to topic %s: %w", record.Topic, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("write to topic %s: %w", record.Topic, ctx.Err())
	case <-p.gone:
		return fmt.Errorf("write to topic %s: %w", record.Topic, errClosedProducer)
	}
}

func (p *producer) hand(ctx context.Context, record *sarama.ProducerMessage) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return errClosedProducer
	}
	select {
	case p.async.Input() <- record:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close flushes what was handed over, for two seconds: with Kafka away the rest
// would take as long as deliveryTimeout, and then it is not waited for. It may
// be called once.
func (p *producer) close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	defer close(p.gone)
	p.async.AsyncClose()
	flushed := make(chan struct{})
	go func() {
		p.pumps.Wait()
		close(flushed)
	}()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-flushed:
		return nil
	case <-timer.C:
		return errors.New("close producer: records that were not answered with 202 are still on their way to Kafka")
	}
}
