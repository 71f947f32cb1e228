package application

import (
	"context"
	"fmt"
	"time"

	"kbnt.dev/virtualization/domain"
)

// Notify tells the world how a request ended: transactions N1 to N3. It only
// publishes what is decided, and takes it from the store, never from the event
// that woke it.
type Notify struct {
	Store Store
	Codec Codec
	Relay *Relay
	Meter Meter
	Clock Clock

	Poison *Poison
}

// Handle takes one delivery to its end. It returns nil when the terminal event
// is in its topic, or was before, or when the event was buried as poison. Errors
// ask for redelivery.
func (n *Notify) Handle(ctx context.Context, e Event, arrival Arrival) (err error) {
	defer measure(n.Meter, n.Clock, &err)()
	notice, err := n.Codec.Open(ctx, e)
	if err != nil {
		return n.Poison.bury(ctx, e, err)
	}
	err = n.Wake(ctx, notice.MessageID, &arrival)
	if err != nil && domain.KindOf(err) == domain.NotFound {
		return n.Poison.unknown(ctx, e, err)
	}
	return err
}

// Wake announces a request if it is decided and not announced yet.
func (n *Notify) Wake(ctx context.Context, messageID string, arrival *Arrival) error {
	var terminal *Outgoing
	var t tally
	err := n.Store.Change(ctx, Scope{MessageID: messageID, Arrival: arrival}, func(w *Work) error {
		terminal, t = nil, tally{}
		q := w.Request
		if w.Deliveries == 1 {
			t.add(MessagesReceived, 1, string(q.Type))
		}
		if q.Decided == domain.Undecided {
			return &domain.Error{Op: "notify", Kind: domain.Unavailable, Code: CodeTryAgain, Detail: "the request is not decided yet"}
		}
		if !q.Unfinished() {
			return nil
		}
		e, err := n.Codec.Terminal(w.Record(), q.DecidedAt)
		if err != nil {
			return fmt.Errorf("encode the terminal event of request %s: %w", q.ID, err)
		}
		w.Send(e) // one that is stored already keeps its bytes
		o := w.Outbox[e.ID]
		terminal = &o
		return nil
	})
	if err != nil {
		return err
	}
	t.count(n.Meter)
	if terminal == nil {
		return nil
	}
	return n.Relay.Send(ctx, *terminal, time.Time{})
}
