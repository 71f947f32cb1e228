package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// process is a platform that runs as a process of its own: this test binary
// under the name kbnt.
type process struct {
	url     string
	brokers []string
	greeted string
	command *exec.Cmd
	logs    *tail
	ended   chan error
	once    sync.Once
}

// tail keeps the end of what a process logs, for the message of a failure.
type tail struct {
	mu   sync.Mutex
	last []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, p...)
	t.last = t.last[max(0, len(t.last)-4000):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.last)
}

var (
	intakeLine = regexp.MustCompile(`(?m)^  intake +(http://\S+)`)
	kafkaLine  = regexp.MustCompile(`(?m)^  Kafka +(\S+)`)
)

// launch starts a platform and returns when it says that it runs.
func launch(env []string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{logs: &tail{}, ended: make(chan error, 1)}
	p.command = exec.Command(self)
	p.command.Args = []string{"kbnt"} // testscript.Main goes by this name
	p.command.Env = env
	p.command.Stderr = p.logs
	out, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	greeting, err := readUntil(out, "Ctrl-C stops.")
	go func() {
		_, _ = io.Copy(io.Discard, out)
		p.ended <- p.command.Wait()
	}()
	if err != nil {
		p.kill()
		return nil, fmt.Errorf("the platform did not start: %w\n%s%s", err, greeting, p.logs)
	}
	p.greeted = greeting
	p.url = intakeLine.FindStringSubmatch(greeting)[1]
	p.brokers = strings.Split(kafkaLine.FindStringSubmatch(greeting)[1], ",")
	return p, nil
}

func readUntil(r io.Reader, mark string) (string, error) {
	var text bytes.Buffer
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		text.WriteString(line)
		if err != nil || strings.Contains(line, mark) {
			return text.String(), err
		}
	}
}

// kill ends the process at once. It may be called again.
func (p *process) kill() {
	p.once.Do(func() {
		_ = p.command.Process.Kill()
		<-p.ended
	})
}

// interrupt is Ctrl-C; it fails unless the process ends well and soon.
func (p *process) interrupt() error {
	err := errors.New("it had ended already")
	p.once.Do(func() {
		if err = p.command.Process.Signal(syscall.SIGINT); err != nil {
			return
		}
		select {
		case err = <-p.ended:
		case <-time.After(20 * time.Second):
			_ = p.command.Process.Kill()
			err = errors.Join(errors.New("it did not end within 20 s"), <-p.ended)
		}
	})
	if err != nil {
		return fmt.Errorf("stop the platform: %w\n%s", err, p.logs)
	}
	return nil
}

// listed is what tests read of a resource in a list.
type listed struct {
	VirtualResourceID string `json:"virtualResourceId"`
	Type              string `json:"type"`
	Status            string `json:"status"`
}

// resources are all live ones, page by page.
func (p *process) resources(c *http.Client) (all []listed, err error) {
	for cursor := ""; ; {
		var page struct {
			Resources  []listed `json:"resources"`
			NextCursor string   `json:"nextCursor"`
		}
		if err := p.fetch(c, "/api/v1/resources?limit=100&cursor="+cursor, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Resources...)
		if cursor = page.NextCursor; cursor == "" {
			return all, nil
		}
	}
}

func (p *process) fetch(c *http.Client, path string, into any) error {
	answer, err := c.Get(strings.TrimSuffix(p.url+path, "&cursor="))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %d %s %w", path, answer.StatusCode, body, err)
	}
	return json.Unmarshal(body, into)
}

// eventIDs reads virtualization-events from its beginning until there are so many
// different ids and every partition was read to its end.
func (p *process) eventIDs(ctx context.Context, want int) (map[string]int, error) {
	r, err := readTopic(p.brokers, "virtualization-events", sarama.OffsetOldest)
	if err != nil {
		return nil, err
	}
	defer r.close()
	ids := map[string]int{}
	read := int64(0)
	for {
		n, err := written(p.brokers, "virtualization-events")
		if err != nil {
			return nil, err
		}
		if len(ids) >= want && read >= n {
			return ids, nil
		}
		c, err := r.next(ctx)
		if err != nil {
			return ids, fmt.Errorf("after %d events with %d different ids: %w", read, len(ids), err)
		}
		ids[c.id]++
		read++
	}
}

// startProcess runs a platform for a Go test.
func startProcess(t *testing.T, data string, settings ...string) *process {
	t.Helper()
	env := os.Environ()
	for k, v := range loopback(data) {
		env = append(env, k+"="+v)
	}
	p, err := launch(append(env, settings...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

// alone runs a test in a process of its own.
func alone(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = append(os.Environ(), "TEST_ALONE=1")
	out, err := c.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("%v\n%s", err, out)
	}
}
