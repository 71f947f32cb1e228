//go:build unix

package image

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kbnt.dev/virtualization/infrastructure/postgres/postgrestest"
)

// BenchmarkColdStart starts each role and the bare server, one after the other
// in each round, and reports medians: from exec to the first 200 of the liveness
// probe, which is what a program costs by itself; where there is a PostgreSQL, to
// that of the readiness probe, which adds a connection and a look at its tables;
// the resident memory then; and the size of the program. Only the ratios to the
// bare server carry over to other machines.
func BenchmarkColdStart(b *testing.B) {
	bare := filepath.Join(b.TempDir(), "bare")
	run(b, root(b), "go", "build", "-o", bare, "./bench/bare")
	image := build(b)
	database := nowhere
	switch server, err := postgrestest.Use(os.Getenv("DATABASE_URL")); {
	case errors.Is(err, postgrestest.ErrMissing):
		b.Log(err)
	case err != nil:
		b.Fatal(err)
	default:
		b.Cleanup(func() { _ = server.Close() }) // its data is of no use to anybody
		database = server.Schema(b)
	}
	programs := map[string]func() *process{"bare": func() *process { return start(b, bare, nil) }}
	for role := range roles() {
		programs[role] = func() *process { return start(b, image, environment(role, database, "http://127.0.0.1:1")) }
	}
	var alive, ready, memory = samples{}, samples{}, samples{}
	for b.Loop() {
		for _, name := range slices.Sorted(maps.Keys(programs)) {
			p := programs[name]()
			alive.add(name, p.until(b, "/health/liveness"))
			if name == "bare" || database != nowhere {
				ready.add(name, p.until(b, "/health/readiness"))
			}
			memory.add(name, resident(b, p.cmd.Process.Pid))
			p.terminate(b)
			p.exit(b, time.Minute)
		}
	}
	b.Logf("medians of %d starts", len(alive["bare"]))
	for _, name := range slices.Sorted(maps.Keys(programs)) {
		b.Logf("%-10s alive %s ms, ready %s ms, resident %s MB", name, alive.compare(name), ready.compare(name), memory.compare(name))
		b.ReportMetric(alive.ratio(name), name+"-alive/bare")
		b.ReportMetric(memory.ratio(name), name+"-rss/bare")
	}
	b.Logf("program %.1f MB, bare %.1f MB", size(b, image), size(b, bare))
}

// until is the time from exec to the first 200, in milliseconds.
func (p *process) until(b *testing.B, path string) float64 {
	b.Helper()
	p.await(b, path, http.StatusOK, 100*time.Microsecond)
	return float64(time.Since(p.began)) / float64(time.Millisecond)
}

// samples are measurements by program.
type samples map[string][]float64

func (s samples) add(name string, value float64) { s[name] = append(s[name], value) }

func (s samples) ratio(name string) float64 { return median(s[name]) / median(s["bare"]) }

func (s samples) compare(name string) string {
	if len(s[name]) == 0 {
		return "?"
	}
	return fmt.Sprintf("%.1f (%.2f x bare)", median(s[name]), s.ratio(name))
}

func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	return values[len(values)/2]
}

// resident is the memory of a process in MB; 0 where the system does not tell.
func resident(b *testing.B, pid int) float64 {
	b.Helper()
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if kilobytes, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(kilobytes), " kB"), 64)
			return n / 1024
		}
	}
	return 0
}

func size(b *testing.B, program string) float64 {
	b.Helper()
	info, err := os.Stat(program)
	if err != nil {
		b.Fatal(err)
	}
	return float64(info.Size()) / (1 << 20)
}
