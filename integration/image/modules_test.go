package image

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	_ "kbnt.dev/virtualization" // so that go test runs these tests again whenever the image changes
)

var update = flag.Bool("update", false, "rewrite testdata/modules.txt")

// The image carries what a function needs, and nothing that only the laptop or a
// test needs. A new line in testdata/modules.txt is a decision: it costs time at
// every cold start, and somebody has to follow its security advisories.
func TestModulesOfTheImage(t *testing.T) {
	t.Parallel()
	const golden = "testdata/modules.txt"
	var modules []string
	for line := range strings.Lines(run(t, scaffold(t), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".")) {
		if m := strings.TrimSpace(line); m != "" && m != "s" {
			modules = append(modules, m)
		}
	}
	slices.Sort(modules)
	modules = slices.Compact(modules)

	forbidden := map[string]string{
		"modernc.org/sqlite":              "SQLite is the laptop's store",
		"github.com/IBM/sarama":           "a function speaks HTTP to sinks and sources, never Kafka",
		"github.com/twmb/franz-go":        "a function speaks HTTP to sinks and sources, never Kafka",
		"k8s.io/client-go":                "triples the time of a cold start",
		"k8s.io/apimachinery":             "doubles the time of a cold start",
		"knative.dev/pkg":                 "func's middleware handles signals in the image",
		"sigs.k8s.io/controller-runtime":  "triples the time of a cold start",
		"github.com/rogpeppe/go-internal": "scripts are tests",
	}
	for _, m := range modules {
		for bad, why := range forbidden {
			if m == bad || strings.HasPrefix(m, bad+"/") {
				t.Errorf("the image holds %s: %s; go mod why -m %s tells who brings it", m, why, m)
			}
		}
	}
	got := strings.Join(modules, "\n") + "\n"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the modules of the image are not those of %s; if that is meant, go test ./integration/image -update\ngot:\n%s\nwant:\n%s", golden, got, want)
	}
}
