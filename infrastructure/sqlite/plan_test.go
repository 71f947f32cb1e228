package sqlite

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// TestPlans: no query that a request waits for looks at all rows or sorts them,
// so none is slower when there are many. Of those for metrics and for the sweep,
// none looks at what is finished.
func TestPlans(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "x.db")})
	if err != nil {
		t.Fatalf("Open: %v, want no error", err)
	}
	defer s.Close()
	run(t, s)
	var queries []string
	for _, p := range []*prepared{s.reader, s.writer.conn} {
		for query := range p.all.Range {
			queries = append(queries, query.(string))
		}
	}
	if len(queries) < 50 {
		t.Errorf("got %d queries, want all of the package, at least 50", len(queries))
	}
	for _, query := range queries {
		explain(t, s, query)
	}
}

// run calls every method once, in each form that has a query of its own.
func run(t *testing.T, s *Store) {
	ctx := t.Context()
	must := func(errs ...any) {
		t.Helper()
		for _, e := range errs {
			if err, ok := e.(error); ok && domain.KindOf(err) != domain.NotFound {
				t.Fatalf("got %v, want no error, or NotFound", err)
			}
		}
	}
	now := time.Now()
	for _, scope := range []application.AdmitScope{
		{Tenant: "acme", RequestID: "r", VirtualID: "VM-1"}, {Tenant: "acme", RequestID: "r2", TargetID: "VM-1"}, {Tenant: "acme", RequestID: "r3", Name: "web"},
	} {
		must(s.Admit(ctx, scope, func(y *application.Tenancy) error {
			if y.Existing == nil && scope.VirtualID != "" {
				y.Admitted = &application.Admission{New: true,
					Request:  &domain.Request{Tenant: "acme", ID: "r", MessageID: "m", ResourceUID: "u", Status: domain.Processing, AcceptedAt: now},
					Resource: &domain.Resource{UID: "u", VirtualID: "VM-1", ClientName: "web", Tenant: "acme", Kind: domain.Machine, Live: true, Busy: "m", CreatedAt: now},
					Steps:    []domain.Step{{Name: "s"}}, Event: application.Event{ID: "e"}}
			}
			return nil
		}))
	}
	for _, scope := range []application.Scope{{MessageID: "m"}, {Tenant: "acme", RequestID: "r"}} {
		scope.Arrival, scope.Pools = &application.Arrival{Function: "f", EventID: "e"}, []string{"p"}
		must(s.Change(ctx, scope, func(w *application.Work) error {
			w.Request.Attempts, w.Request.User, w.Resource.State, w.Resource.Owner = w.Request.Attempts+1, w.Request.User+"x", w.Resource.State+"x", "x"
			w.Note(domain.Step{Name: "n"})
			w.Arm("e")
			w.Claim(domain.Claim{Pool: "p", Value: "v"})
			w.Free(time.Hour)
			w.Bury(application.DeadLetter{ID: "d"})
			return nil
		}))
	}
	for _, f := range []application.RequestFilter{{}, {Status: "s"}, {Type: "t"}, {Status: "s", Type: "t"}} {
		_, err := s.Requests(ctx, "acme", f)
		f.Before = "m"
		_, again := s.Requests(ctx, "acme", f)
		must(err, again)
	}
	for _, f := range []application.ResourceFilter{{}, {Gone: true}, {Kind: "k"}, {Gone: true, Kind: "k"}} {
		_, err := s.Resources(ctx, "acme", f)
		f.Before = "u"
		_, again := s.Resources(ctx, "acme", f)
		must(err, again)
	}
	for _, tenant := range []string{"", "acme"} {
		_, err := s.DeadLetters(ctx, tenant, 1, "")
		_, again := s.DeadLetters(ctx, tenant, 1, "d")
		must(err, again)
	}
	must(s.Request(ctx, "acme", "r"))
	must(s.Resource(ctx, "acme", "VM-1"))
	must(s.Usage(ctx, "acme"))
	must(s.Armed(ctx, 0, 1))
	must(s.Overdue(ctx, 1))
	must(s.Stalled(ctx, 0, 1))
	must(s.Standing(ctx, []string{"u"}))
	must(s.Acknowledge(ctx, "e", now))
	must(s.Bury(ctx, application.DeadLetter{ID: "d2"}, &application.Event{ID: "e2"}))
	must(s.DeadLetter(ctx, "d"))
	must(s.Resumed(ctx, "d", ""))
	must(s.Moot(ctx))
	must(s.Census(ctx))
	must(s.Durations(ctx, "t", 1))
	must(s.Write(ctx, "n", []byte("x"), 0))
	must(s.Names(ctx, "n"))
}

// fine are whole looks at something small: indexes that hold unfinished, live or
// open rows alone, JSON of a parameter, the steps of one request, lanes, and the documents.
var fine = []string{"requests_waiting", "requests_undecided", "resources_census", "json_group_array(ORDER BY)", "dead_letters_open", "json_each", "lanes",
	"dead_letters USING INDEX dead_letters_page", "CONSTANT ROW", "SCAN (subquery", "SCAN u", "documents", "totals"}

func explain(t *testing.T, s *Store, query string) {
	t.Helper()
	if word, _, _ := strings.Cut(query, " "); word == "BEGIN" || word == "COMMIT" || word == "ROLLBACK" {
		return
	}
	plan, err := all(t.Context(), s.reader, func(scan scanner, detail *string) error {
		var ignored any
		return scan(&ignored, &ignored, &ignored, detail)
	}, "EXPLAIN QUERY PLAN "+query, make([]any, strings.Count(query, "?"))...)
	if err != nil {
		t.Errorf("EXPLAIN %s: %v", query, err)
	}
	for _, line := range plan {
		bad := strings.HasPrefix(line, "SCAN") || strings.Contains(line, "TEMP B-TREE")
		for _, f := range fine {
			bad = bad && !strings.Contains(line, f)
		}
		if bad {
			t.Errorf("%s\ngot the plan %q, want every row found by an index", query, plan)
		}
	}
}
