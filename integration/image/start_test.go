package image

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/config"
)

// roles with the settings of each.
func roles() map[string]any {
	return map[string]any{"intake": new(config.Intake), "provision": new(config.Provision), "notify": new(config.Notify)}
}

func TestImage(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("links a program")
	}
	program := build(t)
	t.Run("no role", func(t *testing.T) {
		t.Parallel()
		p := start(t, program, nil)
		const want = "kbnt: KBNT_FUNCTION=\"\": want intake, provision or notify; there is no default\n"
		if code := p.exit(t, time.Minute); code != 1 || p.stderr.String() != want {
			t.Errorf("exit %d with\n%swant exit 1 with\n%s", code, p.stderr.String(), want)
		}
	})
	for role, settings := range roles() {
		t.Run(role+" says all mistakes at once", func(t *testing.T) {
			t.Parallel()
			p := start(t, program, map[string]string{"KBNT_FUNCTION": role, "DATABASE_URL": "mysql://root:hunter2@db/", "KBNT_SINK_URL": "{{ configMap:kbnt:sink }}", "KBNT_LOG_LEVEL": "loud"})
			code := p.exit(t, time.Minute)
			said := p.stderr.String()
			want := append(config.Required(settings), "KBNT_LOG_LEVEL")
			if role == "intake" {
				want = append(want, "KBNT_OIDC_ISSUER") // or KBNT_DEV_USER: somebody has to say who asks
			}
			want = slices.DeleteFunc(want, func(v string) bool { return v == "KBNT_FUNCTION" })
			for _, variable := range want {
				if strings.Count(said, "kbnt: "+variable+"=") != 1 {
					t.Errorf("said\n%swant one line about %s", said, variable)
				}
			}
			if code != 1 || strings.Count(said, "\n") != len(want) || strings.Contains(said, "hunter2") {
				t.Errorf("exit %d with\n%swant exit 1, %d lines and no password", code, said, len(want))
			}
		})
		t.Run(role+" without its store", func(t *testing.T) {
			t.Parallel()
			p := start(t, program, environment(role, nowhere, "http://127.0.0.1:1"))
			p.await(t, "/health/liveness", http.StatusOK, 10*time.Millisecond)
			body := p.await(t, "/health/readiness", http.StatusInternalServerError, 10*time.Millisecond)
			if !strings.Contains(body, "the store cannot be reached") || strings.Contains(body, "127.0.0.1") {
				t.Errorf("readiness says %q, want that the store is away, and no address", body)
			}
			if body := p.await(t, "/metrics", http.StatusOK, 10*time.Millisecond); !strings.Contains(body, `function="`+role+`"`) || strings.Contains(body, "kbnt_cold_start_seconds{") {
				t.Errorf("metrics of %s: want its own, and no cold start before it is ready:\n%s", role, body)
			}
			p.terminate(t)
			if code := p.exit(t, time.Minute); code != 0 {
				t.Errorf("exit %d after SIGTERM, want 0; it said:\n%s", code, p.stderr.String())
			}
			logged(t, p.stderr.String(), role, settings)
		})
	}
}

// logged holds the log against its promises: every line is JSON, the first one
// shows all settings, none shows a password.
func logged(t *testing.T, said, role string, settings any) {
	t.Helper()
	var first struct {
		Msg      string
		Settings map[string]string
	}
	for i, line := range slices.Collect(strings.Lines(said)) {
		into := any(new(map[string]any))
		if i == 0 {
			into = &first
		}
		if err := json.Unmarshal([]byte(line), into); err != nil {
			t.Errorf("line %d of the log is no JSON: %v\n%s", i+1, err, line)
		}
	}
	if got, want := slices.Sorted(maps.Keys(first.Settings)), slices.Sorted(slices.Values(config.Variables(settings))); first.Msg != "start" || !slices.Equal(got, want) || first.Settings["KBNT_FUNCTION"] != role {
		t.Errorf("the first line is %q with %v, want \"start\" with all of %v", first.Msg, first.Settings, want)
	}
	if strings.Contains(said, "hunter2") || !strings.Contains(said, "postgres://kbnt:***@127.0.0.1:1/kbnt") {
		t.Errorf("the log shows a password, or no store at all:\n%s", said)
	}
}
