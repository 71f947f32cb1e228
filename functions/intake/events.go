package intake

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// followRequest streams a request's history as Server-Sent Events (HTML Living
// Standard, 9.2): each step as it is recorded, with its index as the id; at last
// an event "end" with the whole request. A client that comes back with
// Last-Event-ID hears what it has not heard. One that heard the end gets 204,
// which tells a browser to stay away.
//
// A step that was undone later is sent again, without an id: it does not move
// the place to resume from.
func (f *Function) followRequest(x *exchange) error {
	if _, err := x.query(); err != nil {
		return err
	}
	id, err := x.id("request")
	if err != nil {
		return err
	}
	seen, ended, err := lastEvent(x.r.Header)
	if err != nil {
		return err
	}
	if _, err := f.Records.Request(x.ctx, x.caller.Tenant, id); err != nil {
		return err // before the stream begins, it can still be a problem
	}
	if ended {
		x.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	select {
	case f.streams <- struct{}{}:
		defer func() { <-f.streams }()
	default:
		return tooBusy()
	}
	head := x.w.Header()
	head.Set("Content-Type", "text/event-stream")
	head.Set("Cache-Control", "no-cache")
	head.Set("X-Accel-Buffering", "no") // proxies that would hold events back
	x.w.WriteHeader(http.StatusOK)
	if x.r.Method == http.MethodHead {
		return nil
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), f.Stream)
	defer cancel()
	s := &stream{exchange: x, seen: seen, undone: map[domain.StepName]bool{}}
	return s.run(ctx, id)
}

const endID = "end"

// lastEvent reads how many steps the client has heard of.
func lastEvent(h http.Header) (seen int, ended bool, err error) {
	last := h.Get("Last-Event-ID")
	switch last {
	case "":
		return 0, false, nil
	case endID:
		return 0, true, nil
	}
	n, err := strconv.ParseUint(last, 10, 16)
	if err != nil {
		return 0, false, badParameter("Last-Event-ID", "is not one that this stream gave")
	}
	return int(n), false, nil
}

type stream struct {
	*exchange
	seen   int // steps sent, or known to the client
	undone map[domain.StepName]bool
}

// news is what following a request yields.
type news struct {
	record application.Record
	err    error
}

func (s *stream) run(ctx context.Context, id string) error {
	ctx, cancel := context.WithCancel(ctx)
	changes := make(chan news)
	var follower sync.WaitGroup
	follower.Go(func() {
		defer close(changes)
		for record, err := range s.f.Track.Follow(ctx, s.caller.Tenant, id) {
			select {
			case changes <- news{record, err}:
			case <-ctx.Done():
				return
			}
		}
	})
	defer follower.Wait()
	defer cancel()

	silence := time.NewTicker(s.f.Heartbeat)
	defer silence.Stop()
	if !s.put("retry: 2000\n\n") {
		return nil
	}
	for {
		select {
		case <-s.f.Leaving:
			return nil // the client comes back by itself, and resumes
		case <-silence.C:
			if !s.put(": still here\n\n") {
				return nil
			}
		case n, open := <-changes:
			if !open {
				return nil
			}
			if ctx.Err() != nil {
				return nil
			}
			if n.err != nil {
				return n.err // logged; the client comes back and asks again
			}
			silence.Reset(s.f.Heartbeat)
			if !s.tell(n.record) {
				return nil
			}
		}
	}
}

// tell sends what is new in a record, and reports false when the stream is over.
func (s *stream) tell(r application.Record) bool {
	for i, step := range r.Steps {
		number := i + 1
		undone := step.Status == domain.StepCompensated
		switch {
		case number > s.seen:
			if !s.event("step", strconv.Itoa(number), encode(viewStep(step))) {
				return false
			}
			s.seen = number
		case undone && !s.undone[step.Name]:
			if !s.event("step", "", encode(viewStep(step))) {
				return false
			}
		}
		if undone {
			s.undone[step.Name] = true
		}
	}
	if r.Request.Unfinished() {
		return true
	}
	s.event("end", endID, encode(viewRecord(r)))
	return false
}

func (s *stream) event(name, id string, data []byte) bool {
	var b strings.Builder
	if id != "" {
		fmt.Fprintf(&b, "id: %s\n", id)
	}
	fmt.Fprintf(&b, "event: %s\ndata: %s\n\n", name, strings.TrimSpace(string(data))) // JSON of ours has no line breaks
	return s.put(b.String())
}

// put writes and flushes, within a time of its own: a client that does not
// read is let go.
func (s *stream) put(text string) bool {
	s.lift(time.Now().Add(s.f.Heartbeat + s.f.Patience))
	if _, err := s.w.Write([]byte(text)); err != nil {
		return false
	}
	return http.NewResponseController(s.w).Flush() == nil
}
