package image

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// nowhere is a PostgreSQL that nobody runs: port 1 refuses connections.
const nowhere = "postgres://kbnt:hunter2@127.0.0.1:1/kbnt?sslmode=disable"

// environment is what a container of that role has, with sinks that all are at
// one address.
func environment(role, database, sink string) map[string]string {
	env := map[string]string{
		"KBNT_FUNCTION": role, "DATABASE_URL": database, "KBNT_DEAD_LETTER_URL": sink + "/kbnt/virtualization-dead-letters", "KBNT_VERSION": "v1.2.3",
	}
	topic := func(variable, name string) { env[variable] = sink + "/kbnt/" + name }
	switch role {
	case "intake":
		topic("KBNT_SINK_URL", "virtualization-requests")
		topic("KBNT_RESULTS_URL", "virtualization-results")
		topic("KBNT_EVENTS_URL", "virtualization-events")
		env["KBNT_DEV_USER"] = "developer"
	case "provision":
		topic("KBNT_REQUESTS_URL", "virtualization-requests")
		topic("KBNT_SINK_URL", "virtualization-results")
		topic("KBNT_EVENTS_URL", "virtualization-events")
		env["KBNT_HYPERVISOR"], env["KBNT_SPEED"] = "simulated", "0"
	case "notify":
		topic("KBNT_REQUESTS_URL", "virtualization-requests")
		topic("KBNT_RESULTS_URL", "virtualization-results")
		topic("KBNT_SINK_URL", "virtualization-events")
	}
	return env
}

// process is the program of the image, running.
type process struct {
	url    string
	began  time.Time
	ended  chan struct{} // closed after the process ended
	cmd    *exec.Cmd
	stderr text
}

// text is what a process says, readable while it still speaks.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// start runs a program with that environment and no other, as a container does.
// Where to listen is also its one argument, for programs that are no function.
// It is killed when the test ends.
func start(t testing.TB, program string, env map[string]string) *process {
	t.Helper()
	address := free(t)
	p := &process{url: "http://" + address, ended: make(chan struct{}), cmd: exec.Command(program, address)}
	p.cmd.Env = []string{"LISTEN_ADDRESS=" + address}
	for name, value := range env {
		p.cmd.Env = append(p.cmd.Env, name+"="+value)
	}
	p.cmd.Stderr = &p.stderr
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // exit reads the code
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.ended
	})
	return p
}

// exit is how the process ended, within a time.
func (p *process) exit(t testing.TB, within time.Duration) (code int) {
	t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(within):
		t.Fatalf("the process still runs after %s; it said:\n%s", within, p.stderr.String())
		return 0
	}
}

// terminate is what Kubernetes does first.
func (p *process) terminate(t testing.TB) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// await asks until the answer has that status, and returns its body.
func (p *process) await(t testing.TB, path string, status int, every time.Duration) string {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		got, body, err := ask(t.Context(), http.MethodGet, p.url+path, "", nil)
		if err == nil && got == status {
			return body
		}
		select {
		case <-p.ended:
			t.Fatalf("the process ended; it said:\n%s", p.stderr.String())
		case <-deadline:
			t.Fatalf("GET %s: %d %s %v, want %d; the process said:\n%s", path, got, body, err, status, p.stderr.String())
		case <-time.After(every):
		}
	}
}

// ask sends one request on a connection of its own.
func ask(ctx context.Context, method, url, body string, header map[string]string) (status int, answer string, err error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	r.Close = true
	for name, value := range header {
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data), err
}

// free is an address that nobody listened on a moment ago: func's middleware
// takes one and does not tell which.
func free(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
