//go:build integration

package monitoring_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestPromtool gives promtool the groups of the PrometheusRule, as they are, with
// the tests of tests/.
func TestPromtool(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: it comes with Prometheus, on Debian in the package prometheus")
	}
	dir := t.TempDir()
	text, err := os.ReadFile("prometheusrule-kbnt.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Spec map[string]any `json:"spec"`
	}
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	rules, err := yaml.Marshal(document.Spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "rules.yaml"), rules, 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(t *testing.T, args ...string) {
		t.Helper()
		c := exec.CommandContext(t.Context(), promtool, args...)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("promtool %q: %v\n%s", args, err, out)
		}
	}
	run(t, "check", "rules", "rules.yaml")
	tests, err := filepath.Glob("tests/*.yaml")
	if err != nil || len(tests) == 0 {
		t.Fatalf("found no tests (%v), want those in tests/", err)
	}
	for _, test := range tests {
		name := filepath.Base(test)
		text, err := os.ReadFile(test)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, "test", "rules", name)
		})
	}
}
