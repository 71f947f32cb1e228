package config

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the tables in README.md")

// The tables in README.md are made of the tags. go generate ./config rewrites it.
func TestREADME(t *testing.T) {
	t.Parallel()
	const file, begin, end = "../README.md", "<!-- config:begin -->\n", "<!-- config:end -->"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(data), begin)
	got, after, ends := strings.Cut(rest, end)
	if !begins || !ends {
		t.Fatalf("%s: want a section between %q and %q", file, begin, end)
	}
	want := "\nOn one machine, for `make run`:\n\n" + Table(new(Local)) +
		"\nIn a cluster, for all three functions:\n\n" + Table(new(Process)) +
		"\nFor intake, besides:\n\n" + Table(new(Intake), new(Process)) +
		"\nFor provision, besides:\n\n" + Table(new(Provision), new(Process)) +
		"\nFor notify, besides:\n\n" + Table(new(Notify), new(Process)) + "\n"
	if got == want {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the tags say; run go generate ./config\ngot:\n%s\nwant:\n%s", file, got, want)
	}
	if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
