//go:build integration

package cutlines

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kbnt.dev/virtualization/domain"
)

const (
	machineSpec = `{"cpu":2,"memory":"4GB","disk":"20GB SSD","network":"vlan-100"}`
	createBody  = `{"type":"CREATE_VIRTUAL_MACHINE","specifications":` + machineSpec + `}`
	// The machine never gets ready, so that a cancel finds it half made.
	stuckBody  = `{"type":"CREATE_VIRTUAL_MACHINE","specifications":` + machineSpec + `,"metadata":{"labels":{"kbnt.dev/fault":"stuck"}}}`
	deleteBody = `{"type":"DELETE_VIRTUAL_MACHINE","virtualResourceId":%q}`
)

// life is one tenant, to whom one request matters.
type life struct {
	*platform
	scenario
	tenant  string
	request string // id
	target  string // virtualResourceId of what there was before
}

// scenario is the life of a request. before brings about what it needs, over
// lines that are whole; run has the client do its part.
type scenario struct {
	before   func(context.Context, *life) error
	run      func(context.Context, *life) error
	want     domain.Outcome // of the request
	machines int            // machines that there are then
}

var scenarios = map[string]scenario{
	"create": {
		run: func(ctx context.Context, l *life) error {
			_, err := l.post(ctx, l.request, createBody)
			return err
		},
		want: domain.Completed, machines: 1,
	},
	"delete": {
		before: func(ctx context.Context, l *life) error {
			var err error
			if l.target, err = l.post(ctx, "first-"+l.request, createBody); err != nil {
				return err
			}
			return l.quiet(ctx, l.tenant, nil)
		},
		run: func(ctx context.Context, l *life) error {
			_, err := l.post(ctx, l.request, fmt.Sprintf(deleteBody, l.target))
			return err
		},
		want: domain.Completed, machines: 0,
	},
	"cancel": {
		run: func(ctx context.Context, l *life) error {
			var once sync.Once
			half, cancelled := make(chan struct{}), make(chan struct{})
			l.topics.onWait(func() { // the source delivers again when the cancel is through
				once.Do(func() { close(half) })
				select {
				case <-cancelled:
				case <-ctx.Done():
				}
			})
			defer l.topics.onWait(nil)
			defer close(cancelled)
			if _, err := l.post(ctx, l.request, stuckBody); err != nil {
				return err
			}
			sweep := time.NewTicker(100 * time.Millisecond)
			defer sweep.Stop()
			for waiting := true; waiting; {
				select {
				case <-half:
					waiting = false
				case <-sweep.C: // the event may have been lost on its way to the topic
					_, _ = l.sweep.Run(ctx)
				case <-ctx.Done():
					return fmt.Errorf("the machine was not half made in time: %w", ctx.Err())
				}
			}
			_, err := l.do(ctx, http.MethodDelete, "/api/v1/requests/"+l.request, "", "")
			return err
		},
		want: domain.Cancelled, machines: 0,
	},
}

var lifeNumber atomic.Int64

// newLife begins a life with a tenant and a request of its own.
func (p *platform) newLife(name string) *life {
	n := lifeNumber.Add(1)
	return &life{platform: p, scenario: scenarios[name], tenant: fmt.Sprintf("tenant-%d", n), request: fmt.Sprintf("request-%d", n)}
}

// through lives to the end. Sweeps begin when a line was cut.
func (l *life) through(ctx context.Context, cut <-chan struct{}) error {
	if err := l.run(ctx, l); err != nil {
		return err
	}
	return l.quiet(ctx, l.tenant, cut)
}

// post posts a request until it is accepted, and returns what it is about.
func (l *life) post(ctx context.Context, id, body string) (virtualID string, err error) {
	answer, err := l.do(ctx, http.MethodPost, "/api/v1/virtualize", id, body)
	if err != nil {
		return "", err
	}
	var accepted struct{ VirtualResourceID string }
	if err := json.Unmarshal(answer, &accepted); err != nil {
		return "", fmt.Errorf("read %s: %w", answer, err)
	}
	return accepted.VirtualResourceID, nil
}

// do asks until the answer is 202, as a client has to: without an answer, or
// told that it may, it sends the same again.
func (l *life) do(ctx context.Context, method, path, key, body string) ([]byte, error) {
	for delay := 5 * time.Millisecond; ; delay = min(2*delay, 200*time.Millisecond) {
		status, header, answer, err := l.ask(ctx, method, path, key, body)
		switch {
		case err != nil && ctx.Err() != nil:
			return nil, fmt.Errorf("%s %s: %w", method, path, err)
		case err != nil: // again
		case status == http.StatusAccepted:
			return answer, nil
		case status == http.StatusConflict && method == http.MethodDelete && bytes.Contains(answer, []byte(`"outcome-decided"`)):
			return answer, nil // the cancel whose answer was lost is through: asking tells how it ended
		case status != http.StatusServiceUnavailable:
			return nil, fmt.Errorf("%s %s: %d %s, want 202, or 503 as long as something is away", method, path, status, answer)
		default:
			if err := unavailable(header, answer); err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, path, err)
			}
		}
		select {
		case <-time.After(delay): // Retry-After is in seconds, and this is the laptop's time
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// ask asks once. An answer that is cut off is none.
func (l *life) ask(ctx context.Context, method, path, key, body string) (int, http.Header, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, l.intake+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	r.Header.Set("X-Tenant", l.tenant)
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := l.client.Do(r)
	if err != nil {
		return 0, nil, nil, err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	return answer.StatusCode, answer.Header, said, err
}

// unavailable checks what a client hears while something is away.
func unavailable(header http.Header, answer []byte) error {
	var problem struct {
		Status    int
		Code      string
		Retryable bool
	}
	if err := json.Unmarshal(answer, &problem); err != nil {
		return fmt.Errorf("503 with %s, want a problem: %w", answer, err)
	}
	if got := header.Get("Content-Type"); got != "application/problem+json" || header.Get("Retry-After") == "" || !problem.Retryable || problem.Code == "" || problem.Status != 503 {
		return fmt.Errorf("503 as %s with Retry-After %q: %s, want a problem that is retryable, and when", got, header.Get("Retry-After"), answer)
	}
	return nil
}
