package monitoring_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// rule is one of a PrometheusRule, read strictly.
type rule struct {
	Record      string            `json:"record"`
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

type group struct {
	Name  string `json:"name"`
	Rules []rule `json:"rules"`
}

// spec is that of a PrometheusRule; Prometheus reads the same as a file of rules.
type spec struct {
	Groups []group `json:"groups"`
}

func readSpec(t *testing.T) spec {
	t.Helper()
	text, err := os.ReadFile("prometheusrule-kbnt.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		APIVersion string         `json:"apiVersion"`
		Kind       string         `json:"kind"`
		Metadata   map[string]any `json:"metadata"`
		Spec       spec           `json:"spec"`
	}
	if err := yaml.UnmarshalStrict(text, &document); err != nil {
		t.Fatal(err)
	}
	return document.Spec
}

func readRules(t *testing.T) (rules []rule) {
	t.Helper()
	for _, g := range readSpec(t).Groups {
		rules = append(rules, g.Rules...)
	}
	if len(rules) < 10 {
		t.Fatalf("found %d rules, want all of them", len(rules))
	}
	return rules
}

// recorded are the names that recording rules make.
func recorded(rules []rule) (names []string) {
	for _, r := range rules {
		if r.Record != "" {
			names = append(names, r.Record)
		}
	}
	return names
}

func TestRulesNameWhatIsExposed(t *testing.T) {
	t.Parallel()
	metrics, rules := exposed(t), readRules(t)
	names := recorded(rules)
	for _, r := range rules {
		for _, fault := range faults(r.Expr, metrics, names) {
			t.Errorf("%s%s: %s", r.Record, r.Alert, fault)
		}
	}
	for _, want := range []string{"kbnt_processing_success_rate", "kbnt_business_sla_compliance"} {
		if !slices.Contains(names, want) {
			t.Errorf("no rule records %s, which the product promises", want)
		}
	}
}

// Who is woken by an alert reads three things, and the third leads to a page.
func TestEveryAlertIsExplained(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/operations/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	var headings, alerts []string
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "## Kbnt"); ok {
			headings = append(headings, "Kbnt"+strings.TrimSpace(name))
		}
	}
	for _, r := range readRules(t) {
		if r.Alert == "" {
			continue
		}
		alerts = append(alerts, r.Alert)
		if s := r.Labels["severity"]; s != "warning" && s != "critical" {
			t.Errorf("%s: severity %q, want warning or critical", r.Alert, s)
		}
		for _, key := range []string{"summary", "description", "runbook_url"} {
			if r.Annotations[key] == "" {
				t.Errorf("%s has no %s", r.Alert, key)
			}
		}
		if want := "/docs/operations/alerts.md#" + strings.ToLower(r.Alert); !strings.HasSuffix(r.Annotations["runbook_url"], want) {
			t.Errorf("%s: runbook_url %q, want it to end with %s", r.Alert, r.Annotations["runbook_url"], want)
		}
	}
	if !slices.Equal(headings, alerts) {
		t.Errorf("docs/operations/alerts.md explains %q, want the alerts in their order: %q", headings, alerts)
	}
}

// Every alert is seen to fire, and to stay quiet.
func TestEveryAlertHasItsTest(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("tests/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var suite struct {
			Tests []struct {
				Alerts []struct {
					Name string `json:"alertname"`
					Want []any  `json:"exp_alerts"`
				} `json:"alert_rule_test"`
			} `json:"tests"`
		}
		if err := yaml.Unmarshal(text, &suite); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, test := range suite.Tests {
			for _, alert := range test.Alerts {
				if len(alert.Want) > 0 {
					fires[alert.Name] = true
				} else {
					quiet[alert.Name] = true
				}
			}
		}
	}
	for _, r := range readRules(t) {
		if r.Alert != "" && (!fires[r.Alert] || !quiet[r.Alert]) {
			t.Errorf("%s: seen to fire: %v, to stay quiet: %v; want both", r.Alert, fires[r.Alert], quiet[r.Alert])
		}
	}
}
