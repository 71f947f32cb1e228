package monitoring_test

import (
	"encoding/json"
	"os"
	"testing"
)

// panel is what a test wants of a panel of Grafana.
type panel struct {
	ID          int    `json:"id"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Type        string `json:"type"`
	Targets     []struct {
		Expr string `json:"expr"`
	} `json:"targets"`
	Panels []panel `json:"panels"` // of a row that is folded
}

func TestDashboardNamesWhatIsExposed(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("dashboards/kbnt.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		UID    string  `json:"uid"`
		Title  string  `json:"title"`
		Panels []panel `json:"panels"`
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	if dashboard.UID == "" || dashboard.Title == "" {
		t.Errorf("uid %q, title %q: want both, or it is imported anew each time", dashboard.UID, dashboard.Title)
	}
	metrics, names := exposed(t), recorded(readRules(t))
	queries, ids := 0, map[int]string{}
	for _, p := range dashboard.Panels {
		for _, p := range append([]panel{p}, p.Panels...) {
			if other, taken := ids[p.ID]; taken {
				t.Errorf("%q and %q have the id %d", p.Title, other, p.ID)
			}
			ids[p.ID] = p.Title
			if p.Type == "row" {
				continue
			}
			if p.Title == "" || p.Description == "" || len(p.Targets) == 0 {
				t.Errorf("panel %d %q: want a title, a description and a query", p.ID, p.Title)
			}
			for _, target := range p.Targets {
				queries++
				for _, fault := range faults(target.Expr, metrics, names) {
					t.Errorf("%q: %s: %s", p.Title, target.Expr, fault)
				}
			}
		}
	}
	if queries < 10 {
		t.Errorf("found %d queries, want those of all panels", queries)
	}
}
