package image

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"kbnt.dev/virtualization/config"
)

// funcYAML is what our files use of func's func.yaml. Reading is strict: a field
// that is not here is a mistake, or has to be looked up in the schema of func.
type funcYAML struct {
	SpecVersion string    `json:"specVersion"`
	Name        string    `json:"name"`
	Runtime     string    `json:"runtime"`
	Namespace   string    `json:"namespace"`
	Deployer    string    `json:"deployer"`
	Created     time.Time `json:"created"`
	Invoke      string    `json:"invoke"`
	Run         struct {
		Volumes []map[string]any `json:"volumes"`
		Envs    []struct {
			Name  string `json:"name"`
			Value string `json:"value"`
		} `json:"envs"`
	} `json:"run"`
	Deploy struct {
		Annotations map[string]string `json:"annotations"`
		Options     struct {
			Scale struct {
				Min         int    `json:"min"`
				Max         int    `json:"max"`
				Metric      string `json:"metric"`
				Target      int    `json:"target"`
				Utilization int    `json:"utilization"`
			} `json:"scale"`
			Resources struct {
				Requests map[string]string `json:"requests"`
				Limits   struct {
					CPU         string `json:"cpu"`
					Memory      string `json:"memory"`
					Concurrency int    `json:"concurrency"`
				} `json:"limits"`
			} `json:"resources"`
		} `json:"options"`
		Labels []struct {
			Key   string `json:"key"`
			Value string `json:"value"`
		} `json:"labels"`
		HealthEndpoints    map[string]string `json:"healthEndpoints"`
		ServiceAccountName string            `json:"serviceAccountName"`
	} `json:"deploy"`
}

func readFuncYAML(t *testing.T, file string) (f funcYAML) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root(t), file))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(data, &f); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return f
}

// files are where func finds each function.
func files() map[string]string {
	return map[string]string{"intake": "func.yaml", "provision": "functions/provision/func.yaml", "notify": "functions/notify/func.yaml"}
}

func TestFuncYAML(t *testing.T) {
	t.Parallel()
	for role, settings := range roles() {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			f := readFuncYAML(t, files()[role])
			if f.SpecVersion != "0.36.0" || f.Created.IsZero() || f.Runtime != "go" || f.Deployer != "knative" || f.Namespace != "kbnt" {
				t.Errorf("specVersion %q, created %s, runtime %q, deployer %q, namespace %q: want 0.36.0, some time, go, knative, kbnt", f.SpecVersion, f.Created, f.Runtime, f.Deployer, f.Namespace)
			}
			if f.Invoke != "http" {
				t.Errorf("invoke %q, want http: func's cloudevent middleware leaves requests unanswered under concurrency", f.Invoke)
			}
			if name := "kbnt-" + role; f.Name != name || f.Deploy.ServiceAccountName != name {
				t.Errorf("name %q, service account %q, want %s: the sources deliver to it", f.Name, f.Deploy.ServiceAccountName, name)
			}
			if h := f.Deploy.HealthEndpoints; h["liveness"] != "/health/liveness" || h["readiness"] != "/health/readiness" {
				t.Errorf("health endpoints %v, want those of func's middleware", h)
			}
			for key := range f.Deploy.Annotations {
				if strings.HasPrefix(key, "autoscaling.knative.dev/") {
					t.Errorf("annotation %s: func puts it on the Service too, where Serving refuses it", key)
				}
			}
			s, l := f.Deploy.Options.Scale, f.Deploy.Options.Resources.Limits
			if s.Min != 0 || s.Max < 1 || s.Metric != "concurrency" || s.Target < 1 || s.Target > l.Concurrency {
				t.Errorf("scale %+v with %d at once per instance, want it to end at 0 and to grow before an instance is full", s, l.Concurrency)
			}
			checkEnvironment(t, role, settings, f)
		})
	}
}

// checkEnvironment holds a file against the settings of its function, both ways.
func checkEnvironment(t *testing.T, role string, settings any, f funcYAML) {
	t.Helper()
	env := map[string]string{}
	for _, e := range f.Run.Envs {
		if _, twice := env[e.Name]; twice || e.Name == "" {
			t.Errorf("%q is there twice, or has no name, which func run refuses", e.Name)
		}
		env[e.Name] = e.Value
		// SSL_CERT_DIR is read by Go's own crypto/x509.
		if e.Name != "SSL_CERT_DIR" && !slices.Contains(config.Variables(settings), e.Name) {
			t.Errorf("%s is set, and %s does not read it; it reads %v", e.Name, role, config.Variables(settings))
		}
		if secret := e.Name == "DATABASE_URL"; secret != strings.HasPrefix(e.Value, "{{ secret:") {
			t.Errorf("%s is %q, want a reference to a Secret for what is one, and for nothing else", e.Name, e.Value)
		}
	}
	for _, variable := range config.Required(settings) {
		if _, ok := env[variable]; !ok {
			t.Errorf("%s is not set, and %s does not start without it", variable, role)
		}
	}
	if env["KBNT_FUNCTION"] != role {
		t.Errorf("KBNT_FUNCTION is %q, want %s", env["KBNT_FUNCTION"], role)
	}
	// The same topics as the program would be told on one sink, at their addresses in a cluster.
	const ingress = ".knative-eventing.svc.cluster.local"
	for variable, want := range environment(role, "", "") {
		if !strings.HasSuffix(variable, "_URL") || variable == "DATABASE_URL" {
			continue
		}
		host := "http://kafka-sink-ingress"
		if strings.HasSuffix(want, "/virtualization-events") {
			host = "http://kafka-broker-ingress"
		}
		if env[variable] != host+ingress+want {
			t.Errorf("%s is %q, want %q", variable, env[variable], host+ingress+want)
		}
	}
}

// What one function needs that another does not have shows in a diff of three
// files; everything else is the same in all of them.
func TestFuncYAMLNamesEveryFunction(t *testing.T) {
	t.Parallel()
	var found []string
	err := filepath.WalkDir(root(t), func(path string, d os.DirEntry, err error) error {
		if d != nil && d.IsDir() && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if err == nil && d.Name() == "func.yaml" {
			rel, _ := filepath.Rel(root(t), path)
			found = append(found, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := slices.Sorted(maps.Values(files())); !slices.Equal(found, want) {
		t.Errorf("func.yaml files %v, want %v", found, want)
	}
}
