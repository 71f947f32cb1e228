package process_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/integration/process"
)

// start runs a shell script, and skips the test where there is no shell.
func start(t *testing.T, script string) *process.Process {
	t.Helper()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh")
	}
	p, err := process.Start(exec.Command(shell, "-c", script))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestAwait(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		reason, script, want, failure string
	}{
		"said":   {"it goes on running", "echo ready; exec sleep 100", "ready\n", ""},
		"stderr": {"logs count too", "echo ready >&2; exec sleep 100", "ready\n", ""},
		"last":   {"what is said last counts although it ended", "echo ready", "ready\n", ""},
		"ended":  {"nothing more will come", "echo trouble; exit 3", "", "exit status 3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := start(t, test.script).Await(soon(t), "ready")
			if got != test.want || (err == nil) != (test.failure == "") {
				t.Errorf("Await after %q: %q, %v; want %q: %s", test.script, got, err, test.want, test.reason)
			}
			if err != nil && !(strings.Contains(err.Error(), test.failure) && strings.Contains(err.Error(), "trouble")) {
				t.Errorf("Await after %q: %v; want %q and what was said in it", test.script, err, test.failure)
			}
		})
	}
}

func TestAwaitGivesUp(t *testing.T) {
	t.Parallel()
	p := start(t, "exec sleep 100")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Await(ctx, "ready"); err == nil {
		t.Error("Await returned no error although its context ended")
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	p := start(t, "echo runs; exec sleep 100")
	if _, err := p.Await(soon(t), "runs"); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(soon(t)); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if err := p.Stop(soon(t)); err == nil {
		t.Error("Stop of a program that has ended returned no error: its end may have been a crash")
	}
	p.Kill() // does no harm
}

func TestStopKillsTheStubborn(t *testing.T) {
	t.Parallel()
	p := start(t, `trap "" TERM; echo runs; while :; do sleep 0.1; done`)
	if _, err := p.Await(soon(t), "runs"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Stop(ctx); err == nil {
		t.Error("Stop of a program that ignores it returned no error")
	}
	<-p.Ended()
}

func TestStartOfNothing(t *testing.T) {
	t.Parallel()
	missing := t.TempDir() + string(os.PathSeparator) + "missing"
	if _, err := process.Start(exec.Command(missing)); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("Start(%s): %v, want its name in the error", missing, err)
	}
}
