package image

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "kbnt.dev/virtualization"

// pins are what func 1.23 requires of its own accord in the module around an
// http function (templates/go/scaffolding/instanced-http/go.mod). They win over
// the versions of go.mod without a compare, and go build fails when go.mod
// needs a newer one.
func pins() map[string]string {
	return map[string]string{
		"github.com/mattn/go-colorable": "v0.1.15",
		"github.com/mattn/go-isatty":    "v0.0.23",
		"github.com/rs/zerolog":         "v1.35.1",
		"golang.org/x/sys":              "v0.47.0",
	}
}

// Equal, not only old enough: so the versions that are tested here are those in
// the image.
func TestGoModHasThePinsOfFunc(t *testing.T) {
	t.Parallel()
	names := slices.Sorted(maps.Keys(pins()))
	for line := range strings.Lines(run(t, root(t), "go", append([]string{"list", "-m"}, names...)...)) {
		name, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		if want := pins()[name]; version != want {
			t.Errorf("%s is %s in go.mod, and func puts %s into the image: go get %s@%s", name, version, want, name, want)
		}
	}
}

// func looks into the files of the root and nowhere else, and refuses a function
// that has both New and Handle, or neither.
func TestRootIsAnInstancedFunction(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob(filepath.Join(root(t), "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				found[f.Name.Name]++
			}
		}
	}
	if found["New"] != 1 || found["Handle"] != 0 {
		t.Errorf("the root has %d functions New and %d functions Handle, want one New alone: tests count, too", found["New"], found["Handle"])
	}
}

// scaffold writes what func writes around a function into a folder: a module s
// whose main serves what New returns. func merges go.mod's requirements and
// go.sum into its own; replace and exclude lines are not merged, so there must
// be none.
func scaffold(t testing.TB) (dir string) {
	t.Helper()
	dir = t.TempDir()
	const main = `package main

import (
	"fmt"
	"os"

	"knative.dev/func-go/http"

	f "` + module + `"
)

func main() {
	if err := http.Start(f.New()); err != nil {
		fmt.Fprintln(os.Stderr, err.Error())
		os.Exit(1)
	}
}
`
	gomod, err := os.ReadFile(filepath.Join(root(t), "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	gosum, err := os.ReadFile(filepath.Join(root(t), "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(gomod) {
		if bytes.HasPrefix(line, []byte("replace ")) || bytes.HasPrefix(line, []byte("exclude ")) {
			t.Errorf("go.mod: %sfunc does not take this line over into the module it builds", line)
		}
	}
	merged := strings.Replace(string(gomod), "module "+module, "module s", 1) +
		"\nrequire " + module + " v0.0.0-00010101000000-000000000000\n\nreplace " + module + " => ./f\n"
	for name, version := range pins() {
		for line := range strings.Lines(merged) {
			if strings.HasPrefix(strings.TrimSpace(line), name+" ") {
				merged = strings.Replace(merged, line, "\t"+name+" "+version+" // indirect\n", 1)
			}
		}
	}
	for name, data := range map[string]string{"main.go": main, "go.mod": merged, "go.sum": string(gosum)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(root(t), filepath.Join(dir, "f")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// build makes the program of the image for this machine.
func build(t testing.TB) (program string) {
	t.Helper()
	dir := scaffold(t)
	program = filepath.Join(dir, "function")
	run(t, dir, "go", "build", "-o", program, ".")
	return program
}

// root is the folder of the module.
func root(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// run runs the go command as func does: without cgo, and without a workspace.
func run(t testing.TB, dir, name string, args ...string) (out string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), name, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=", "GOOS=", "GOARCH=")
	if strings.Contains(strings.Join(args, " "), "-deps") {
		c.Env = append(c.Env, "GOOS=linux", "GOARCH=amd64")
	}
	var said bytes.Buffer
	c.Stderr = &said
	data, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", c.Args, err, said.String())
	}
	return string(data)
}
