package kubevirt

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// client speaks HTTP and JSON to an API server.
type client struct {
	server    string
	transport http.RoundTripper
	tokens    *tokens
}

func newClient(c Cluster) (*client, error) {
	transport, err := c.transport()
	if err != nil {
		return nil, err
	}
	return &client{server: strings.TrimRight(c.Server, "/"), transport: transport, tokens: &tokens{fixed: c.Token, file: c.TokenFile}}, nil
}

// call is one request.
type call struct {
	method string
	path   string // escaped
	query  url.Values
	body   any    // JSON; nil: none
	kind   string // of the body; default application/json
}

const (
	mergePatch = "application/merge-patch+json" // RFC 7386

	maxAnswer = 64 << 20 // of one page of a list, the largest answer
	attempts  = 3        // of one call, where the server said that it did nothing
	maxPause  = 2 * time.Second
)

// strict has the server refuse a field that it does not know. By default it drops it,
// and a machine would be made without what the field said.
func strict() url.Values { return url.Values{"fieldValidation": {"Strict"}} }

// do calls and decodes the answer into out. Errors have a Kind; those known to have
// no effect that is still to come have the code "try-again". A 429 is waited out, as
// long as the server says but at most two seconds, a rejected token is read again.
func (c *client) do(ctx context.Context, r call, out any) error {
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return &domain.Error{Kind: domain.Internal, Err: fmt.Errorf("encode %s %s: %w", r.method, r.path, err)}
		}
	}
	for n := 1; ; n++ {
		a, err := c.once(ctx, r, body, n > 1)
		if err != nil {
			return err
		}
		switch {
		case a.status < 300:
			return a.into(out)
		case a.status == http.StatusUnauthorized && n == 1 && c.tokens.file != "":
			continue
		case a.status != http.StatusTooManyRequests || n == attempts || !sleep(ctx, a.pause):
			return a.err(r)
		}
	}
}

// answer is what the server said.
type answer struct {
	status int
	body   []byte
	pause  time.Duration // that it asks for
}

func (c *client) once(ctx context.Context, r call, body []byte, again bool) (answer, error) {
	var sent, got atomic.Bool // sent: the request may have got through
	lost := func(err error) error {
		e := &domain.Error{Kind: domain.Unavailable, Detail: "the cluster did not answer", Err: fmt.Errorf("%s %s: %w", r.method, r.path, err)}
		if r.method == http.MethodGet || !sent.Load() {
			e.Code = application.CodeTryAgain
		}
		return e
	}
	token, err := c.tokens.token(again)
	if err != nil {
		return answer{}, lost(err)
	}
	target := c.server + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { sent.Store(got.Load()) }, // until there is a connection, nothing is sent
		GotConn: func(httptrace.GotConnInfo) { got.Store(true); sent.Store(true) },
	})
	req, err := http.NewRequestWithContext(traced, r.method, target, bytes.NewReader(body))
	if err != nil {
		return answer{}, &domain.Error{Kind: domain.Internal, Err: err}
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "kbnt-virtualization")
	if body != nil {
		kind := r.kind
		if kind == "" {
			kind = "application/json"
		}
		req.Header.Set("Content-Type", kind)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if err := ctx.Err(); err != nil {
		return answer{}, lost(err)
	}
	sent.Store(true)
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return answer{}, lost(err)
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, pause: time.Second}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s >= 0 {
		a.pause = min(time.Duration(min(s, 60))*time.Second, maxPause)
	}
	if a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer)); err != nil {
		return answer{}, lost(err)
	}
	return a, nil
}

func (a answer) into(out any) error {
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(a.body, out); err != nil {
		return &domain.Error{Kind: domain.Internal, Err: fmt.Errorf("decode the cluster's answer: %w", err)}
	}
	return nil
}

// sleep waits, and reports false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
