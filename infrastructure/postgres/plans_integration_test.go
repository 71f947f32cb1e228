//go:build integration

package postgres

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// manyRows is 100 000 requests of 100 tenants, all but a few finished, each with a
// resource, steps and events. The triggers count along.
var manyRows = []string{
	`INSERT INTO resources SELECT 'uid-' || i, 'VM-' || upper(md5(i::text)), '', 'tenant-' || i % 100, '', 'name-' || i, 'virtual-machine', 'm-' || i, '{}', NULL, '', 1,
		now() - i * interval '1 minute', 1, 1, 1, 1, 0, 'RUNNING', i % 10 = 0, '', '', 0, NULL, '{}', '{}', now() FROM generate_series(1, 100000) i`,
	`INSERT INTO requests SELECT i, 'tenant-' || i % 100, 'r-' || i, 'm-' || i, '', 'CREATE_VIRTUAL_MACHINE', '', '', '', 'NORMAL', 'JSON', '', NULL, '{}', NULL,
		'uid-' || i, '', '', 0, 0, now() - i * interval '1 minute', 0, 0, 'to', '', '', CASE WHEN i <= 100 THEN '' ELSE 'COMPLETED' END,
		CASE WHEN i <= 100 THEN 'PROCESSING' ELSE 'COMPLETED' END, 'DONE', true, 1, 0, now(), now(), now(), now(), now(),
		CASE WHEN i <= 100 THEN now() END FROM generate_series(1, 100000) i`,
	`INSERT INTO steps SELECT i / 3, 'step-' || i % 3, i % 3, now(), 0, 'SUCCESS', NULL FROM generate_series(3, 300000) i`,
	`INSERT INTO outbox SELECT i, 'e-' || i, '', '', '', '', now(), '', '', NULL, 'data', 'requests', CASE WHEN i <= 100 THEN now() END, now(), 1 FROM generate_series(1, 100000) i`,
	`INSERT INTO inbox SELECT i, 'provision', 'e-' || i, now(), now(), 1, 0, 0, now() FROM generate_series(1, 100000) i`,
	`INSERT INTO claims SELECT 'ip/' || i % 1000, i::text, 'uid-' || i, 1, '', NULL FROM generate_series(1, 100000) i`,
	`INSERT INTO dead_letters SELECT 'd-' || i, 'tenant-' || i % 100, 'm-' || i, '', '', 'x', '', '', '', '', '', '', now(), '', '', NULL, NULL, '',
		CASE WHEN i <= 100 THEN 'OPEN' ELSE 'MOOT' END, '', now() FROM generate_series(1, 10000) i`,
	`ANALYZE`,
}

// Every statement that a request meets finds its rows by an index, with what the
// planner knows of 100 000 rows and with its own settings, not ours.
func TestPlans(t *testing.T) {
	server := benchServer(t)
	address := server.Schema(t)
	s, err := New(Options{URL: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Ping(t.Context()); err != nil {
		t.Fatalf("Ping: %v, want no error", err)
	}
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	for _, query := range manyRows {
		if _, err := conn.Exec(t.Context(), query); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}

	text, message := []string{"tenant-1"}, []string{"m-1", "m-50000"}
	target := []any{text, []string{"VM-1"}, text, []string{"name-1"}}
	queries := map[string]query{
		"admit: existing":     {args: []any{text, []string{"r-1"}}, text: existingQuery},
		"admit: taken":        {args: []any{[]string{"VM-12345678", "VM-ABCDEF01"}}, text: takenQuery},
		"admit: networks":     {args: []any{text}, text: networksQuery},
		"admit: sums":         {args: []any{text, nil}, text: sumsQuery},
		"admit: targets":      {args: target, text: targetsQuery},
		"admit: blockers":     {args: target, text: blockersQuery},
		"admit: users":        {args: target, text: usersQuery},
		"change: claims":      {args: []any{[]string{"ip/1"}}, text: claimsQuery},
		"status":              {args: []any{"tenant-1", "r-1"}, text: recordQuery},
		"armed":               {args: []any{nil, time.Second, 100}, text: armedQuery},
		"overdue":             {args: []any{nil, 100}, text: overdueQuery},
		"stalled":             {args: []any{nil, time.Second, 100}, text: stalledQuery},
		"durations":           {args: []any{"CREATE_VIRTUAL_MACHINE", 20}, text: durationsQuery},
		"moot":                {text: mootQuery},
		"write: requests":     {args: oneRow(len(requestMoving) + 1), text: texts[moveRequests]},
		"write: resources":    {args: oneRow(len(resourceMoving) + 1), text: texts[moveResources]},
		"write: events":       {args: oneRow(5), text: texts[moveEvents]},
		"write: cool claims":  {args: oneRow(2), text: texts[coolClaims]},
		"write: free claims":  {args: oneRow(1), text: texts[freeClaims]},
		"write: give up":      {args: oneRow(4), text: texts[giveUpClaims]},
		"write: forget":       {args: oneRow(1), text: texts[forgetClaims]},
		"resource of a page":  *resourcesQuery("tenant-1", application.ResourceFilter{Limit: 1}),
		"change: lock by key": {args: []any{message}, text: worksByMessage.requests},
	}
	for name, q := range map[string]workQueries{"message": worksByMessage, "name": workByName} {
		args := []any{message}
		if name == "name" {
			args = []any{"tenant-1", "r-1"}
		}
		for part, text := range map[string]string{"requests": q.requests, "resources": q.resources, "steps": q.steps, "outbox": q.outbox, "inbox": q.inbox} {
			queries["change by "+name+": "+part] = query{args: args, text: text}
		}
	}
	for _, f := range []application.RequestFilter{{}, {Status: domain.Processing}, {Type: domain.CreateMachine}, {Status: domain.Completed, Type: domain.CreateMachine}} {
		queries["requests of "+string(f.Status+" ")+string(f.Type)] = *requestsQuery("tenant-1", f)
		f.Before = "m-1"
		queries["more requests of "+string(f.Status+" ")+string(f.Type)] = *requestsQuery("tenant-1", f)
	}
	for _, f := range []application.ResourceFilter{{}, {Gone: true}, {Kind: domain.Machine}, {Kind: domain.Machine, Gone: true}} {
		name := map[bool]string{true: "all", false: "live"}[f.Gone] + " " + string(f.Kind)
		queries["resources "+name] = *resourcesQuery("tenant-1", f)
		f.Before = "uid-1"
		queries["more resources "+name] = *resourcesQuery("tenant-1", f)
	}
	for name, q := range queries {
		rows, err := conn.Query(t.Context(), "EXPLAIN "+q.text, q.args...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		plan := strings.Join(lines, "\n")
		if wholeTable.MatchString(plan) {
			t.Errorf("%s: got a plan that reads a whole table, want one by index:\n%s\n%s", name, q.text, plan)
		}
	}
}

// wholeTable finds a scan of all of a table that grows with the number of requests.
var wholeTable = regexp.MustCompile(`Seq Scan on (requests|resources|steps|outbox|inbox|claims|dead_letters)\b`)

// oneRow are parameters for one row of NULLs.
func oneRow(n int) []any {
	return rows{make([]any, n)}.turned()
}
