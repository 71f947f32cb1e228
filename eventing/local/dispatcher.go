package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/IBM/sarama"
	"github.com/cloudevents/sdk-go/v2/event"

	"kbnt.dev/virtualization/eventing"
)

// dispatcher brings one record to its end: delivered, dead-lettered, not
// wanted, or lost. It serves a KafkaSource or a Trigger.
type dispatcher struct {
	sender      sender
	url         string
	deadLetters string // URL; empty: none
	extensions  map[string]string
	log         *slog.Logger

	// read makes the event of a record; nil means that none is to be sent.
	read func(*sarama.ConsumerMessage) (*event.Event, error)
	// wants says whether the event is to be sent.
	wants filter
	// reply takes what a receiver answered with a 2xx. Its error makes the
	// delivery a failure.
	reply func(context.Context, *answer) error
}

// errUnsettled is the end of a record that the data plane never settles: its
// offset is not committed, and an ordered partition stays where it is.
var errUnsettled = errors.New("the record is never settled")

// dispatch returns nil when the record is done with, whatever became of it, and
// its offset may be committed. It returns errStopped when the platform ended
// first, and errUnsettled as described there: then it must not be committed.
func (d *dispatcher) dispatch(ctx context.Context, record *sarama.ConsumerMessage) error {
	log := d.log.With("topic", record.Topic, "partition", record.Partition, "offset", record.Offset)
	e, err := d.read(record)
	if err != nil {
		log.Error("the record is discarded: it cannot be read", "error", err)
		return nil
	}
	if e == nil || !d.wants(e) {
		return nil
	}
	e.SetExtension(eventing.ExtKafkaPartition, strconv.Itoa(int(record.Partition)))
	e.SetExtension(eventing.ExtKafkaOffset, strconv.FormatInt(record.Offset, 10))
	for name, value := range d.extensions {
		e.SetExtension(name, value)
	}

	err = d.deliver(ctx, d.url, e)
	if err == nil || errors.Is(err, errStopped) {
		return err
	}
	dead, invalid := deadLetter(e, d.url, asUndelivered(err))
	if invalid != nil {
		log.Error("the record is never settled, and in a cluster neither", "id", e.ID(), "error", err, "answer", invalid)
		return errUnsettled
	}
	if d.deadLetters == "" {
		log.Error("the event is lost: there is no dead letter sink", "id", e.ID(), "error", err)
		return nil
	}
	if failed := d.deliver(ctx, d.deadLetters, dead); errors.Is(failed, errStopped) {
		return failed
	} else if failed != nil {
		log.Error("the event is lost: the dead letter sink failed", "id", e.ID(), "error", err, "deadLetters", failed)
		return nil
	}
	log.Warn("the event is dead-lettered", "id", e.ID(), "error", err)
	return nil
}

// deliver sends to the receiver or to the dead letter sink, with the same
// policy and the same treatment of what they answer.
func (d *dispatcher) deliver(ctx context.Context, url string, e *event.Event) error {
	got, err := d.sender.send(ctx, url, e)
	if err != nil {
		return err
	}
	if err := d.reply(ctx, got); err != nil {
		return fmt.Errorf("reply of %s: %w", url, err)
	}
	return nil
}

// discardReply is what a KafkaSource does with an answer, event or not.
func discardReply(context.Context, *answer) error { return nil }
