package httpsource_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/infrastructure/httpsource"
)

// pipes is a listener without a network, so that time can be played.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// TestPatience puts the handler behind the limits of func's middleware (30 s to
// read, 30 s to write) and lets it work for longer.
func TestPatience(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reason         string
		patience, work time.Duration
		want           int // 0: no answer
		ended          error
	}{
		"lifted":     {"the server's limit is moved behind ours", 60 * time.Second, 50 * time.Second, 200, nil},
		"not lifted": {"the server cuts the answer off", 0, 50 * time.Second, 0, nil},
		"run out":    {"the context ends in time to answer", 40 * time.Second, 50 * time.Second, 200, context.DeadlineExceeded},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var ended error
				handle := func(ctx context.Context, _ application.Event, _ application.Arrival) error {
					select {
					case <-ctx.Done():
						ended = ctx.Err()
					case <-time.After(test.work):
					}
					return nil
				}
				listener := make(pipes)
				server := &http.Server{
					Handler:     httpsource.Handler(httpsource.Options{Handle: handle, Patience: test.patience}),
					ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second,
				}
				go func() { _ = server.Serve(listener) }()
				client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
					near, far := net.Pipe()
					listener <- far
					return near, nil
				}}}
				r := delivery()
				r.RequestURI, r.URL.Scheme, r.URL.Host = "", "http", "provision"
				got := 0
				if resp, err := client.Do(r.WithContext(t.Context())); err == nil {
					got = resp.StatusCode
					resp.Body.Close()
				}
				if got != test.want {
					t.Errorf("got %d, want %d: %s", got, test.want, test.reason)
				}
				if test.want != 0 && ended != test.ended {
					t.Errorf("the context ended with %v, want %v: %s", ended, test.ended, test.reason)
				}
				client.CloseIdleConnections()
				server.Close()
				synctest.Wait()
			})
		})
	}
}
