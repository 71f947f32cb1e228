package config

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// needed is the least that a struct can be read from.
func needed(spec any) map[string]string {
	const sinks = "http://kafka-sink-ingress.knative-eventing.svc.cluster.local/kbnt/"
	all := map[string]string{
		"DATABASE_URL": "postgres://kbnt:hunter2@db:5432/kbnt?sslmode=verify-full&password=hunter3", "KBNT_DEV_USER": "developer", "KBNT_HYPERVISOR": "simulated",
		"KBNT_SINK_URL": sinks + "own", "KBNT_REQUESTS_URL": sinks + "virtualization-requests", "KBNT_RESULTS_URL": sinks + "virtualization-results",
		"KBNT_EVENTS_URL": "http://broker/kbnt/virtualization-events", "KBNT_DEAD_LETTER_URL": sinks + "virtualization-dead-letters",
	}
	switch spec.(type) {
	case *Intake:
		all["KBNT_FUNCTION"] = "intake"
	case *Provision:
		all["KBNT_FUNCTION"] = "provision"
	case *Notify:
		all["KBNT_FUNCTION"] = "notify"
	}
	known := Required(spec)
	if _, intake := spec.(*Intake); intake {
		known = append(known, "KBNT_DEV_USER")
	}
	for variable := range all {
		if !slices.Contains(known, variable) {
			delete(all, variable)
		}
	}
	return all
}

func TestFunctionsReadTheLeastThereIs(t *testing.T) {
	environ(t, new(Intake), needed(new(Intake)))
	i, err := ReadIntake()
	if err != nil || i.Function != RoleIntake || i.DevUser != "developer" || i.DevTenant != "default" || i.Log.Format != JSON ||
		i.Segments != (VLANs{100, 199}) || i.Deadline != 10*time.Minute || i.Connections != 4 || !strings.HasSuffix(string(i.SinkURL), "/own") {
		t.Errorf("ReadIntake() = %+v, %v, want the defaults", i, err)
	}
	environ(t, new(Provision), needed(new(Provision)))
	p, err := ReadProvision()
	if err != nil || p.Hypervisor != Simulated || p.Speed != 1 || p.ReapOrphans || p.MaxAttempts != 5 || p.Patience != 15*time.Second {
		t.Errorf("ReadProvision() = %+v, %v, want the defaults", p, err)
	}
	environ(t, new(Notify), needed(new(Notify)))
	if n, err := ReadNotify(); err != nil || n.Function != RoleNotify || n.DeliveryTime != 20*time.Second {
		t.Errorf("ReadNotify() = %+v, %v, want the defaults", n, err)
	}
}

// Everything that is missing is said at once, and what would be right.
func TestFunctionsNameAllThatIsMissing(t *testing.T) {
	readers := map[Role]struct {
		spec any
		read func() error
	}{
		RoleIntake:    {new(Intake), func() error { _, err := ReadIntake(); return err }},
		RoleProvision: {new(Provision), func() error { _, err := ReadProvision(); return err }},
		RoleNotify:    {new(Notify), func() error { _, err := ReadNotify(); return err }},
	}
	for role, r := range readers {
		environ(t, r.spec, nil)
		var got []string
		for _, m := range mistakes(t, r.read()) {
			if m.with != "" {
				continue // who asks, which has a test of its own
			}
			got = append(got, m.Variable)
			if !strings.HasSuffix(m.Want, "; there is no default") || m.Value != "" {
				t.Errorf("%s with nothing set: %v, want what is missing and an example of it", role, m)
			}
		}
		if want := Required(r.spec); !slices.Equal(got, want) || len(got) < 6 {
			t.Errorf("%s with nothing set names %v, want all of %v", role, got, want)
		}
	}
}

func TestFunctionMistakes(t *testing.T) {
	cases := map[string]struct {
		reason string
		set    map[string]string
		want   []string // "variable: part of what is wanted", in order
	}{
		"a reference to a Secret": {
			"func run hands references over as they stand",
			map[string]string{"DATABASE_URL": "{{ secret:kbnt-store:url }}", "KBNT_SINK_URL": "{{configMap:kbnt:sink}}", "KBNT_REGION": " {{ configMap:kbnt:region }}"},
			[]string{"DATABASE_URL: the value itself", "KBNT_SINK_URL: the value itself", "KBNT_REGION: the value itself"},
		},
		"another function's role": {
			"a role is one of three",
			map[string]string{"KBNT_FUNCTION": "producer"},
			[]string{"KBNT_FUNCTION: intake, provision or notify"},
		},
		"a driver that is not there": {
			"it must not be replaced by one that makes nothing",
			map[string]string{"KBNT_HYPERVISOR": "vmware"},
			[]string{"KBNT_HYPERVISOR: kubevirt, libvirt, or simulated"},
		},
		"addresses of something else": {
			"a wrong address would be found by the first event, and lose time",
			map[string]string{"DATABASE_URL": "mysql://db/kbnt", "KBNT_SINK_URL": "kafka:9092", "KBNT_REQUESTS_URL": "http://user:hunter2@sink/"},
			[]string{"DATABASE_URL: a URL of PostgreSQL", "KBNT_REQUESTS_URL: without user", "KBNT_SINK_URL: an absolute http"},
		},
		"patience that never ends": {
			"waiting has to end before the delivery does",
			map[string]string{"KBNT_PATIENCE": "25s"},
			[]string{"KBNT_PATIENCE: less than KBNT_DELIVERY_TIME, which is 20s"},
		},
		"switches and numbers": {
			"an answer in doubt is no answer",
			map[string]string{"KBNT_REAP_ORPHANS": "maybe", "KBNT_CONNECTIONS": "0"},
			[]string{"KBNT_CONNECTIONS: 1 to 100", "KBNT_REAP_ORPHANS: true or false"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			set := needed(new(Provision))
			for variable, value := range c.set {
				set[variable] = value
			}
			environ(t, new(Provision), set)
			_, err := ReadProvision()
			got := mistakes(t, err)
			if len(got) != len(c.want) {
				t.Fatalf("%v: got %d mistakes, want %d (%s):\n%v", c.set, len(got), len(c.want), c.reason, err)
			}
			for i, m := range got {
				variable, part, _ := strings.Cut(c.want[i], ": ")
				if m.Variable != variable || !strings.Contains(m.Want, part) {
					t.Errorf("%v: mistake %d is %v, want %s with %q (%s)", c.set, i, m, variable, part, c.reason)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v: the error shows the password: %v", c.set, err)
			}
		})
	}
}

// Who asks is said by tokens or by the operator, never by accident.
func TestIntakeRefusesToGuessWhoAsks(t *testing.T) {
	const issuer = "https://issuer.example"
	cases := map[string]struct {
		reason string
		set    map[string]string
		want   string // "variable: part of what is wanted"; empty: it is read
	}{
		"nothing":       {"an open door is never the default", map[string]string{}, "KBNT_OIDC_ISSUER: KBNT_DEV_USER"},
		"empty":         {"nothing is not a user", map[string]string{"KBNT_DEV_USER": "", "KBNT_OIDC_ISSUER": ""}, "KBNT_OIDC_ISSUER: KBNT_DEV_USER"},
		"a user":        {"the overlay for trying it out", map[string]string{"KBNT_DEV_USER": "developer", "KBNT_OIDC_ISSUER": ""}, ""},
		"an issuer":     {"a cluster", map[string]string{"KBNT_OIDC_ISSUER": issuer, "KBNT_OIDC_AUDIENCE": "kbnt", "KBNT_DEV_USER": ""}, ""},
		"both":          {"one of them would be ignored", map[string]string{"KBNT_OIDC_ISSUER": issuer, "KBNT_OIDC_AUDIENCE": "kbnt", "KBNT_DEV_USER": "developer"}, "KBNT_DEV_USER: it unset"},
		"no audience":   {"other programs' tokens would do", map[string]string{"KBNT_OIDC_ISSUER": issuer}, "KBNT_OIDC_AUDIENCE: made out to"},
		"no issuer":     {"a lost issuer must not open the door", map[string]string{"KBNT_OIDC_AUDIENCE": "kbnt", "KBNT_DEV_USER": "developer"}, "KBNT_OIDC_AUDIENCE: KBNT_OIDC_ISSUER, too"},
		"http":          {"keys could be forged on the way", map[string]string{"KBNT_OIDC_ISSUER": "http://issuer.example", "KBNT_OIDC_AUDIENCE": "kbnt"}, "KBNT_OIDC_ISSUER: over http"},
		"http, here":    {"nobody is on the way", map[string]string{"KBNT_OIDC_ISSUER": "http://127.0.0.1:5556/dex", "KBNT_OIDC_AUDIENCE": "kbnt"}, ""},
		"a query":       {"OpenID Connect Discovery has none", map[string]string{"KBNT_OIDC_ISSUER": issuer + "?a=b", "KBNT_OIDC_AUDIENCE": "kbnt"}, "KBNT_OIDC_ISSUER: query"},
		"an empty step": {"it would be a claim nobody has", map[string]string{"KBNT_DEV_USER": "d", "KBNT_OIDC_ROLES_CLAIM": "a..b"}, "KBNT_OIDC_ROLES_CLAIM: the name of a claim"},
		"no such CA":    {"the system's would be used instead", map[string]string{"KBNT_DEV_USER": "d", "KBNT_OIDC_CA": "/nonexistent/ca.pem"}, "KBNT_OIDC_CA: can be read: no such file"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			set := needed(new(Intake))
			delete(set, "KBNT_DEV_USER")
			maps.Copy(set, c.set)
			environ(t, new(Intake), set)
			_, err := ReadIntake()
			got := mistakes(t, err)
			variable, part, _ := strings.Cut(c.want, ": ")
			switch {
			case c.want == "" && err != nil:
				t.Errorf("%v: %v, want it read (%s)", c.set, err, c.reason)
			case c.want != "" && (len(got) != 1 || got[0].Variable != variable || !strings.Contains(got[0].Want, part)):
				t.Errorf("%v: %v, want one mistake in %s with %q (%s)", c.set, err, variable, part, c.reason)
			}
		})
	}
}

func TestReadRole(t *testing.T) {
	environ(t, new(Process), nil)
	if _, err := ReadRole(); err == nil || err.Error() != `KBNT_FUNCTION="": want intake, provision or notify; there is no default` {
		t.Errorf("ReadRole() with nothing set: %v", err)
	}
	t.Setenv("KBNT_FUNCTION", "notify")
	if r, err := ReadRole(); r != RoleNotify || err != nil {
		t.Errorf("ReadRole() = %q, %v, want notify", r, err)
	}
}

// What Kubernetes makes of the names of Services is nobody's mistake.
func TestIgnored(t *testing.T) {
	environ(t, new(Notify), map[string]string{
		"KBNT_PROVISION_SERVICE_HOST": "10.0.0.1", "KBNT_PROVISION_SERVICE_PORT_HTTP": "80", "KBNT_PROVISION_PORT": "tcp://10.0.0.1:80",
		"KBNT_PROVISION_PORT_80_TCP_ADDR": "10.0.0.1", "KBNT_REGOIN": "eu", "KBNT_POLL": "1s",
	})
	if got, want := Ignored(new(Notify)), []string{"KBNT_POLL", "KBNT_REGOIN"}; !slices.Equal(got, want) {
		t.Errorf("Ignored(Notify) = %v, want %v", got, want)
	}
}

func TestDatabaseURLHidesItsSecrets(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ reason, give, want string }{
		"password":       {"the usual one", "postgres://kbnt:hunter2@db:5432/kbnt", "postgres://kbnt:***@db:5432/kbnt"},
		"in the query":   {"libpq takes it there, too", "postgresql://db/kbnt?password=hunter2", "postgresql://db/kbnt"},
		"none":           {"an identity may come from elsewhere", "postgres://kbnt@db/kbnt", "postgres://kbnt@db/kbnt"},
		"nothing":        {"a zero value is shown, too", "", ""},
		"not understood": {"what cannot be read may hold anything", "postgres://hunter2:%zz@db/", "***"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			slog.New(slog.NewJSONHandler(&b, nil)).Info("start", "url", DatabaseURL(c.give), "in", struct{ URL DatabaseURL }{DatabaseURL(c.give)})
			all := b.String() + fmt.Sprintf("%v %+v %#v %q %x %d", DatabaseURL(c.give), DatabaseURL(c.give), DatabaseURL(c.give), DatabaseURL(c.give), DatabaseURL(c.give), DatabaseURL(c.give))
			if strings.Contains(all, "hunter2") || strings.Contains(all, fmt.Sprintf("%x", "hunter2")) {
				t.Errorf("%s is shown in %s (%s)", c.give, all, c.reason)
			}
			if got := fmt.Sprint(DatabaseURL(c.give)); got != c.want {
				t.Errorf("%q is shown as %q, want %q (%s)", c.give, got, c.want, c.reason)
			}
		})
	}
}

func TestFunctionSettingsAreLoggedWithoutSecrets(t *testing.T) {
	environ(t, new(Intake), needed(new(Intake)))
	c, err := ReadIntake()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	Log(c.Log).Logger(&b).Info("start", "config", c)
	for _, want := range []string{`"DATABASE_URL":"postgres://kbnt:***@db:5432/kbnt"`, `"KBNT_FUNCTION":"intake"`, `"KBNT_QUOTA_MACHINES":"0"`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("logged %s, want %s in it", b.String(), want)
		}
	}
	if strings.Contains(b.String(), "hunter") {
		t.Errorf("logged a password: %s", b.String())
	}
}

func TestProcess_SchemaRegistry(t *testing.T) {
	t.Parallel()
	if u := (Process{}).SchemaRegistry(); u != nil {
		t.Errorf("without a registry: got %v, want nil", u)
	}
	p := Process{SchemaRegistryURL: "https://registry.example:8081", SchemaRegistryUser: "kbnt", SchemaRegistryPassword: "s3cret"}
	if got, want := p.SchemaRegistry().String(), "https://kbnt:s3cret@registry.example:8081"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if shown := fmt.Sprintf("%v %+v %#v", p.SchemaRegistryPassword, p, p); strings.Contains(shown, "s3cret") {
		t.Errorf("the password is shown: %s", shown)
	}
}
