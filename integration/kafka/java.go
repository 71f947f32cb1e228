package kafka

import (
	"context"
	_ "embed" // the list of what Kafka consists of
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

//go:embed pom.xml
var pom []byte

// oldestJava is what Kafka 4 runs on: KIP-1013.
const oldestJava = 17

var javaVersion = regexp.MustCompile(`version "(\d+)`)

// findJava returns the path of a java that is young enough.
func findJava(ctx context.Context) (string, error) {
	path, err := exec.LookPath("java")
	if err != nil {
		return "", fmt.Errorf("%w: java is not installed; on Debian: apt-get install default-jre-headless", ErrMissing)
	}
	out, err := exec.CommandContext(ctx, path, "-version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s -version: %w: %s", ErrMissing, path, err, out)
	}
	if n, ok := major(string(out)); !ok || n < oldestJava {
		return "", fmt.Errorf("%w: it needs Java %d, %s is: %s", ErrMissing, oldestJava, path, out)
	}
	return path, nil
}

// major is 17 of what java -version prints: openjdk version "17.0.15" 2025-04-15.
func major(printed string) (int, bool) {
	m := javaVersion.FindStringSubmatch(printed)
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(m[1])
	return n, err == nil
}

// resolve returns the class path of Kafka, whose jars Maven keeps where it
// always does. It asks the repositories only for what is not there yet.
func resolve(ctx context.Context, dir string) (classes string, err error) {
	maven, err := exec.LookPath("mvn")
	if err != nil {
		return "", fmt.Errorf("%w: mvn is not installed; on Debian: apt-get install maven", ErrMissing)
	}
	if err := os.WriteFile(filepath.Join(dir, "pom.xml"), pom, 0o600); err != nil {
		return "", fmt.Errorf("write Kafka's pom.xml: %w", err)
	}
	list := filepath.Join(dir, "classes")
	c := exec.CommandContext(ctx, maven, "--batch-mode", "--quiet", "dependency:build-classpath", "-Dmdep.includeScope=runtime", "-Dmdep.outputFile="+list)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			err = errors.Join(ctx.Err(), err)
		}
		return "", fmt.Errorf("%w: the download failed: %s: %w\n%s", ErrMissing, strings.Join(c.Args, " "), err, out)
	}
	text, err := os.ReadFile(list)
	if err != nil {
		return "", fmt.Errorf("read Kafka's class path: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// nodeArgs are those of a node that is small: it starts in two seconds and needs
// 200 MB (measured on two cores, 2026-11). Compiling little saves a third of that.
func nodeArgs(classes, settings string) []string {
	return []string{"-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=WARN", "-cp", classes, "kafka.Kafka", settings}
}

// format prepares the data folder, which a node refuses to start without.
func format(ctx context.Context, java, classes, settings string) error {
	c := exec.CommandContext(ctx, java, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=WARN", "-cp", classes,
		"kafka.tools.StorageTool", "format", "--cluster-id", clusterID(), "--config", settings)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("format Kafka's storage: %w\n%s", err, out)
	}
	return nil
}
