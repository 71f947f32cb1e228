package local

import (
	"context"
	"errors"
	"fmt"

	"github.com/IBM/sarama"
	"github.com/cloudevents/sdk-go/v2/event"
)

// StartSources starts what calls the functions: KafkaSources, Triggers and
// PingSources. services maps the name of a Knative Service to its base URL, as
// in kbnt-provision -> http://127.0.0.1:8081; it must have those of
// [Manifests.Services]. A Trigger whose subscriber it lacks is not played, and
// reported.
//
// It returns when every group has its member, or with ctx's error; the sources
// go on trying then. It may be called once.
func (e *Eventing) StartSources(ctx context.Context, services map[string]string) error {
	consumers, err := e.launch(addresses{ingress: e.base, services: services})
	if err != nil {
		return fmt.Errorf("start sources: %w", err)
	}
	for _, c := range consumers {
		select {
		case <-c.joined:
		case <-ctx.Done():
			return fmt.Errorf("start sources: group %s has not joined: %w", c.group, ctx.Err())
		case <-e.quitCtx.Done():
			return fmt.Errorf("start sources: %w", errStopped)
		}
	}
	return nil
}

func (e *Eventing) launch(at addresses) ([]*consumer, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errStopped
	}
	if e.started {
		return nil, errors.New("they were started already")
	}
	consumers, pingers, err := e.plan(at)
	if err != nil {
		return nil, err
	}
	e.started, e.consumers = true, consumers
	for _, c := range consumers {
		e.sources.Go(func() { c.run(e.quitCtx) })
	}
	for _, p := range pingers {
		e.sources.Go(func() { p.run(e.quitCtx) })
	}
	return consumers, nil
}

// plan resolves every address before anything starts, so that all that are
// missing are told at once.
func (e *Eventing) plan(at addresses) ([]*consumer, []*pinger, error) {
	var (
		consumers []*consumer
		pingers   []*pinger
		errs      []error
	)
	for _, s := range e.options.Manifests.sources {
		c, err := e.source(s, at)
		consumers, errs = append(consumers, c), append(errs, err)
	}
	for _, t := range e.options.Manifests.triggers {
		if _, known := at.services[t.subscriber.name]; t.subscriber.kind == toService && !known {
			r := newReport(t.object, t.subscriber.field, "the Service %s is not on this machine: the Trigger is not played", t.subscriber.name)
			e.reports = append(e.reports, r)
			e.options.Log.Info("a Trigger is not played", "report", r.String())
			continue
		}
		c, err := e.trigger(t, at)
		consumers, errs = append(consumers, c), append(errs, err)
	}
	for _, s := range e.options.Manifests.pings {
		p := &pinger{ping: s, schedule: s.schedule, jitter: maxJitter, log: e.options.Log.With("object", s.String())}
		if e.options.SweepEvery > 0 {
			p.schedule, p.jitter = every(e.options.SweepEvery), 0
		}
		p.sender = sender{client: e.client, namespace: s.namespace, delivery: pingDelivery, retry: pingRetried, quit: e.quitCtx.Done(), log: p.log}
		var err error
		p.url, err = at.of(s.sink)
		pingers, errs = append(pingers, p), append(errs, err)
	}
	return consumers, pingers, errors.Join(errs...)
}

func (e *Eventing) source(s source, at addresses) (*consumer, error) {
	d, err := e.dispatcher(s.object, s.sink, s.delivery, at)
	if err != nil {
		return nil, err
	}
	d.extensions = s.extensions
	d.wants = allOf(nil)
	d.reply = discardReply
	d.read = func(record *sarama.ConsumerMessage) (*event.Event, error) {
		if got, err := decodeRecord(record); err == nil {
			return got, nil
		}
		return wrap(record, s)
	}
	c := e.consumer(d, s.group, s.topics, s.latest, s.ordered)
	c.isolation = sarama.ReadCommitted
	return c, nil
}

func (e *Eventing) trigger(t trigger, at addresses) (*consumer, error) {
	b, _ := e.options.Manifests.broker(t.namespace, t.broker) // Parse has seen it
	policy := b.delivery
	if t.delivery != nil {
		policy = *t.delivery // it replaces, it does not merge
	}
	d, err := e.dispatcher(t.object, t.subscriber, policy, at)
	if err != nil {
		return nil, err
	}
	d.wants = t.filter
	d.read = func(record *sarama.ConsumerMessage) (*event.Event, error) {
		got, err := decodeRecord(record)
		if err != nil {
			return nil, nil // a Broker's topic is for events: others are discarded
		}
		return got, nil
	}
	d.reply = func(ctx context.Context, got *answer) error {
		reply, err := got.event()
		if err != nil || reply == nil {
			return err
		}
		record, err := encode(reply, b.topic, false)
		if err != nil {
			return err
		}
		return e.producer.send(ctx, record)
	}
	c := e.consumer(d, "knative-trigger-"+t.namespace+"-"+t.name, []string{b.topic}, true, t.ordered)
	c.isolation = sarama.ReadUncommitted
	return c, nil
}

func (e *Eventing) dispatcher(o object, to destination, policy delivery, at addresses) (*dispatcher, error) {
	url, err := at.of(to)
	deadLetters, err2 := at.of(policy.deadLetters)
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	log := e.options.Log.With("object", o.String())
	return &dispatcher{
		sender:      sender{client: e.client, namespace: o.namespace, delivery: policy, retry: retried, quit: e.quitCtx.Done(), log: log},
		url:         url,
		deadLetters: deadLetters,
		log:         log,
	}, nil
}

func (e *Eventing) consumer(d *dispatcher, group string, topics []string, latest, ordered bool) *consumer {
	return &consumer{
		brokers: e.brokers, group: group, topics: topics, latest: latest, ordered: ordered,
		commits: e.options.commitEvery, dispatcher: d, log: d.log, callCtx: e.callCtx,
		slots: make(chan struct{}, maxInFlight), joined: make(chan struct{}),
	}
}
