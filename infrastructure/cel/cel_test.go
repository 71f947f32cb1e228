package cel_test

import (
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/cel"
)

func sample(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/policies.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// open is what is on trial.
func open(text []byte) *cel.Policies {
	return cel.New(cel.Options{File: "policies.yaml", Text: text, Log: slog.New(slog.DiscardHandler)})
}

func TestJudge(t *testing.T) {
	t.Parallel()
	p := open(sample(t))
	ann := domain.Caller{User: "ann", Tenant: "acme", Roles: []string{domain.RoleUser}}
	machine := func(change func(*domain.MachineSpec)) domain.Draft {
		m := &domain.MachineSpec{Cores: 4, Memory: 8 * domain.GiB, Disk: 100 * domain.GiB, DiskType: domain.SSD, Image: domain.DefaultImage,
			Network: domain.Attachment{Mode: domain.ModeBridged}, UserData: "#cloud-config\npassword: hunter2"}
		change(m)
		return domain.Draft{Type: domain.CreateMachine, Spec: domain.Specification{Machine: m}}
	}
	network := domain.Draft{Type: domain.CreateNetwork, Spec: domain.Specification{Network: &domain.NetworkSpec{Subnet: netip.MustParsePrefix("192.168.0.0/24"), VLAN: 7}}}
	cases := map[string]struct {
		reason string
		caller domain.Caller
		draft  domain.Draft
		hourly domain.Money
		want   []string // codes
		values string   // part of what is recorded
	}{
		"a small machine": {"nothing is against it", ann, machine(func(*domain.MachineSpec) {}), 45_000, nil,
			`large-machines kept (caller.roles [user], cores 4, memoryGiB 8, type "CREATE_VIRTUAL_MACHINE"); web-is-filtered not concerned (kind "virtual-machine", securityGroups [], vlan 0); costs-are-booked not concerned (hourlyCostUSD 0.045, labels []); private-networks not concerned`},
		"half a GiB too much": {"units are GiB, with fractions", ann, machine(func(m *domain.MachineSpec) { m.Memory = 128*domain.GiB + 512 }), 0,
			[]string{"policy-large-machines"}, "memoryGiB 128.5"},
		"several at once": {"the client hears of everything", ann, machine(func(m *domain.MachineSpec) {
			m.Cores, m.Network = 64, domain.Attachment{Mode: domain.ModeVLAN, Name: "vlan-110", VLAN: 110}
		}), 600_000, []string{"policy-large-machines", "policy-web-is-filtered", "policy-costs-are-booked"}, "web-is-filtered broken (kind"},
		"an operator": {"roles are the caller's", domain.Caller{Roles: []string{domain.RoleOperator}}, machine(func(m *domain.MachineSpec) { m.Cores = 64 }), 0, nil, "caller.roles [operator]"},
		"a network":   {"a prefix is its text", ann, network, 0, []string{"policy-private-networks"}, `cidr "192.168.0.0/24"`},
		"nothing in it": {"other rules have been broken, and this must not fall over it", ann, domain.Draft{Type: domain.CreateMachine}, 0, nil,
			"cores 0"},
		"an unknown type": {"other rules have been broken", ann, domain.Draft{Type: "NONSENSE"}, 0, nil, "large-machines not concerned"},
		"a deletion":      {"it asks for nothing", ann, domain.Draft{Type: domain.DeleteNetwork}, 0, nil, "private-networks not concerned"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := p.Judge(c.caller, c.draft, c.hourly)
			var codes []string
			for _, v := range got.Broken {
				codes = append(codes, v.Code)
				if v.Kind != domain.Invalid || v.Detail == "" {
					t.Errorf("violation %+v: want Invalid, with the policy's message", v)
				}
			}
			if err != nil || !slices.Equal(codes, c.want) || !strings.Contains(got.Values, c.values) {
				t.Errorf("got %v with values %q, %v, want %v with %q (%s)", codes, got.Values, err, c.want, c.values, c.reason)
			}
			if strings.Contains(got.Values, "hunter2") {
				t.Errorf("user data is recorded: %s", got.Values)
			}
		})
	}
}

func TestPrepare_refuses(t *testing.T) {
	t.Parallel()
	const tests = "\n  tests:\n  - {name: a, draft: {cores: 1}, allowed: true}\n  - {name: b, draft: {cores: 2}, allowed: false}\n"
	file := func(require string) string {
		return "policies:\n- name: p\n  message: m\n  require: " + require + tests
	}
	cases := map[string]struct {
		reason, file string
		want         []string // parts of the lines, in order
	}{
		"good":             {"the others differ from it", file("request.cores < 2"), nil},
		"not an answer":    {"a number allows nothing", file("request.cores"), []string{"line 4, policy p: require: this is a int; want true or false"}},
		"a misspelt name":  {"it is found before a request meets it", file("request.coers < 2"), []string{"line 4, policy p: require: column 1: undeclared reference to 'request'; there are caller.roles, "}},
		"types that clash": {"it is found before a request meets it", file("request.cores == 'a'"), []string{"no matching overload"}},
		"no expression":    {"the place is said", file("|\n    request.cores <\n    2 2"), []string{"line 6, policy p: require: column 3: Syntax error"}},
		"a bad pattern":    {"it would never match", file("request.name.matches('[')"), []string{"line 4, policy p: require: error parsing regexp"}},
		"a test that fails": {"the author meant something else", file("request.cores < 3"),
			[]string{`line 7, policy p: test "b": want allowed: false, but the policy is kept`}},
		"a test that falls over": {"labels may be missing", file("request.labels['x'] == ''"), []string{`test "a": require: no such key: x`, `test "b": require: no such key: x`}},
		"everything at once": {"an operator corrects everything in one go",
			"policies:\n- name: P!\n  when: \"1\"\n- message: m\n  require: \"true\"\n  tests:\n  - {name: a, draft: {type: X}}\n- name: q\n  message: m\n  require: \"true\"\n  tests: []\n- name: q\n",
			[]string{"line 2, policy P!: a policy needs a name", "line 2, policy P!: it has no require", "line 2, policy P!: it needs a message", "line 2, policy P!: it has no test with allowed: true", "no test with allowed: false",
				"line 5: a policy needs a name", "line 5: it has no test", "line 5: it has no test", `line 7: test "a" does not say`, `line 7: test "a": "X" is no request type`,
				"line 8, policy q: it has no test with allowed: true", "line 8, policy q: it has no test with allowed: false", "line 12, policy q: there is another", "no require", "message", "no test", "no test"}},
		"unknown fields": {"a misspelt when would make a policy apply always", "policies:\n- name: p\n  wehn: a\n  tests:\n  - {name: a, draft: {cpu: 1}}\n", []string{"line 3: wehn is no field here", "line 5: cpu is no field here"}},
		"a wrong type":   {"a text is no number", "policies:\n- name: p\n  tests:\n  - {name: a, draft: {cores: many}}\n", []string{"line 4: cannot unmarshal"}},
		"no text":        {"an expression is a text", "policies:\n- name: p\n  require: [a]\n", []string{"line 3: this is no text"}},
		"no YAML":        {"the parser knows where", "policies:\n  - a: [\n", []string{"line "}},
		"nothing":        {"a mount that failed must not allow everything", "", []string{"line 1: the file has no policies"}},
		"no policies":    {"a mount that failed must not allow everything", "{}\n", []string{"line 1: the file has no policies"}},
		"two documents":  {"one would be lost", file("request.cores < 2") + "---\npolicies: []\n", []string{"line 1: the file has more than one"}},
		"endless work":   {"an expression ends", file("\"[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7,8,9].all(b, [1,2,3,4,5,6,7,8,9].all(c, [1,2,3,4,5,6,7,8,9].all(d, [1,2,3,4,5,6,7,8,9].all(e, a+b+c+d+e > request.cores-9)))))\""), []string{"actual cost limit exceeded", "cost limit exceeded"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := open([]byte(c.file))
			err := p.Prepare(t.Context())
			if (err == nil) != (c.want == nil) {
				t.Fatalf("%s\ngot %v, want %q (%s)", c.file, err, c.want, c.reason)
			}
			if err == nil {
				return
			}
			var report strings.Builder
			if again := p.Report(&report); again == nil {
				t.Errorf("the report is good, want its error %v", err)
			}
			said := report.String()
			for _, want := range c.want {
				_, after, ok := strings.Cut(said, want)
				if !ok {
					t.Fatalf("%s\nthe report is\n%swant in it %q, in order (%s)", c.file, report.String(), want, c.reason)
				}
				said = after
			}
			_, judged := p.Judge(domain.Caller{}, domain.Draft{Type: domain.CreateMachine}, 0)
			for _, err := range []error{err, judged} {
				if domain.KindOf(err) != domain.Unavailable || domain.CodeOf(err) != application.PoliciesBroken || !strings.Contains(err.Error(), "policies.yaml line ") {
					t.Errorf("got %v, want Unavailable with the place: nothing is admitted without policies", err)
				}
			}
		})
	}
}

// A policy that cannot be evaluated for a request refuses it, and says which.
func TestJudge_policyFallsOver(t *testing.T) {
	t.Parallel()
	p := open([]byte(`policies:
- name: teams
  message: m
  require: request.labels.team == 'a'
  tests:
  - {name: a, draft: {labels: {team: a}}, allowed: true}
  - {name: b, draft: {labels: {team: b}}, allowed: false}
`))
	if _, err := p.Judge(domain.Caller{}, domain.Draft{Labels: domain.Labels{"team": "a"}}, 0); err != nil {
		t.Fatal(err)
	}
	_, err := p.Judge(domain.Caller{}, domain.Draft{}, 0)
	if domain.CodeOf(err) != application.PoliciesBroken || !strings.Contains(err.Error(), "line 2, policy teams: require: no such key: team") {
		t.Errorf("a request without the label: got %v, want the policy and its place", err)
	}
}

// The file compiles once, however many come at once.
func TestJudge_concurrently(t *testing.T) {
	t.Parallel()
	p := open(sample(t))
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			if j, err := p.Judge(domain.Caller{}, domain.Draft{Type: domain.CreateNetwork}, 0); err != nil || len(j.Broken) != 1 {
				t.Errorf("got %+v, %v, want one policy broken", j, err)
			}
		})
	}
	all.Wait()
}

func TestReport(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := open(sample(t)).Report(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"large-machines  More than 32 cores", "  ok    a small machine of a user: allowed\n", "  ok    a large machine of a user: refused\n", "  ok    elsewhere: allowed, not concerned\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("got\n%swant in it %q", b.String(), want)
		}
	}
}

// What the cluster is given to begin with is a file without policies.
func TestPrepare_fileOfTheCluster(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../config/cluster/base/policies.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := open(data).Prepare(t.Context()); err != nil {
		t.Errorf("config/cluster/base/policies.yaml: %v", err)
	}
}

// docs/policies.md names every variable, and shows the file that is tested here.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range cel.Variables() {
		if !strings.Contains(string(page), "| `"+name+"` |") {
			t.Errorf("docs/policies.md does not name %s", name)
		}
	}
	_, body, _ := strings.Cut(string(sample(t)), "\n")
	if !strings.Contains(string(page), body) {
		t.Error("docs/policies.md does not show testdata/policies.yaml as it is")
	}
}

func BenchmarkPrepare(b *testing.B) {
	data := sample(b)
	for b.Loop() {
		if err := open(data).Prepare(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	p := open(sample(b))
	d := domain.Draft{Type: domain.CreateMachine, Spec: domain.Specification{Machine: &domain.MachineSpec{Cores: 4}}}
	for b.Loop() {
		if _, err := p.Judge(domain.Caller{}, d, 0); err != nil {
			b.Fatal(err)
		}
	}
}
