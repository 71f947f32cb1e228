package manifesttest

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kbnt.dev/virtualization/config"
)

// The Knative Services that func deploy makes are such that Serving takes them.
func TestFunctionsBecomeServices(t *testing.T) {
	t.Parallel()
	j := newJudge(t)
	if len(j.services) != len(functionFiles) {
		t.Fatalf("got %d Services, want one for each of %v", len(j.services), functionFiles)
	}
	for _, service := range j.services {
		report(t, "func deploy", service, j.checker.check(service))
	}
}

// platforms are the renderings with which, and the functions, the platform is whole.
func platforms(t *testing.T) []rendering {
	t.Helper()
	list := slices.DeleteFunc(render(t), func(r rendering) bool { return !r.platform() })
	if len(list) == 0 {
		t.Skip("config/cluster has no kustomization: what the functions need of a cluster cannot be looked for")
	}
	return list
}

// What a func.yaml names, Secrets, ConfigMaps, service accounts and sinks, is in
// every platform: func deploy stops without the first three, and events are lost
// without the last.
func TestFunctionsFindWhatTheyName(t *testing.T) {
	t.Parallel()
	j := newJudge(t)
	for _, r := range platforms(t) {
		w := j.world(t, r)
		for _, service := range j.services {
			report(t, r.folder, service, slices.Concat(j.among(service, w), w.checkNamespace(service)))
		}
	}
}

// Every setting that a platform holds is read: one that is not would be changed
// without effect. ConfigMaps that others find by a label are theirs.
func TestSettingsAreRead(t *testing.T) {
	t.Parallel()
	j := newJudge(t)
	unread := map[string][]string{} // where, by what
	for _, r := range platforms(t) {
		whole := map[key]bool{}             // mounted, or named by something that reads all of it
		single := map[key]map[string]bool{} // read key by key
		for _, o := range slices.Concat(r.objects, j.services) {
			for _, named := range mentions(o) {
				if named.data == "" {
					whole[named.of] = true
				} else if single[named.of] == nil {
					single[named.of] = map[string]bool{named.data: true}
				} else {
					single[named.of][named.data] = true
				}
			}
		}
		for _, o := range r.objects {
			if o.GetKind() != "ConfigMap" || whole[o.key()] || o.GetLabels()["grafana_dashboard"] != "" {
				continue
			}
			data, _, _ := unstructured.NestedMap(o.Object, "data")
			names := slices.DeleteFunc(sorted(maps.Keys(data)), func(name string) bool { return single[o.key()][name] })
			if len(names) > 0 || single[o.key()] == nil {
				what := fmt.Sprintf("%s: data: nothing reads %q", o, names)
				unread[what] = append(unread[what], r.folder)
			}
		}
	}
	for _, what := range sorted(maps.Keys(unread)) {
		t.Errorf("%s: %s", strings.Join(unread[what], ", "), what)
	}
}

// samples are for what a template of a Secret leaves empty.
var samples = map[string]string{"url": "postgres://kbnt:secret@store:5432/kbnt?sslmode=verify-full"}

// With the values that a platform holds each function reads its configuration
// without a mistake. It sets the environment, which is the process's.
func TestFunctionsTakeTheirSettings(t *testing.T) {
	read := map[string]struct {
		settings any
		read     func() error
	}{
		"intake":    {new(config.Intake), func() error { _, err := config.ReadIntake(); return err }},
		"provision": {new(config.Provision), func() error { _, err := config.ReadProvision(); return err }},
		"notify":    {new(config.Notify), func() error { _, err := config.ReadNotify(); return err }},
	}
	functions := readFunctions(t)
	for _, r := range platforms(t) {
		if r.folder == everything {
			continue // without an overlay the settings are those of no cluster
		}
		values := newWorld(r.objects, secretTemplates(t))
		for role, f := range functions {
			t.Run(r.folder+"/"+role, func(t *testing.T) {
				clearEnvironment(t, read[role].settings)
				t.Setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1") // as Kubernetes tells every pod
				mount := values.mount(t, f)
				for _, e := range f.Run.Envs {
					t.Setenv(e.Name, mount(values.value(f.Namespace, e.Value)))
				}
				if err := read[role].read(); err != nil {
					t.Errorf("%s: with the values of %s: %v", f.file, r.folder, err)
				}
				if names := config.Ignored(read[role].settings); len(names) > 0 {
					t.Errorf("%s: sets %q, which %s does not read", f.file, names, role)
				}
			})
		}
	}
}

// mount writes the ConfigMaps that a function mounts into folders of the test. What
// it returns turns a path in the function's container into one of these.
func (w world) mount(t *testing.T, f function) func(path string) string {
	t.Helper()
	at := map[string]string{}
	for _, v := range f.Run.Volumes {
		if v.ConfigMap == "" {
			continue
		}
		at[v.Path] = t.TempDir()
		data, _, _ := unstructured.NestedStringMap(w[key{"", "ConfigMap", f.Namespace, v.ConfigMap}].Object, "data")
		for name, text := range data {
			if err := os.WriteFile(filepath.Join(at[v.Path], name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return func(path string) string {
		if folder, ok := at[filepath.Dir(path)]; ok {
			return filepath.Join(folder, filepath.Base(path))
		}
		return path
	}
}

// clearEnvironment unsets what this machine may have set of a function's variables.
func clearEnvironment(t *testing.T, settings any) {
	t.Helper()
	names := config.Variables(settings)
	for _, line := range os.Environ() {
		if name, _, _ := strings.Cut(line, "="); strings.HasPrefix(name, "KBNT_") {
			names = append(names, name)
		}
	}
	for _, name := range names {
		t.Setenv(name, "") // restores it afterwards
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
}

// value is that of a variable in func.yaml, with a reference followed.
func (w world) value(namespace, value string) string {
	kind, name, data, isReference, err := reference(value)
	if err != nil || !isReference {
		return value
	}
	o := w[key{"", kind, namespace, name}]
	if text, ok, _ := unstructured.NestedString(o.Object, "data", data); ok {
		return text
	}
	if text, ok, _ := unstructured.NestedString(o.Object, "stringData", data); ok {
		return cmp.Or(text, samples[data])
	}
	return value // config refuses a reference that was not followed
}
