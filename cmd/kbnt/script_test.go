package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets this test binary be the command kbnt, so that scripts run the
// program as a user does, and can kill it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"kbnt": main})
}

// TestScripts plays testdata/script/*.txtar: whole flows, each on a platform of
// its own. The commands are those of conversation, below.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			for k, v := range loopback(filepath.Join(e.WorkDir, "state")) {
				e.Setenv(k, v)
			}
			c := &conversation{client: &http.Client{Timeout: 40 * time.Second}}
			e.Values[key{}] = c
			e.Defer(c.end)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start":     step((*conversation).start).command(),
			"greeted":   step((*conversation).greeted).command(),
			"crash":     step((*conversation).crash).command(),
			"interrupt": step((*conversation).interrupt).command(),
			"post":      step((*conversation).post).command(),
			"get":       step((*conversation).get).command(),
			"delete":    step((*conversation).remove).command(),
			"status":    step((*conversation).status).command(),
			"field":     step((*conversation).field).command(),
			"follow":    step((*conversation).follow).command(),
			"steps":     step((*conversation).steps).command(),
			"count":     step((*conversation).count).command(),
			"events":    step((*conversation).events).command(),
			"keep":      step((*conversation).keep).command(),
		},
	})
}

// loopback are settings for a platform that disturbs no other.
func loopback(data string) map[string]string {
	return map[string]string{
		"KBNT_ADDR": "127.0.0.1:0", "KBNT_PROVISION_ADDR": "127.0.0.1:0", "KBNT_NOTIFY_ADDR": "127.0.0.1:0", "KBNT_SINKS_ADDR": "127.0.0.1:0",
		"KBNT_KAFKA_ADDR": "127.0.0.1:0", "KBNT_DATA": data, "KBNT_SPEED": "100", "KBNT_POLL": "10ms", "KBNT_SWEEP": "200ms",
		"KAFKA_BROKERS": "", // a Kafka of its own, even where the tests of eventing/local are told of a real one
	}
}

// conversation is one client of one platform: what it posted last and what it
// heard.
type conversation struct {
	process *process
	client  *http.Client
	code    int
	body    []byte
	header  http.Header
}

// key finds the conversation of a script.
type key struct{}

type step func(*conversation, *testscript.TestScript, []string)

// command makes a script command of a step. Negation has no meaning for them.
func (f step) command() func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("this command has no negation")
		}
		f(ts.Value(key{}).(*conversation), ts, args)
	}
}

func (c *conversation) end() {
	c.client.CloseIdleConnections()
	if c.process != nil {
		c.process.kill()
	}
}

// start runs the platform and waits until it is ready. Settings may follow.
func (c *conversation) start(ts *testscript.TestScript, args []string) {
	env := os.Environ()
	for _, k := range []string{"KBNT_ADDR", "KBNT_PROVISION_ADDR", "KBNT_NOTIFY_ADDR", "KBNT_SINKS_ADDR", "KBNT_KAFKA_ADDR", "KBNT_DATA", "KBNT_SPEED", "KBNT_POLL", "KBNT_SWEEP", "KAFKA_BROKERS"} {
		env = append(env, k+"="+ts.Getenv(k))
	}
	p, err := launch(append(env, args...))
	ts.Check(err)
	c.process = p
}

// greeted PATTERN: the platform said so when it started.
func (c *conversation) greeted(ts *testscript.TestScript, args []string) {
	if said, err := regexp.MatchString(args[0], c.process.greeted); err != nil || !said {
		ts.Fatalf("want %q in the greeting (%v):\n%s", args[0], err, c.process.greeted)
	}
}

// crash ends the platform as a power cut of the process would.
func (c *conversation) crash(*testscript.TestScript, []string) { c.process.kill() }

// interrupt ends the platform with Ctrl-C and requires that it ends well.
func (c *conversation) interrupt(ts *testscript.TestScript, _ []string) {
	ts.Check(c.process.interrupt())
}

// post PATH FILE [HEADER VALUE]...
func (c *conversation) post(ts *testscript.TestScript, args []string) {
	var header []string
	if len(args) > 2 {
		header = args[2:]
	}
	c.do(ts, http.MethodPost, args[0], []byte(ts.ReadFile(args[1])), header)
}

// get PATH [HEADER VALUE]...
func (c *conversation) get(ts *testscript.TestScript, args []string) {
	c.do(ts, http.MethodGet, args[0], nil, args[1:])
}

// remove PATH
func (c *conversation) remove(ts *testscript.TestScript, args []string) {
	c.do(ts, http.MethodDelete, args[0], nil, nil)
}

func (c *conversation) do(ts *testscript.TestScript, method, path string, body []byte, header []string) {
	r, err := http.NewRequestWithContext(context.Background(), method, c.process.url+path, bytes.NewReader(body))
	ts.Check(err)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := c.client.Do(r)
	ts.Check(err)
	defer answer.Body.Close()
	c.body, err = io.ReadAll(answer.Body)
	ts.Check(err)
	c.code, c.header = answer.StatusCode, answer.Header
}

// status CODE
func (c *conversation) status(ts *testscript.TestScript, args []string) {
	if got := strconv.Itoa(c.code); got != args[0] {
		ts.Fatalf("status %s, want %s: %s", got, args[0], c.body)
	}
}

// field PATH VALUE: a value of the last answer, by names and indexes with dots
// between them.
func (c *conversation) field(ts *testscript.TestScript, args []string) {
	if got := c.value(ts, args[0]); got != strings.Join(args[1:], " ") {
		ts.Fatalf("%s is %q, want %q: %s", args[0], got, strings.Join(args[1:], " "), c.body)
	}
}

// keep NAME PATH: a value of the last answer becomes a variable of the script.
func (c *conversation) keep(ts *testscript.TestScript, args []string) {
	ts.Setenv(args[0], c.value(ts, args[1]))
}

func (c *conversation) value(ts *testscript.TestScript, path string) string {
	var v any
	d := json.NewDecoder(bytes.NewReader(c.body))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		ts.Fatalf("%v in %q", err, c.body)
	}
	for name := range strings.SplitSeq(path, ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(at) {
				return ""
			}
			v = at[i]
		default:
			return ""
		}
	}
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// follow [STATUS]: the request posted last, until it has ended so.
func (c *conversation) follow(ts *testscript.TestScript, args []string) {
	path := c.header.Get("Location")
	if path == "" {
		ts.Fatalf("the last answer has no Location: %d %s", c.code, c.body)
	}
	for range 4 {
		c.do(ts, http.MethodGet, path, nil, []string{"Prefer", "wait=20"})
		if got := c.value(ts, "status"); got != "PROCESSING" {
			break
		}
	}
	if got := c.value(ts, "status"); got != args[0] {
		ts.Fatalf("%s ended %s, want %s: %s", path, got, args[0], c.body)
	}
}

// steps NUMBER: how many of the 17 steps the request followed last shows, in
// order.
func (c *conversation) steps(ts *testscript.TestScript, args []string) {
	var t tracked
	ts.Check(json.Unmarshal(c.body, &t))
	if got := strconv.Itoa(len(t.Steps)); got != args[0] {
		ts.Fatalf("%s steps, want %s: %s", got, args[0], c.body)
	}
	for i, s := range t.Steps[1:] {
		if s.Number <= t.Steps[i].Number {
			ts.Fatalf("step %d comes after step %d", s.Number, t.Steps[i].Number)
		}
	}
}

// count TYPE NUMBER: live resources of a type.
func (c *conversation) count(ts *testscript.TestScript, args []string) {
	resources, err := c.process.resources(c.client)
	ts.Check(err)
	n := 0
	for _, r := range resources {
		if r.Type == args[0] {
			n++
		}
	}
	if strconv.Itoa(n) != args[1] {
		ts.Fatalf("%d of %s, want %s", n, args[0], args[1])
	}
}

// events NUMBER: different event ids on virtualization-events, once there are at
// least so many. More would show: notify sends before the request is terminal.
func (c *conversation) events(ts *testscript.TestScript, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	ids, err := c.process.eventIDs(ctx, want)
	ts.Check(err)
	if len(ids) != want {
		ts.Fatalf("%d different events, want %d", len(ids), want)
	}
}
