//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/integration/process"
)

const namespace = "kbnt"

// functions are the Knative Services of the platform.
var functions = []string{"kbnt-intake", "kbnt-provision", "kbnt-notify"}

// kubectl runs it and returns what it wrote to stdout.
func kubectl(t *testing.T, input string, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), "kubectl", args...)
	var said bytes.Buffer
	c.Stdin, c.Stderr = strings.NewReader(input), &said
	out, err := c.Output()
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, &said)
	}
	return string(out)
}

// needCluster skips without a cluster, and fails when the platform is not on it.
func needCluster(t *testing.T) {
	t.Helper()
	if os.Getenv("KUBECONFIG") == "" {
		t.Skip("KUBECONFIG is not set: these tests need a cluster with the platform on it (README, Deploy)")
	}
	if _, err := exec.LookPath("kubectl"); err != nil {
		t.Skip("kubectl is not installed: https://kubernetes.io/docs/tasks/tools")
	}
	for _, name := range functions {
		kubectl(t, "", "wait", "-n", namespace, "--for=condition=Ready", "--timeout=60s", "ksvc/"+name)
	}
}

var forwarding = regexp.MustCompile(`Forwarding from (127\.0\.0\.1:\d+)`)

// forward makes a Service reachable from here until the test ends, and returns
// where.
func forward(t *testing.T, namespace, service string) string {
	t.Helper()
	p, err := process.Start(exec.Command("kubectl", "port-forward", "-n", namespace, "service/"+service, ":80"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	said, err := p.Await(ctx, "Forwarding from 127.0.0.1")
	if err != nil {
		t.Fatalf("forward a port to %s in %s: %v", service, namespace, err)
	}
	return forwarding.FindStringSubmatch(said)[1]
}

// gateway is where cluster-local services are reached.
func gateway(t *testing.T) string {
	t.Helper()
	if address := os.Getenv("KBNT_E2E_GATEWAY"); address != "" {
		return address
	}
	// Every ingress of Knative gives a Service of its own for cluster-local
	// traffic, which the one of a function stands for:
	// kourier-internal.kourier-system.svc.cluster.local.
	name := kubectl(t, "", "get", "-n", namespace, "service", "kbnt-intake", "-o", "jsonpath={.spec.externalName}")
	service, rest, _ := strings.Cut(name, ".")
	where, _, _ := strings.Cut(rest, ".")
	if where == "" {
		t.Fatalf("the Service kbnt-intake stands for %q, want the gateway as service.namespace; KBNT_E2E_GATEWAY can name it", name)
	}
	return forward(t, where, service)
}

// sinks is where KafkaSinks are reached.
func sinks(t *testing.T) string {
	t.Helper()
	if address := os.Getenv("KBNT_E2E_SINKS"); address != "" {
		return address
	}
	return forward(t, "knative-eventing", "kafka-sink-ingress")
}

// running counts the pods of each function.
func running(ctx context.Context) (map[string]int, error) {
	out, err := exec.CommandContext(ctx, "kubectl", "get", "pods", "-n", namespace, "-l", "serving.knative.dev/service", "-o",
		`jsonpath={range .items[*]}{.metadata.labels.serving\.knative\.dev/service}{"\n"}{end}`).Output()
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	pods := map[string]int{}
	for _, name := range strings.Fields(string(out)) {
		pods[name]++
	}
	return pods, nil
}

// kill ends all pods of a function, as a node that dies ends them. There must be one.
func kill(t *testing.T, function string) {
	t.Helper()
	killed := kubectl(t, "", "delete", "pods", "-n", namespace, "-l", "serving.knative.dev/service="+function, "--force", "--grace-period=0", "-o", "name")
	if strings.TrimSpace(killed) == "" {
		t.Fatalf("%s has no pod to kill", function)
	}
}

// take removes an object until the test ends or the function it returns is
// called, whichever is first.
func take(t *testing.T, kind, name string) (back func()) {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(kubectl(t, "", "get", "-n", namespace, kind, name, "-o", "json")), &object); err != nil {
		t.Fatal(err)
	}
	delete(object, "status")
	if meta, ok := object["metadata"].(map[string]any); ok {
		for _, own := range []string{"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "finalizers"} {
			delete(meta, own)
		}
	}
	saved, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	isBack := false
	restore := func(ctx context.Context) error {
		if isBack {
			return nil
		}
		c := exec.CommandContext(ctx, "kubectl", "apply", "-f", "-")
		c.Stdin = bytes.NewReader(saved)
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("put %s %s back: %w\n%s", kind, name, err, out)
		}
		isBack = true
		return nil
	}
	t.Cleanup(func() { // the context of the test has ended by then
		if err := restore(context.Background()); err != nil {
			t.Errorf("%v\nit was:\n%s", err, saved)
		}
	})
	kubectl(t, "", "delete", "-n", namespace, kind, name, "--wait")
	return func() {
		t.Helper()
		if err := restore(t.Context()); err != nil {
			t.Fatal(err)
		}
		kubectl(t, "", "wait", "-n", namespace, "--for=condition=Ready", "--timeout=120s", kind+"/"+name)
	}
}
