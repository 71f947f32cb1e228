package local

import (
	"math"
	"time"
)

// delivery is how often, how long and where to in the end.
type delivery struct {
	retries     int           // after the first attempt
	linear      bool          // else exponential
	delay       time.Duration // the unit of the backoff
	timeout     time.Duration // of one attempt
	deadLetters destination
}

const (
	defaultTimeout = 600 * time.Second      // of the data plane, when none is given
	defaultDelay   = 200 * time.Millisecond // when a delivery block gives none
)

// What holds where a manifest has no delivery block at all: a KafkaSource's
// own default, and the one that config-br-defaults ships for Brokers. Any
// block, however short, replaces all of it.
var (
	sourceDelivery = delivery{retries: 10, delay: 300 * time.Millisecond, timeout: defaultTimeout}
	brokerDelivery = delivery{retries: 10, delay: 200 * time.Millisecond, timeout: defaultTimeout}
)

// backoff is the wait before retry n, counted from 1. It has no cap and no
// jitter: delay*n, or delay*2^n (so the first exponential wait is two delays).
func (d delivery) backoff(n int) time.Duration {
	factor := math.Exp2(float64(n))
	if d.linear {
		factor = float64(n)
	}
	wait := factor * float64(d.delay)
	if wait > float64(maxDuration) {
		return maxDuration
	}
	return time.Duration(wait)
}

// delivery reads a delivery block. An omitted retry is no retry: a Report says
// so, because a block with only a dead letter sink looks harmless.
func (p *parser) delivery(o object, spec *deliverySpec) delivery {
	const field = "spec.delivery"
	d := delivery{delay: defaultDelay, timeout: defaultTimeout}
	switch {
	case spec.Retry == nil:
		p.report(o, field+".retry", "is missing: the block replaces the defaults, so there is one attempt and no retry")
	case *spec.Retry < 0:
		p.problem(o, field+".retry", "%d is negative", *spec.Retry)
	default:
		d.retries = int(*spec.Retry)
	}
	switch spec.BackoffPolicy {
	case "", "exponential":
	case "linear":
		d.linear = true
	default:
		p.problem(o, field+".backoffPolicy", "%q: want linear or exponential", spec.BackoffPolicy)
	}
	p.duration(o, field+".backoffDelay", spec.BackoffDelay, &d.delay)
	p.duration(o, field+".timeout", spec.Timeout, &d.timeout)
	if d.timeout == 0 {
		d.timeout = defaultTimeout
	}
	if spec.RetryAfterMax != "" || spec.Format != "" {
		p.report(o, field, "retryAfterMax and format are not implemented by the Kafka data plane, and not here")
	}
	if spec.DeadLetterSink != nil {
		d.deadLetters = p.destination(o, field+".deadLetterSink", spec.DeadLetterSink)
	}
	return d
}

func (p *parser) duration(o object, field, text string, into *time.Duration) {
	if text == "" {
		return
	}
	value, err := parseDuration(text)
	if err != nil {
		p.problem(o, field, "%v", err)
		return
	}
	*into = value
}
