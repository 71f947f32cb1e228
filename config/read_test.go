package config

import (
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/kelseyhightower/envconfig"
)

func TestReadNeverShowsASecret(t *testing.T) {
	var spec struct {
		Token  Secret `required:"true" desc:"a secret that is missing"`
		Pin    Secret `desc:"a secret that is there"`
		Number int    `default:"1" desc:"something else that is wrong"`
	}
	environ(t, &spec, map[string]string{"KBNT_PIN": "hunter2", "KBNT_NUMBER": "one"})
	err := read(&spec)
	if got := mistakes(t, err); len(got) != 2 || got[0].Variable != "KBNT_TOKEN" || got[0].Value != mask || got[1].Variable != "KBNT_NUMBER" {
		t.Errorf("got %v, want the missing secret as %s and the number", err, mask)
	}
	if spec.Pin != "hunter2" {
		t.Errorf("string(Pin) = %q, want hunter2", string(spec.Pin))
	}
	if all := fmt.Sprint(err, settings(&spec)); strings.Contains(all, "hunter2") {
		t.Errorf("the secret is shown: %s", all)
	}
}

func TestReadAsEnvconfigDoes(t *testing.T) {
	type spec struct {
		Plain    string
		TwoWords string
		HTTPPort int
		Group    struct{ InFlight uint }
		Bare     []string `envconfig:"SOME_BARE"`
		On       bool
	}
	type tagged struct { // envconfig splits no words unless it is told to
		Plain    string
		TwoWords string `split_words:"true"`
		HTTPPort int    `split_words:"true"`
		Group    struct {
			InFlight uint `split_words:"true"`
		}
		Bare []string `envconfig:"SOME_BARE"`
		On   bool
	}
	environ(t, new(spec), map[string]string{"KBNT_PLAIN": "a", "KBNT_TWO_WORDS": "b", "KBNT_HTTP_PORT": "3", "KBNT_GROUP_IN_FLIGHT": "4", "SOME_BARE": "c,d", "KBNT_ON": "true"})
	var ours spec
	var theirs tagged
	if err := read(&ours); err != nil {
		t.Fatal(err)
	}
	if err := envconfig.Process(prefix, &theirs); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(ours, spec(theirs)) || ours.Group.InFlight != 4 {
		t.Errorf("field by field: %+v, want what envconfig reads at once: %+v", ours, theirs)
	}
}

// Every struct of the package is documented, readable and bounded as its tags say.
func TestStructsAreWellFormed(t *testing.T) {
	for name, spec := range map[string]any{"Local": new(Local), "Intake": new(Intake), "Provision": new(Provision), "Notify": new(Notify)} {
		environ(t, spec, needed(spec))
		if err := read(spec); err != nil {
			t.Errorf("%s: its defaults are refused: %v", name, err)
		}
		seen := map[string]bool{}
		for f := range fields(prefix, reflect.ValueOf(spec).Elem()) {
			if f.tag.Get("desc") == "" {
				t.Errorf("%s: %s has no desc", name, f.name)
			}
			if low, high := f.bounds(); low > high {
				t.Errorf("%s: %s has min %v above max %v", name, f.name, low, high)
			}
			for _, variable := range f.variables() {
				// That of the API server is the one that is meant: no Service is to be named kbnt-kubernetes.
				if serviceLink(variable) && !strings.Contains(variable, "KUBERNETES_SERVICE_") {
					t.Errorf("%s: %s is a name that Kubernetes may make of a Service", name, variable)
				}
				if seen[variable] {
					t.Errorf("%s: %s is bound twice", name, variable)
				}
				seen[variable] = true
			}
		}
		if err := envconfig.Usagef(prefix, spec, io.Discard, "{{range .}}{{usage_description .}}{{end}}"); err != nil {
			t.Errorf("%s: envconfig cannot describe it: %v", name, err)
		}
	}
}

func TestSettingsAreLogged(t *testing.T) {
	environ(t, new(Local), map[string]string{"KBNT_QUOTA_MACHINES": "7"})
	l, err := ReadLocal()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("start", "config", l)
	for _, want := range []string{"config.KBNT_ADDR=127.0.0.1:8080", "config.KBNT_QUOTA_MACHINES=7", "config.KBNT_SEGMENTS=100-199", "config.KBNT_SWEEP=2s"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("logged %s, want %s in it", b.String(), want)
		}
	}
}

func BenchmarkReadLocal(b *testing.B) {
	for b.Loop() {
		if _, err := ReadLocal(); err != nil {
			b.Fatal(err)
		}
	}
}
