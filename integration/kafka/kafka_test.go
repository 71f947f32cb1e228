package kafka

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Nothing here starts Kafka: the tests in ../ do, and one at a time is enough
// for a laptop.

func TestMajor(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		reason, printed string
		want            int
		ok              bool
	}{
		"17":      {"since 9 the number comes first", `openjdk version "17.0.15" 2025-04-15`, 17, true},
		"25":      {"the first release of a version has no dots", `openjdk version "25" 2025-09-16`, 25, true},
		"8":       {"it called itself 1.8, and is too old either way", `java version "1.8.0_412"`, 1, true},
		"options": {"the JVM may announce its options first", "Picked up _JAVA_OPTIONS: -Xmx1g\nopenjdk version \"21.0.1\" 2023-10-17", 21, true},
		"none":    {"a stub without Java behind it", "no Java runtime present", 0, false},
	} {
		if got, ok := major(test.printed); got != test.want || ok != test.ok {
			t.Errorf("%s: major(%q) = %d, %t; want %d, %t: %s", name, test.printed, got, ok, test.want, test.ok, test.reason)
		}
	}
}

func TestWithoutPrograms(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := findJava(t.Context()); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "java is not installed") {
		t.Errorf("findJava: %v, want ErrMissing that names java", err)
	}
	if _, err := resolve(t.Context(), t.TempDir()); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "mvn is not installed") {
		t.Errorf("resolve: %v, want ErrMissing that names mvn", err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	if _, err := Start(t.Context(), nil); !errors.Is(err, ErrMissing) {
		t.Errorf("Start: %v, want ErrMissing", err)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("Start left %v, %v, want nothing", left, err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "server.properties")
	address, err := writeSettings(t.Context(), file, filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "%!") {
		t.Errorf("the settings are not filled in:\n%s", text)
	}
	if !strings.Contains(string(text), "advertised.listeners=PLAINTEXT://"+address+"\n") {
		t.Errorf("clients are told %s, and the settings say\n%s", address, text)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatalf("the chosen address is not free: %v", err)
	}
	_ = l.Close()
}

func TestClusterID(t *testing.T) {
	t.Parallel()
	a, b := clusterID(), clusterID()
	if len(a) != 22 || a == b {
		t.Errorf("cluster ids %q and %q, want two different ones of 22 characters", a, b)
	}
}

func TestForeign(t *testing.T) {
	t.Parallel()
	b := &Broker{addresses: []string{"kafka:9092"}}
	if err := b.Kill(); !errors.Is(err, ErrForeign) {
		t.Errorf("Kill: %v, want ErrForeign", err)
	}
	if err := b.Stop(t.Context()); !errors.Is(err, ErrForeign) {
		t.Errorf("Stop: %v, want ErrForeign", err)
	}
	if err := b.Restart(t.Context()); !errors.Is(err, ErrForeign) {
		t.Errorf("Restart: %v, want ErrForeign", err)
	}
	if err := b.Close(); err != nil {
		t.Errorf("Close: %v, want the foreign Kafka left alone", err)
	}
}

// Those who have Docker and those who have Java test with the same Kafka.
func TestComposeHasTheSameKafka(t *testing.T) {
	t.Parallel()
	compose, err := os.ReadFile("../compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	image := regexp.MustCompile(`image: apache/kafka:(\S+)`).FindSubmatch(compose)
	version := regexp.MustCompile(`(?s)kafka_2\.13</artifactId>\s*<version>(\S+)</version>`).FindSubmatch(pom)
	if image == nil || version == nil || string(image[1]) != string(version[1]) {
		t.Errorf("compose.yaml has Kafka %s, pom.xml %s, want the same", image, version)
	}
}
