package probe

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestStarted(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	const rest = " 1 1 0 -1 4194560 100 0 0 0 1 1 0 0 20 0 7 0 " // fields 5 to 21
	cases := map[string]struct {
		reason       string
		stat, uptime string
		want         time.Duration // before now
	}{
		"a process":            {"field 22 is in ticks of 10 ms since boot", "42 (kbnt) S 1" + rest + "100000 0 0\n", "1000.25 900.00\n", 250 * time.Millisecond},
		"a name with a trap":   {"the name may hold spaces and parentheses", "42 (a ) b) S 1" + rest + "99900 0 0\n", "1000.25 900.00\n", 1250 * time.Millisecond},
		"a clock from outside": {"a sandbox may show the uptime of its host", "42 (kbnt) S 1" + rest + "5 0 0\n", "900000.00 1\n", 0},
		"a clock that is late": {"nobody starts in the future", "42 (kbnt) S 1" + rest + "100100 0 0\n", "1000.25 900.00\n", 0},
		"something else":       {"a sandbox may show anything", "42 (kbnt) S\n", "1000.25\n", 0},
		"no uptime":            {"a sandbox may show nothing", "42 (kbnt) S 1" + rest + "100000 0 0\n", "", 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proc := t.TempDir()
			if err := os.Mkdir(filepath.Join(proc, "self"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(proc, "self/stat"), []byte(c.stat), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(proc, "uptime"), []byte(c.uptime), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := now.Sub(started(proc, now)); got != c.want {
				t.Errorf("started %s ago, want %s (%s)", got, c.want, c.reason)
			}
		})
	}
	if got := started(t.TempDir(), now); !got.Equal(now) {
		t.Errorf("without /proc: %s, want %s", got, now)
	}
}

func TestStartedOfThisProcess(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/uptime"); err != nil {
		t.Skip("no /proc on this system")
	}
	now := time.Now()
	if age := now.Sub(started("/proc", now)); age < 0 || age > longAgo { // /proc counts in hundredths of a second
		t.Errorf("this test was started %s ago", age)
	}
}
