package config

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the tables in README.md")

// The table in README.md is made of the tags. go generate ./config rewrites it.
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
	want := "\n" + Table(new(Local)) + "\n"
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
