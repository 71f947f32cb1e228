package eventing_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kbnt.dev/virtualization/eventing"
)

// constants reads the names and values of the constants in contract.go whose
// name begins with prefix. The source is read because the tests must also
// notice a constant that nothing else mentions.
func constants(t *testing.T, prefix string) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "contract.go", nil, 0)
	if err != nil {
		t.Fatalf("read the constants: %v", err)
	}
	found := map[string]string{}
	for spec := range valueSpecs(file) {
		for i, name := range spec.Names {
			literal, ok := spec.Values[i].(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				t.Fatalf("contract.go: %s is not a string literal, so the tests cannot see its value", name)
			}
			value, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatalf("contract.go: value of %s: %v", name, err)
			}
			if strings.HasPrefix(name.Name, prefix) {
				found[name.Name] = value
			}
		}
	}
	if len(found) == 0 {
		t.Fatalf("contract.go has no constant whose name begins with %s", prefix)
	}
	return found
}

// valueSpecs yields the constants of a file, one declaration at a time.
func valueSpecs(file *ast.File) func(yield func(*ast.ValueSpec) bool) {
	return func(yield func(*ast.ValueSpec) bool) {
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.CONST {
				continue
			}
			for _, spec := range gen.Specs {
				if !yield(spec.(*ast.ValueSpec)) {
					return
				}
			}
		}
	}
}

// values are the sorted values of the constants with that prefix.
func values(t *testing.T, prefix string) []string {
	t.Helper()
	return slices.Sorted(maps.Values(constants(t, prefix)))
}

// without returns list less the excepted values.
func without(list []string, excepted ...string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(excepted, s) })
}

// sameSet requires the same values in both lists, in any order, none of them twice.
func sameSet(t *testing.T, what string, got, want []string) {
	t.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestConstantsAreUnique(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"Topic", "Type", "Event", "Source", "Ext", "Group", "Reason"} {
		list := values(t, prefix)
		if unique := slices.Compact(slices.Clone(list)); len(unique) != len(list) {
			t.Errorf("constants %s*: got %q, want no value twice", prefix, list)
		}
	}
}

func TestNamesFollowTheirRules(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reason string
		rule   *regexp.Regexp
	}{
		"Topic":   {"a topic is also the name of Kubernetes objects", regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)},
		"Group":   {"groups are kebab-case like the topics", regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)},
		"Ext":     {"CloudEvents allows a-z and 0-9 in names of attributes, nothing else", regexp.MustCompile(`^[a-z0-9]+$`)},
		"Type":    {"types are reverse domain names", regexp.MustCompile(`^dev\.(kbnt|knative)\.[a-z.]+$`)},
		"Source":  {"a source is the path of a function", regexp.MustCompile(`^/kbnt/virtualization/[a-z]+$`)},
		"Reason":  {"reasons are kebab-case", regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)},
		"Event":   {"eventType values are upper case words", regexp.MustCompile(`^VIRTUALIZATION_[A-Z]+$`)},
		"Service": {"services are kebab-case", regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)},
	}
	for prefix, test := range tests {
		t.Run(prefix, func(t *testing.T) {
			t.Parallel()
			for name, value := range constants(t, prefix) {
				if !test.rule.MatchString(value) {
					t.Errorf("%s: got %q, want %s: %s", name, value, test.rule, test.reason)
				}
			}
		})
	}
}

// dataSchema is a kind of data as contract.go names it.
type dataSchema struct{ name, version string }

// uri is the value of the attribute dataschema.
func (s dataSchema) uri() string { return eventing.SchemaBase + s.name + "/" + s.version }

// dataSchemas pairs each constant SchemaX with SchemaXVersion.
func dataSchemas(t *testing.T) []dataSchema {
	t.Helper()
	all := constants(t, "Schema")
	var list []dataSchema
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if name == "SchemaBase" || strings.HasSuffix(name, "Version") {
			continue
		}
		version, ok := all[name+"Version"]
		if !ok {
			t.Errorf("contract.go: %s has no %sVersion", name, name)
		}
		list = append(list, dataSchema{all[name], version})
	}
	return list
}

func TestDataSchemaURIsAreAbsolute(t *testing.T) {
	t.Parallel()
	version := regexp.MustCompile(`^\d+\.\d+\.\d+$`)
	for _, schema := range dataSchemas(t) {
		uri, err := url.Parse(schema.uri())
		if err != nil {
			t.Errorf("dataschema of %s: %v", schema.name, err)
			continue
		}
		if !uri.IsAbs() || uri.Host == "" || uri.RawQuery != "" || uri.Fragment != "" {
			t.Errorf("dataschema of %s: got %q, want an absolute URI without query and fragment", schema.name, uri)
		}
		if !version.MatchString(schema.version) {
			t.Errorf("version of %s: got %q, want three numbers", schema.name, schema.version)
		}
	}
}
