package manifesttest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// functionFiles are where func finds each function; integration/image sees to it
// that there is no other.
var functionFiles = map[string]string{
	"intake":    "func.yaml",
	"provision": "functions/provision/func.yaml",
	"notify":    "functions/notify/func.yaml",
}

// function is what func reads of a func.yaml, as far as ours have it: the fields
// of func's schema/func_yaml-schema.json. Reading is strict.
type function struct {
	SpecVersion string    `json:"specVersion"`
	Name        string    `json:"name"`
	Runtime     string    `json:"runtime"`
	Namespace   string    `json:"namespace"`
	Deployer    string    `json:"deployer"`
	Created     time.Time `json:"created"`
	Invoke      string    `json:"invoke"`
	Run         struct {
		Volumes []volume `json:"volumes"`
		Envs    []env    `json:"envs"`
	} `json:"run"`
	Deploy struct {
		Annotations map[string]string `json:"annotations"`
		Options     struct {
			Scale     scale     `json:"scale"`
			Resources resources `json:"resources"`
		} `json:"options"`
		Labels          []label `json:"labels"`
		HealthEndpoints struct {
			Liveness  string `json:"liveness"`
			Readiness string `json:"readiness"`
		} `json:"healthEndpoints"`
		ServiceAccountName string `json:"serviceAccountName"`
		ImagePullSecret    string `json:"imagePullSecret"`
	} `json:"deploy"`

	file string
}

type env struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type label struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type volume struct {
	Secret    string `json:"secret"`
	ConfigMap string `json:"configMap"`
	EmptyDir  *struct {
		Medium    string `json:"medium"`
		SizeLimit string `json:"sizeLimit"`
	} `json:"emptyDir"`
	Path string `json:"path"`
}

type scale struct {
	Min         *int64   `json:"min"`
	Max         *int64   `json:"max"`
	Metric      string   `json:"metric"`
	Target      *float64 `json:"target"`
	Utilization *float64 `json:"utilization"`
}

type resources struct {
	Requests struct {
		CPU    string `json:"cpu"`
		Memory string `json:"memory"`
	} `json:"requests"`
	Limits struct {
		CPU         string `json:"cpu"`
		Memory      string `json:"memory"`
		Concurrency *int64 `json:"concurrency"`
	} `json:"limits"`
}

// readFunctions reads the func.yaml of each role.
func readFunctions(t *testing.T) map[string]function {
	t.Helper()
	all := map[string]function{}
	for role, file := range functionFiles {
		text, err := os.ReadFile(filepath.Join(top, file))
		if err != nil {
			t.Fatal(err)
		}
		f, err := parseFunction(text)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		f.file = file
		all[role] = f
	}
	return all
}

func parseFunction(text []byte) (f function, err error) {
	text, err = yaml.YAMLToJSONStrict(text)
	if err != nil {
		return f, err
	}
	strict, err := json.UnmarshalStrict(text, &f)
	if err != nil || len(strict) > 0 {
		return f, fmt.Errorf("%v %w", strict, err)
	}
	return f, nil
}
