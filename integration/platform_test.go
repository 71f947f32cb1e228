//go:build integration

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/integration/process"
)

// user is who everybody is on the platforms of these tests.
const user = "user-789"

// build makes the program that users run and returns its path.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "kbnt")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "kbnt.dev/virtualization/cmd/kbnt").CombinedOutput()
	if err != nil {
		t.Fatalf("build kbnt: %v\n%s", err, out)
	}
	return program
}

// platform is a kbnt that runs, and one client of it.
type platform struct {
	*process.Process
	client *http.Client
	url    string // of intake
	broker string
}

var (
	intakeLine = regexp.MustCompile(`(?m)^  intake +(http://\S+)`)
	kafkaLine  = regexp.MustCompile(`(?m)^  Kafka +(\S+)`)
)

// settings are an environment for a kbnt that disturbs no other.
func settings(data string, more ...string) []string {
	return append(os.Environ(), append([]string{
		"KBNT_ADDR=127.0.0.1:0", "KBNT_PROVISION_ADDR=127.0.0.1:0", "KBNT_NOTIFY_ADDR=127.0.0.1:0", "KBNT_SINKS_ADDR=127.0.0.1:0",
		"KBNT_KAFKA_ADDR=127.0.0.1:0", "KBNT_DATA=" + data, "KBNT_DEV_USER=" + user,
		"KBNT_SPEED=100", "KBNT_POLL=10ms", "KBNT_SWEEP=200ms", "KBNT_LOG_LEVEL=WARN",
	}, more...)...)
}

// start runs a platform until the end of the test and returns when it says that
// it runs. Its Kafka is the one at brokers, or if that is empty the embedded one.
func start(t *testing.T, program, brokers string, more ...string) *platform {
	t.Helper()
	c := exec.Command(program)
	c.Env = settings(t.TempDir(), append(more, "KAFKA_BROKERS="+brokers)...)
	p, err := process.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	greeting, err := p.Await(within(t, time.Minute), "Ctrl-C stops.")
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: 40 * time.Second}
	t.Cleanup(client.CloseIdleConnections)
	return &platform{Process: p, client: client, url: intakeLine.FindStringSubmatch(greeting)[1], broker: kafkaLine.FindStringSubmatch(greeting)[1]}
}

// request is what tests read of a request's tracking URL.
type request struct {
	RequestID string `json:"requestId"`
	Status    string `json:"status"`
	Resource  struct {
		VirtualResourceID string `json:"virtualResourceId"`
	} `json:"resource"`
	Steps []json.RawMessage `json:"steps"`
}

// post asks for a small machine and returns where to track it.
func (p *platform) post(ctx context.Context, requestID string) (string, error) {
	body := fmt.Sprintf(`{"type":"CREATE_VIRTUAL_MACHINE","metadata":{"requestId":%q},"specifications":{"cpu":1,"memory":1,"disk":1,"network":"bridged"}}`, requestID)
	var accepted struct {
		TrackingURL string `json:"trackingUrl"`
	}
	err := p.call(ctx, http.MethodPost, "/api/v1/virtualize", body, http.StatusAccepted, &accepted)
	return accepted.TrackingURL, err
}

// follow waits until a request has ended, however it did.
func (p *platform) follow(ctx context.Context, tracking string) (r request, err error) {
	for {
		if err := p.call(ctx, http.MethodGet, tracking, "", http.StatusOK, &r); err != nil || r.Status != "PROCESSING" {
			return r, err
		}
	}
}

func (p *platform) call(ctx context.Context, method, path, body string, want int, into any) error {
	r, err := http.NewRequestWithContext(ctx, method, p.url+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if method == http.MethodGet {
		r.Header.Set("Prefer", "wait=20")
	}
	answer, err := p.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != want {
		err = fmt.Errorf("status %d, want %d: %s", answer.StatusCode, want, data)
	}
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// stop ends the platform as Ctrl-C does, so that its offsets are committed.
func (p *platform) stop(t *testing.T) {
	t.Helper()
	if err := p.Stop(within(t, 20*time.Second)); err != nil {
		t.Error(err)
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
