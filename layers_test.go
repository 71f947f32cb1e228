package function_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestLayers holds every Go file of the module, whatever its build tags, against
// the tables of layers_rules_test.go. It reads the files themselves: a go list
// would leave out what this machine does not build, and may answer from a cache.
func TestLayers(t *testing.T) {
	t.Parallel()
	broken, files, err := check(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	if files < 40 {
		t.Errorf("found %d Go files, want the whole module", files)
	}
	for _, violation := range broken {
		t.Error(violation)
	}
}

// check returns what breaks a rule in the module at the root of a file system,
// a sentence each, and how many files it read.
func check(fsys fs.FS) (broken []string, files int, err error) {
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && skipped(fsys, name):
			return fs.SkipDir
		case d.IsDir():
			if _, known := layers[unit(name)]; !known {
				broken = append(broken, fmt.Sprintf("%s: no folder that the rules know; give it a place in layers_rules_test.go, or its files another one", name))
				return fs.SkipDir
			}
			return nil
		case path.Ext(name) != ".go":
			return nil
		}
		files++
		source, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		found, err := checkFile(name, source)
		broken = append(broken, found...)
		return err
	})
	return broken, files, err
}

// skipped reports whether a folder is none of the module's: what the go command
// passes over, what is built, and modules of their own.
func skipped(fsys fs.FS, name string) bool {
	base := path.Base(name)
	_, err := fs.Stat(fsys, path.Join(name, "go.mod"))
	return base == "testdata" || base == "vendor" || name == "bin" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || err == nil
}

// unit is the row of layers that a folder belongs to: the folder itself, or for
// those below it the one above that has a row. Folders side by side in
// infrastructure and functions share a row, and still are strangers.
func unit(dir string) string {
	parts := strings.Split(dir, "/")
	switch {
	case under(dir, "infrastructure/postgres/postgrestest"):
		return "infrastructure/postgres/postgrestest"
	case under(dir, "infrastructure/libvirt/libvirttest"):
		return "infrastructure/libvirt/libvirttest"
	case under(dir, "infrastructure/cloudinit"):
		return "infrastructure/cloudinit"
	case (parts[0] == "infrastructure" || parts[0] == "functions") && len(parts) > 1:
		return parts[0] + "/*"
	case under(dir, "eventing/local"):
		return "eventing/local"
	case under(dir, "application/applicationtest"):
		return "application/applicationtest"
	}
	return parts[0]
}

// neighbour is the name that tells units of one row apart.
func neighbour(dir string) string {
	if strings.HasSuffix(unit(dir), "/*") {
		return strings.Join(strings.Split(dir, "/")[:2], "/")
	}
	return unit(dir)
}

func checkFile(name string, source []byte) ([]string, error) {
	positions := token.NewFileSet()
	file, err := parser.ParseFile(positions, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := goFile{dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), names: map[string]string{}}
	note := func(at token.Pos, why string) {
		if why != "" {
			f.broken = append(f.broken, fmt.Sprintf("%s:%d: %s", name, positions.Position(at).Line, why))
		}
	}
	for _, i := range file.Imports {
		imported, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return nil, err
		}
		local := path.Base(imported)
		if i.Name != nil {
			local = i.Name.Name
		}
		if local == "." {
			note(i.Pos(), "imports "+imported+" as a dot: nobody sees what is used of it")
		}
		f.names[local] = imported
		note(i.Pos(), f.mayImport(imported))
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" {
				note(n.Pos(), "func init: whoever imports a package decides what happens, and when")
			}
		case *ast.SelectorExpr:
			note(n.Pos(), f.mayUse(n))
		}
		return true
	})
	return f.broken, nil
}

// goFile is one file on trial.
type goFile struct {
	dir    string
	test   bool
	names  map[string]string // what it imports, by the name it uses for it
	broken []string
}

// mayImport says why the file may not import a package, nothing if it may.
func (f goFile) mayImport(imported string) string {
	row := layers[unit(f.dir)]
	for _, bad := range slices.Sorted(maps.Keys(never)) {
		if under(imported, bad) {
			return fmt.Sprintf("imports %s: %s", imported, never[bad])
		}
	}
	if under(imported, module) {
		return f.mayImportOurs(row, strings.TrimPrefix(strings.TrimPrefix(imported, module), "/"))
	}
	if standard := !strings.Contains(strings.Split(imported, "/")[0], "."); standard {
		for _, bad := range row.without {
			if under(imported, bad) && !slices.Contains(harmless, imported) {
				return fmt.Sprintf("imports %s: %s", imported, row.why)
			}
		}
		return ""
	}
	fits := func(m string) bool { return under(imported, m) }
	if !row.others && !(f.test && slices.ContainsFunc(row.tests, fits)) {
		return fmt.Sprintf("imports %s: %s", imported, row.why)
	}
	if f.inImage() {
		for _, bad := range slices.Sorted(maps.Keys(laptopOnly)) {
			if under(imported, bad) {
				return fmt.Sprintf("imports %s: %s; the image carries nothing that only the laptop needs", imported, laptopOnly[bad])
			}
		}
	}
	return ""
}

func (f goFile) mayImportOurs(row layer, ours string) string {
	target := unit(ours)
	if ours == "" {
		target = "."
	}
	fits := func(m string) bool { return under(ours, m) }
	switch {
	case target == "application/applicationtest" && !f.test && unit(f.dir) != target:
		return "imports application/applicationtest: contracts are for tests, and bring testing along"
	case target == "infrastructure/postgres/postgrestest" && !f.test && unit(f.dir) != target:
		return "imports infrastructure/postgres/postgrestest: it is for tests, and brings testing along"
	case target == "infrastructure/libvirt/libvirttest" && !f.test && unit(f.dir) != target:
		return "imports infrastructure/libvirt/libvirttest: it is for tests, and starts other programs"
	case ours == "infrastructure/sqlite" && f.inImage():
		return "imports infrastructure/sqlite: the image carries nothing that only the laptop needs"
	case f.test && slices.ContainsFunc(row.tests, fits), target == unit(f.dir) && neighbour(ours) == neighbour(f.dir):
		return ""
	case !slices.Contains(row.may, target):
		return fmt.Sprintf("imports %s: %s", path.Join(module, ours), row.why)
	}
	return ""
}

// inImage reports whether the file becomes part of a function's image.
func (f goFile) inImage() bool {
	return !f.test && layers[unit(f.dir)].image && !under(f.dir, "infrastructure/sqlite")
}

// mayUse says why the file may not use a name of another package or a method.
func (f goFile) mayUse(s *ast.SelectorExpr) string {
	u, named := uses[s.Sel.Name]
	if !named {
		return ""
	}
	if u.of != "" {
		x, ok := s.X.(*ast.Ident)
		if !ok || f.names[x.Name] != u.of || f.test {
			return ""
		}
	}
	if u.in != nil && !slices.Contains(u.in, unit(f.dir)) || slices.Contains(u.notIn, unit(f.dir)) {
		return ""
	}
	return fmt.Sprintf("uses %s: %s", s.Sel.Name, u.why)
}

// under reports whether a path is another one or below it.
func under(p, root string) bool { return p == root || strings.HasPrefix(p, root+"/") }
