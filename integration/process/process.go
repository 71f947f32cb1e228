// Package process runs a program beside a test: it keeps what the program says
// for the message of a failure, and sees to it that the program ends.
//
// It is not a supervisor: a program that ends is not started again.
package process

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
)

// kept is how much of what a program says is kept, in bytes: its end.
const kept = 64 << 10

// Process is a program that runs, or has ended.
type Process struct {
	name  string
	kill  func() error
	term  func() error
	said  *output
	ended chan struct{} // closed when it has ended, and err is set
	err   error
}

// Start runs a command, whose Stdout and Stderr are taken. On Linux the program
// is killed when the test process dies, by a time limit for example, before it
// could stop it.
func Start(c *exec.Cmd) (*Process, error) {
	p := &Process{name: c.Path, said: &output{more: make(chan struct{})}, ended: make(chan struct{})}
	c.Stdout, c.Stderr = p.said, p.said // one writer, so what it says stays in order
	tie(c)
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	p.kill = c.Process.Kill
	p.term = func() error { return c.Process.Signal(syscall.SIGTERM) }
	go func() {
		defer close(p.ended)
		p.err = c.Wait()
	}()
	return p, nil
}

// Ended is closed when the program has ended, for whatever reason.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Said is what the program wrote to stdout and stderr: the last 64 KiB.
func (p *Process) Said() string {
	text, _ := p.said.read()
	return text
}

// Await returns what the program said once mark is in it. It fails when the
// program ends before, or ctx does; the error has what was said.
func (p *Process) Await(ctx context.Context, mark string) (string, error) {
	for {
		text, more := p.said.read()
		if strings.Contains(text, mark) {
			return text, nil
		}
		select {
		case <-more:
		case <-p.ended: // all of what it said is there
			if text, _ = p.said.read(); strings.Contains(text, mark) {
				return text, nil
			}
			return "", fmt.Errorf("%s ended (%v) and did not say %q, but:\n%s", p.name, p.err, mark, text)
		case <-ctx.Done():
			return "", fmt.Errorf("wait for %s to say %q: %w; it said:\n%s", p.name, mark, ctx.Err(), text)
		}
	}
}

// Kill ends the program at once, as a crash would, and returns when it has
// ended. It may be called again.
func (p *Process) Kill() {
	_ = p.kill() // fails only on one that has ended
	<-p.ended
}

// Stop asks the program to end and returns when it has. One that has not ended
// when ctx does is killed, which is an error, as it is to have ended before.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.term(); err != nil {
		<-p.ended
		return fmt.Errorf("stop %s: %w (%v); it said:\n%s", p.name, err, p.err, p.Said())
	}
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("stop %s: %w, so it was killed; it said:\n%s", p.name, ctx.Err(), p.Said())
	}
}

// output is the end of a text that somebody may wait for.
type output struct {
	mu   sync.Mutex
	text []byte
	more chan struct{} // closed with the next write
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, p...)
	o.text = o.text[max(0, len(o.text)-kept):]
	close(o.more)
	o.more = make(chan struct{})
	return len(p), nil
}

func (o *output) read() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text), o.more
}
