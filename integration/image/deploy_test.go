package image

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tools are stand-ins for func and kubectl that write down how they were called.
func tools(t *testing.T, scripts map[string]string) (path, diary string) {
	t.Helper()
	dir := t.TempDir()
	diary = filepath.Join(dir, "diary")
	for name, script := range scripts {
		body := "#!/bin/sh\necho \"" + name + " $*\" >>" + diary + "\n" + script + "\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir, diary
}

// script runs config/func.sh in a repository of its own, which holds what git
// knows and what deploying needs. It returns what it said.
func script(t *testing.T, tree, path, command string, env ...string) (said string, err error) {
	t.Helper()
	c := exec.CommandContext(t.Context(), filepath.Join(tree, "config/func.sh"), command)
	c.Env = append([]string{"PATH=" + path + ":/usr/local/bin:/usr/bin:/bin", "HOME=" + t.TempDir()}, env...)
	out, err := c.CombinedOutput()
	return string(out), err
}

// copied is a repository with the files that the script works on.
func copied(t *testing.T) string {
	t.Helper()
	for _, program := range []string{"bash", "git", "tar"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	tree := t.TempDir()
	for _, name := range []string{"config/func.sh", "func.yaml", "functions/provision/func.yaml", "functions/notify/func.yaml", "go.mod"} {
		data, err := os.ReadFile(filepath.Join(root(t), name))
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "git", "-C", tree, "init", "-q").CombinedOutput(); err != nil {
		t.Fatalf("git init: %v\n%s", err, out)
	}
	return tree
}

func TestFuncScriptSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	ok := "exit 0"
	cases := map[string]struct {
		reason, command string
		tools           map[string]string
		env             []string
		image           string
		want            string
	}{
		"func":      {"nothing builds without it", "image", nil, nil, "", "func is not installed"},
		"registry":  {"an image has to go somewhere", "image", map[string]string{"func": ok}, nil, "", "REGISTRY is not set"},
		"an image":  {"deploying builds none", "deploy", map[string]string{"func": ok, "kubectl": ok}, nil, "", "there is no image"},
		"a cluster": {"better than what func would say", "deploy", map[string]string{"func": ok, "kubectl": "exit 1"}, nil, "r/kbnt@sha256:1", "no cluster answers"},
		"a Secret": {"func would say it for one function after the other", "deploy", map[string]string{"func": ok,
			"kubectl": `case "$*" in *namespace*) exit 0;; esac; echo 'secrets "kbnt-store" not found' >&2; exit 1`}, nil, "r/kbnt@sha256:1", `secrets "kbnt-store" not found`},
		"a ConfigMap": {"its pod would never start, and say so where nobody looks", "deploy", map[string]string{"func": ok,
			"kubectl": `case "$*" in *configmap/kbnt-quotas*) echo 'configmaps "kbnt-quotas" not found' >&2; exit 1;; esac; exit 0`}, nil, "r/kbnt@sha256:1", `configmaps "kbnt-quotas" not found`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree := copied(t)
			if c.image != "" {
				write(t, filepath.Join(tree, "bin/image"), c.image)
			}
			path, _ := tools(t, c.tools)
			if c.tools["kubectl"] == "" {
				if _, err := exec.LookPath("func"); err == nil && c.tools["func"] == "" {
					t.Skip("func is installed here")
				}
			}
			said, err := script(t, tree, path, c.command, c.env...)
			if err == nil || !strings.Contains(said, c.want) {
				t.Errorf("config/func.sh %s: %v\n%swant it to fail with %q (%s)", c.command, err, said, c.want, c.reason)
			}
		})
	}
}

func TestFuncScriptBuildsAndDeploysCopies(t *testing.T) {
	t.Parallel()
	tree := copied(t)
	path, diary := tools(t, map[string]string{
		// As func does: it rewrites func.yaml, and leaves the name of what it built.
		"func":    `if [ "$1" = build ]; then ls go.mod >/dev/null && mkdir -p .func && echo r/kbnt@sha256:1 >.func/built-image && echo spoilt >func.yaml; else test -s "$3/func.yaml" && echo "$FUNC_BUILD $FUNC_PUSH $(grep ^name: "$3/func.yaml")" >>` + "$(dirname \"$0\")/diary" + `; fi`,
		"kubectl": "exit 0",
	})
	for _, command := range []string{"image", "deploy"} {
		if said, err := script(t, tree, path, command, "REGISTRY=r"); err != nil {
			t.Fatalf("config/func.sh %s: %v\n%s", command, err, said)
		}
	}
	data, err := os.ReadFile(diary)
	if err != nil {
		t.Fatal(err)
	}
	got := string(data)
	for _, want := range []string{
		"func build --builder host --push --registry r\n",
		"false false name: kbnt-intake\n", "false false name: kbnt-provision\n", "false false name: kbnt-notify\n",
	} {
		if strings.Count(got, want) != 1 {
			t.Errorf("the tools were called\n%swant once %q", got, want)
		}
	}
	// What a func.yaml names has to be there before anything is deployed.
	for _, want := range []string{
		"configmap/kbnt-settings ", "configmap/kbnt-identity ", "configmap/kbnt-policies ", "configmap/kbnt-quotas ", "configmap/kbnt-images ", "configmap/kbnt-ca ",
		"secret/kbnt-store ", "serviceaccount/kbnt-intake ", "serviceaccount/kbnt-provision ", "serviceaccount/kbnt-notify ",
	} {
		if strings.Count(got, want) != 1 {
			t.Errorf("the tools were called\n%swant %q asked for once", got, want)
		}
	}
	if strings.Count(got, "--image r/kbnt@sha256:1 --env KBNT_VERSION=") != 3 {
		t.Errorf("the tools were called\n%swant the same image three times", got)
	}
	if data, _ := os.ReadFile(filepath.Join(tree, "func.yaml")); strings.Contains(string(data), "spoilt") {
		t.Error("func wrote into the tree, want it to work on a copy")
	}
}

func write(t *testing.T, name, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}
