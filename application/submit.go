package application

import (
	"cmp"
	"context"
	"time"

	"kbnt.dev/virtualization/domain"
)

// Submit admits requests: transaction I1, and at once the sending of its event.
type Submit struct {
	Store       Store
	Permissions Permissions
	Policies    Policies
	Codec       Codec
	Relay       *Relay
	Estimates   *Estimates
	Offer       domain.Offer
	Meter       Meter
	Clock       Clock
	SendFor     time.Duration // how long the client waits for the sink, at most
	Unsent      time.Duration // how long an event may wait before any function sends it
}

// Answer is what the client hears of an admitted request.
type Answer struct {
	Request      domain.Request
	Resource     domain.Resource
	Repeated     bool // the id was admitted before; nothing new happened
	ResponseTime time.Duration
}

// Submit admits a draft and answers when it is committed: from then on the
// request will end, whatever crashes. The same draft again is the same answer.
//
// Errors: Invalid, Exhausted, Conflict or NotFound with every broken rule;
// Forbidden alone; Invalid with the code "request-id-reused" when the id was
// used for something else; Unavailable when the store did not answer, and then
// the client posts again with its id.
func (s *Submit) Submit(ctx context.Context, c domain.Caller, d domain.Draft, received time.Time) (Answer, error) {
	a := admission{Submit: s, caller: c, draft: d, received: received, estimate: s.Estimates.Of(ctx, d.Type)}
	if err := s.Store.Admit(ctx, a.scope(), a.decide); err != nil {
		return Answer{}, s.refused(err)
	}
	if a.answer.Repeated {
		a.answer.ResponseTime = a.answer.Request.ResponseTime
		return a.answer, nil
	}
	noted := s.publish(ctx, a, received)
	took := s.Clock().Sub(received)
	s.Meter.Observe(RequestDuration, took.Seconds())
	s.Meter.Observe(RequestDurationMs, float64(took)/float64(time.Millisecond))
	a.answer.ResponseTime = cmp.Or(noted, took) // what a repetition will say as well
	return a.answer, nil
}

// Try judges a draft as Submit does, and stores and sends nothing.
func (s *Submit) Try(ctx context.Context, c domain.Caller, d domain.Draft) (Answer, error) {
	a := admission{Submit: s, caller: c, draft: d, received: s.Clock(), estimate: s.Estimates.Of(ctx, d.Type), dry: true}
	if err := s.Store.Admit(ctx, a.scope(), a.decide); err != nil {
		return Answer{}, s.refused(err)
	}
	return a.answer, nil
}

// publish sends the event at once, and returns the response time that was noted,
// 0 if none was. Failing is no error: the event is stored, and the sweep sends it.
func (s *Submit) publish(ctx context.Context, a admission, received time.Time) time.Duration {
	within, cancel := context.WithTimeout(ctx, s.SendFor)
	defer cancel()
	noted, err := s.Relay.send(within, a.sent, received)
	if err != nil {
		noted, _ = s.Relay.Later(ctx, a.answer.Request.MessageID, received) // step 7 only; the sweep writes it otherwise
		return noted
	}
	s.Relay.Tidy(within, s.Unsent) // the sink answers: others may wait for it
	return noted
}

func (s *Submit) refused(err error) error {
	reason := "exception"
	if !domain.KindOf(err).Retriable() {
		reason = "domain-validation-failed"
	}
	s.Meter.Add(MessagesFailed, 1, reason)
	return err
}
