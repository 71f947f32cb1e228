package application

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"time"

	"kbnt.dev/virtualization/domain"
)

// decide is transaction P5: the hypervisor was observed at the destination, so
// the outcome is written, once, with what it means for the resource, its claims
// and the history; and the result is sent.
func (p *Provision) decide(ctx context.Context, h *hold) error {
	var result Outgoing
	var t tally
	err := p.keep(ctx, h, Scope{}, func(w *Work) error {
		t = tally{}
		q, r := w.Request, w.Resource
		destination := q.Destination()
		q.Decide(w.Now)
		exists := destination != domain.Absent
		r.Settle(shown(q, r), exists, w.Now)
		if !exists {
			w.Free(p.CoolDown)
		}
		if q.Decided == domain.Completed {
			p.noteReached(w, h, &t)
		} else {
			noteUndone(w)
			if q.Decided == domain.Fault {
				t.add(MessagesFailed, 1, "processing-failed")
			}
			t.add(MessagesProcessed, 1, statusOf(q.Decided))
			if q.Type.Creates() {
				t.add(ResourcesCreated, 1, string(r.Kind), statusOf(q.Decided), p.Region)
			}
		}
		e, err := p.Codec.Result(w.Record(), w.Now)
		if err != nil {
			return err
		}
		w.Send(e)
		result = Outgoing{Event: e, MessageID: q.MessageID, ArmedAt: w.Now}
		return nil
	})
	if err != nil {
		return errors.Join(err, p.release(ctx, h, err))
	}
	t.count(p.Meter)
	return p.send(ctx, &result)
}

// shown is the state a resource has when its request is decided.
func shown(q *domain.Request, r *domain.Resource) domain.State {
	switch {
	case q.Destination() != domain.Absent:
		return q.Destination()
	case q.Decided == domain.Completed:
		return r.Kind.Gone()
	}
	return domain.Failed // a creation that was undone
}

// noteReached writes steps 11 to 14: the target was observed.
func (p *Provision) noteReached(w *Work, h *hold, t *tally) {
	q, r, seen := w.Request, w.Resource, h.seen
	took := w.Now.Sub(q.BegunAt)
	t.add(MessagesProcessed, 1, "success")
	t.add(ProcessingDuration, took.Seconds(), "process")
	processing := t.series()

	var ready tally
	usable := q.To != domain.Absent && q.To != domain.Stopped
	if usable { // a stopped machine keeps what is known of it, and shows none of it
		r.Facts = facts(h.driver, q, r, seen, w.Now)
	}
	if q.Type.Creates() {
		ready.add(AllocationSuccess, 1, string(r.Kind))
		ready.add(ResourcesCreated, 1, string(r.Kind), "success", p.Region)
	}
	var boot time.Duration // of this request: the two steps do not overlap
	if q.To == domain.Running {
		boot = r.Facts.Timings.Boot
	}
	if boot > 0 {
		ready.add(BootTime, boot.Seconds())
	}
	detail := map[string]any{"state": string(r.State), "host": r.Facts.Host, "driver": r.Facts.Driver}
	if usable {
		detail["address"] = r.Facts.Address
		if len(r.Facts.Checks) > 0 {
			detail["healthChecks"] = r.Facts.Checks
		}
		if len(r.Facts.Endpoints) > 0 {
			detail["endpoints"] = r.Facts.Endpoints
		}
		if len(r.Facts.Baselines) > 0 {
			detail["baselines"] = r.Facts.Baselines
		}
		if t := r.Facts.Timings; t.Boot > 0 {
			detail["provisioningMs"], detail["bootMs"], detail["startupMs"] = t.Provisioning.Milliseconds(), t.Boot.Milliseconds(), t.Startup.Milliseconds()
		}
	}
	w.Note(
		domain.NewStep(domain.ResourceProvisioned, w.Now, took-boot, map[string]any{"attempts": q.Attempts, "notReady": q.NotReady, "host": r.Placement.Host}),
		domain.NewStep(domain.ProcessingMetricsRecorded, w.Now, 0, map[string]any{"series": processing}),
		domain.NewStep(domain.ResourceReady, w.Now, boot, detail),
		domain.NewStep(domain.ResourceMetricsRecorded, w.Now, 0, map[string]any{"series": ready.series()}),
	)
	t.adds = append(t.adds, ready.adds...)
}

// noteUndone marks what was done and undone again. The step that failed stays
// FAILED, with its reason.
func noteUndone(w *Work) {
	undone := false
	for _, s := range append([]domain.Step(nil), w.Steps...) {
		if _, planned := s.Name.Planned(); planned {
			w.Compensate(s.Name)
			undone = true
		}
	}
	if s, ok := w.Step(domain.ResourceProvisioned); ok && s.Status == domain.StepFailed {
		return
	}
	if !undone && !w.Request.Begun {
		return // nothing was begun
	}
	step := domain.NewStep(domain.ResourceProvisioned, w.Now, w.Now.Sub(w.Request.BegunAt), map[string]any{"reason": w.Request.Reason})
	step.Status = domain.StepFailed
	if w.Request.Verdict == domain.Cancelled {
		step.Status = domain.StepCompensated
	}
	w.Note(step)
}

// facts is what was observed of a resource that became ready.
func facts(driver string, q *domain.Request, r *domain.Resource, seen domain.Observation, now time.Time) domain.Facts {
	f := domain.Facts{Driver: driver, Host: seen.Host, Baselines: seen.Baselines, Checks: seen.Checks}
	if f.Driver == "" {
		f.Driver = r.Facts.Driver
	}
	if f.Host == "" {
		f.Host = r.Placement.Host
	}
	var address netip.Addr
	if len(seen.Addresses) > 0 {
		address = seen.Addresses[0]
		f.Address = address.String()
		if r.Placement.Subnet.Contains(address) {
			f.Address = netip.PrefixFrom(address, r.Placement.Subnet.Bits()).String()
		}
	}
	f.Endpoints = map[string]string{"management": "/api/v1/resources/" + r.VirtualID}
	if seen.Console != "" {
		f.Endpoints["management"] = seen.Console
	}
	for name, port := range seen.Ports {
		if address.IsValid() {
			f.Endpoints[name] = netip.AddrPortFrom(address, uint16(port)).String()
		}
	}
	if r.Kind == domain.Machine && q.To == domain.Running {
		f.Timings = timings(q.BegunAt, seen, now)
	}
	return f
}

// timings cuts the time from the first attempt until now at what the
// hypervisor's clock says. Clocks differ, so every cut is kept inside.
func timings(begun time.Time, seen domain.Observation, now time.Time) domain.Timings {
	within := func(t, least time.Time) time.Time {
		switch {
		case t.Before(least):
			return least
		case t.After(now):
			return now
		}
		return t
	}
	powered := within(seen.PoweredAt, begun)
	ready := within(seen.ReadyAt, powered)
	guest := within(seen.GuestAt, powered)
	if guest.After(ready) {
		guest = ready
	}
	return domain.Timings{Provisioning: powered.Sub(begun), Boot: ready.Sub(powered), Startup: ready.Sub(guest)}
}

func addressOf(c domain.Claim, subnet netip.Prefix) netip.Prefix {
	a, err := netip.ParseAddr(c.Value)
	if err != nil {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a, subnet.Bits())
}

// noteArrival writes steps 8 to 10. Steps 4 to 7 may come later: they belong to
// whoever hears the acknowledgement, which knows how long it took.
func noteArrival(w *Work, a Arrival, n Notice, t *tally) {
	if w.Deliveries == 1 {
		t.add(MessagesReceived, 1, string(w.Request.Type))
	}
	detail := map[string]any{"eventId": a.EventID, "attempt": w.Request.Attempts + 1, "lagMs": w.Now.Sub(a.SentAt).Milliseconds()}
	if a.Partition >= 0 {
		detail["partition"], detail["offset"] = strconv.Itoa(a.Partition), strconv.FormatInt(a.Offset, 10)
	}
	w.Note(
		domain.NewStep(domain.MessageConsumed, w.Now, 0, detail),
		domain.NewStep(domain.MessageVerified, w.Now, n.Took, map[string]any{"schema": n.Schema}),
		domain.NewStep(domain.ConsumptionMetricsRecorded, w.Now, 0, map[string]any{"series": t.series()}),
	)
	if w.Request.Phase == domain.PhaseValidated || w.Request.Phase == domain.PhasePublished {
		w.Request.Phase = domain.PhaseReceived
	}
}
