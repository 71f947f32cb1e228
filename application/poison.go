package application

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"kbnt.dev/virtualization/domain"
)

// Poison buries events that will never be good, for whichever function meets
// them. It is the application's own dead letter path: the one of a KafkaSource
// is a second net, for what no function ever saw.
type Poison struct {
	Store     Store
	Graveyard Graveyard
	Codec     Codec
	Relay     *Relay
	Meter     Meter
	Log       *slog.Logger
	Clock     Clock
	Function  string        // "provision" or "notify"
	Grace     time.Duration // how old an event of an unknown request must be to be given up on
}

// bury stores the event as a dead letter, sends it to its topic, and returns
// nil: the delivery is over. A retriable cause is no poison and comes back.
func (p *Poison) bury(ctx context.Context, e Event, cause error) error {
	if domain.KindOf(cause).Retriable() { // a schema registry that is away, say
		return cause
	}
	reason := domain.CodeOf(cause)
	letter := DeadLetter{ID: domain.DeadLetterID(e.ID, p.Function), Function: p.Function, Reason: reason, Detail: cause.Error(), Event: e, State: LetterOpen, At: p.Clock()}
	dead := p.Codec.Buried(e, reason)
	dead.ID, dead.WireID = letter.ID, e.ID
	if err := p.Graveyard.Bury(ctx, letter, &dead); err != nil {
		return fmt.Errorf("bury an event (%s): %w", reason, err)
	}
	p.Log.WarnContext(ctx, "event buried", "eventId", e.ID, "reason", reason, "error", cause)
	p.Meter.Add(MessagesFailed, 1, reason)
	_ = p.Relay.sendStored(ctx, letter.ID) // what is not sent now, the sweep sends
	return nil
}

// unknown handles an event of a request that the store does not know. Its
// commit came before its event, so this is another store's event or a lost
// store; it is given up on when it is old enough that no replica is behind.
func (p *Poison) unknown(ctx context.Context, e Event, cause error) error {
	if p.Clock().Sub(e.Time) < p.Grace {
		return &domain.Error{Op: p.Function, Kind: domain.Unavailable, Code: CodeTryAgain, Detail: "the store does not know this request yet", Err: cause}
	}
	return p.bury(ctx, e, &domain.Error{Op: p.Function, Kind: domain.Invalid, Code: "unknown-request", Detail: "the store knows no such request", Err: cause})
}

// Undelivered keeps an event that a source gave up on, for an operator to see.
// It never ends a request by itself: within its deadline the sweep sends the
// event again, and past it the deadline ends it. When its request has ended well,
// the letter is moot.
func (p *Poison) Undelivered(ctx context.Context, e Event, a Arrival) error {
	letter := DeadLetter{
		ID: domain.DeadLetterID(e.ID, "source"), Function: "source", Reason: domain.ReasonUndelivered, State: LetterOpen,
		Detail: "the last answer was " + a.GaveUp, Event: e, At: p.Clock(),
	}
	p.Log.WarnContext(ctx, "a source gave up on an event", "eventId", e.ID, "type", e.Type, "answer", a.GaveUp)
	n, err := p.Codec.Open(ctx, e)
	if err == nil {
		err = p.Store.Change(ctx, Scope{MessageID: n.MessageID}, func(w *Work) error {
			if w.Request.Unfinished() {
				w.Bury(letter)
			}
			return nil
		})
	}
	if err == nil || domain.KindOf(err).Retriable() {
		return err
	}
	return p.Graveyard.Bury(ctx, letter, nil) // it is in its topic already
}
