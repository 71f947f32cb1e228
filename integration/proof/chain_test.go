//go:build integration

package proof

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kbnt.dev/virtualization/infrastructure/postgres"
	"kbnt.dev/virtualization/infrastructure/postgres/postgrestest"
	"kbnt.dev/virtualization/infrastructure/simulated"
	"kbnt.dev/virtualization/integration/process"
)

// chain is the whole flow as processes: three functions and the eventing stand-ins
// with their Kafka, on a database of its own.
type chain struct {
	t        testing.TB
	settings settings
	store    *postgres.Store
	things   *simulated.Hypervisor
	client   *http.Client

	mu      sync.Mutex
	members map[string]*member
	ended   []string // the last words of processes that were killed, for a failure
}

// member is one process, and the socket that outlives it.
type member struct {
	url     string
	socket  *os.File
	process *process.Process
}

// openChain starts all roles, and ends them with the test.
func openChain(t testing.TB, server *postgrestest.Server, s settings) *chain {
	t.Helper()
	s.Database, s.Dir, s.Services = server.Schema(t), filepath.Join(t.TempDir(), "kafka"), map[string]string{}
	c := &chain{t: t, members: map[string]*member{}, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	for _, role := range roles {
		m, err := newMember()
		if err != nil {
			t.Fatal(err)
		}
		c.members[role] = m
		if role == "eventing" {
			s.Front = m.url
		} else {
			s.Services[role] = m.url
		}
	}
	c.settings = s
	var err error
	if c.store, err = postgres.New(postgres.Options{URL: s.Database}); err != nil {
		t.Fatal(err)
	}
	if c.things, err = simulated.New(simulated.Options{Documents: c.store, Speed: s.Pace.Speed}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	for _, role := range roles {
		if err := c.start(t.Context(), role); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func newMember() (*member, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	return &member{url: "http://" + l.Addr().String(), socket: socket}, err
}

// start starts a role that does not run and returns when it answers.
func (c *chain) start(ctx context.Context, role string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	s := c.settings
	s.Role = role
	told, err := json.Marshal(s)
	if err != nil {
		return err
	}
	m := c.members[role]
	command := exec.Command(self)
	command.Env = append(os.Environ(), "PROOF_ROLE="+string(told), "GOMAXPROCS=2")
	command.ExtraFiles = []*os.File{m.socket}
	p, err := process.Start(command)
	if err != nil {
		return err
	}
	c.mu.Lock()
	m.process = p
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if _, _, err := c.call(ctx, http.MethodGet, m.url+"/proof/up", nil, nil); err != nil {
		return fmt.Errorf("start %s: %w\n%s", role, err, p.Said())
	}
	return nil
}

// revive waits until a role has died and starts it again. It fails when the role
// lives on.
func (c *chain) revive(ctx context.Context, role string) error {
	m := c.members[role]
	select {
	case <-m.process.Ended():
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", role, errAlive)
	}
	c.mu.Lock()
	c.ended = append(c.ended, role+" died:\n"+tail(m.process.Said(), 800))
	c.ended = c.ended[max(0, len(c.ended)-4):]
	c.mu.Unlock()
	return c.start(ctx, role)
}

// errAlive says that a role never came to the point where it was to die.
var errAlive = errors.New("it did not die")

// spare takes back what a role was told to do, and sees to it that it runs.
func (c *chain) spare(ctx context.Context, role string) error {
	if _, _, err := c.call(ctx, http.MethodPost, c.members[role].url+"/proof/disarm", nil, nil); err == nil {
		return nil
	}
	return c.revive(ctx, role)
}

// kill ends a role wherever it is, and starts it again.
func (c *chain) kill(ctx context.Context, role string) error {
	c.members[role].process.Kill()
	return c.revive(ctx, role)
}

func (c *chain) close() {
	for _, m := range c.members {
		if m.process != nil {
			m.process.Kill()
		}
		_ = m.socket.Close()
	}
	c.client.CloseIdleConnections()
	if err := c.store.Close(); err != nil {
		c.t.Error(err)
	}
}

// words are what the processes said last.
func (c *chain) words() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := strings.Join(c.ended, "\n")
	for _, role := range roles {
		all += "\n" + role + " said last:\n" + tail(c.members[role].process.Said(), 1500)
	}
	return all
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// arm tells the gate of a role what to do at a point of somebody.
func (c *chain) arm(ctx context.Context, role, point, do string, subjects ...string) error {
	q := url.Values{"point": {point}, "do": {do}, "subject": subjects}
	_, _, err := c.call(ctx, http.MethodPost, c.members[role].url+"/proof/arm?"+q.Encode(), nil, nil)
	return err
}

// forget makes all gates forget the points that somebody passed.
func (c *chain) forget(ctx context.Context, subjects ...string) error {
	for _, role := range roles {
		if _, _, err := c.call(ctx, http.MethodPost, c.members[role].url+"/proof/forget?"+url.Values{"subject": subjects}.Encode(), nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// seen are the points that somebody passed.
func (c *chain) seen(ctx context.Context, subjects ...string) (points []string, err error) {
	for _, role := range roles {
		_, body, err := c.call(ctx, http.MethodGet, c.members[role].url+"/proof/seen?"+url.Values{"subject": subjects}.Encode(), nil, nil)
		if err != nil {
			return nil, err
		}
		var some []string
		if err := json.Unmarshal(body, &some); err != nil {
			return nil, err
		}
		points = append(points, some...)
	}
	return points, nil
}

func (c *chain) brokers(ctx context.Context) ([]string, error) {
	_, body, err := c.call(ctx, http.MethodGet, c.settings.Front+"/proof/brokers", nil, nil)
	return strings.Split(string(body), ","), err
}

// call makes one HTTP request.
func (c *chain) call(ctx context.Context, method, url string, header http.Header, body []byte) (int, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(string(body)))
	if err != nil {
		return 0, nil, err
	}
	if header != nil {
		r.Header = header
	}
	answer, err := c.client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, text, err
}

// insist calls until it is answered by anything but trouble, as clients are told to.
func (c *chain) insist(ctx context.Context, method, url string, header http.Header, body []byte) (int, []byte, error) {
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		within, cancel := context.WithTimeout(ctx, 5*time.Second)
		status, text, err := c.call(within, method, url, header.Clone(), body)
		cancel()
		if err == nil && status < 500 && status != http.StatusTooManyRequests {
			return status, text, nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return status, text, errors.Join(ctx.Err(), err)
		}
	}
}

// until looks every 50 ms whether something is so.
func until(ctx context.Context, so func() (bool, error)) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		ok, err := so()
		if ok && err == nil {
			return nil
		}
		last = err
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), last)
		}
	}
}
