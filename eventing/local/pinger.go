package local

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/uuid"

	"kbnt.dev/virtualization/eventing"
)

// pingDelivery is that of the adapters of the core sources: five retries within
// about three seconds, and then the event is lost.
var pingDelivery = delivery{retries: 5, delay: 50 * time.Millisecond, timeout: defaultTimeout}

// maxJitter is added to every tick, so that sources of one schedule spread.
const maxJitter = 500 * time.Millisecond

// pingRetried is the retry set of the CloudEvents SDK, which the adapter uses.
func pingRetried(status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusRequestEntityTooLarge, http.StatusTooEarly, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// pinger sends the event of a PingSource whenever its schedule says. Unlike the
// real one it never has two ticks under way: a tick that falls into a slow
// delivery is left out.
type pinger struct {
	ping
	schedule schedule // the manifest's, or the laptop's
	jitter   time.Duration
	url      string
	sender   sender
	log      *slog.Logger
}

// run ticks until ctx ends.
func (p *pinger) run(ctx context.Context) {
	for {
		next := p.schedule.Next(time.Now())
		if next.IsZero() {
			p.log.Error("the schedule never comes", "schedule", p.text)
			return
		}
		wait := time.Until(next)
		if p.jitter > 0 {
			wait += rand.N(p.jitter)
		}
		if !sleep(ctx, nil, wait) {
			return
		}
		e, err := p.event()
		if err == nil {
			_, err = p.sender.send(ctx, p.url, e)
		}
		if err != nil && ctx.Err() == nil {
			p.log.Error("the tick is lost", "error", err)
		}
	}
}

func (p ping) event() (*event.Event, error) {
	e := event.New()
	e.SetID(uuid.NewString())
	e.SetType(eventing.TypeSweep)
	e.SetSource(fmt.Sprintf("/apis/v1/namespaces/%s/pingsources/%s", p.namespace, p.name))
	e.SetTime(time.Now())
	if len(p.data) > 0 {
		if err := e.SetData(p.mediaType, p.data); err != nil {
			return nil, fmt.Errorf("data of %s: %w", p, err)
		}
	}
	for name, value := range p.extensions {
		e.SetExtension(name, value)
	}
	return &e, nil
}
