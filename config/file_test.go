package config

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// file writes a file for one test.
func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// decoded lists the mistakes in a file as "place: part of what is wanted".
func decoded(t *testing.T, into interface{ Decode(string) error }, content string) []string {
	t.Helper()
	err := into.Decode(file(t, content))
	if err == nil {
		return nil
	}
	all, ok := err.(faults)
	if !ok {
		return []string{err.Error()}
	}
	var got []string
	for _, f := range all {
		got = append(got, f.place()+": "+f.want)
	}
	return got
}

// begin reports whether each of got begins as want says.
func begin(got, want []string) bool {
	return slices.EqualFunc(got, want, func(g, w string) bool { return strings.HasPrefix(g, w) })
}

func TestQuotas(t *testing.T) {
	t.Parallel()
	var q Quotas
	if got := decoded(t, &q, "default: {machines: 20, budget: 2.5}\ntenants:\n  acme: {memory: 512, inFlight: 0}\n  beta: {}\n"); got != nil {
		t.Fatalf("a good file: %q", got)
	}
	acme, beta := q.Tenants["acme"], q.Tenants["beta"]
	if *q.Default.Machines != 20 || *q.Default.Budget != 2.5 || q.Default.Cores != nil || *acme.Memory != 512 || *acme.InFlight != 0 || acme.Machines != nil || beta != (Limits{}) {
		t.Errorf("got %+v, want what the file says and nothing more", q)
	}
}

func TestQuotasMistakes(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason, content string
		want            []string // beginnings
	}{
		"all at once": {"an operator corrects everything in one go",
			"default:\n  machines: many\n  cpu: 4\n  memory: -1\ntenants:\n  a/b: {}\n  acme:\n    networks: 5000\n    budget: .nan\n    budget: 1\nquota: {}\n",
			[]string{"line 2, default.machines: a whole number, 0 to 1000000", "line 3, default.cpu: one of machines, cores", "line 4, default.memory: a whole number",
				"line 6, tenants.a/b: a tenant", "line 8, tenants.acme.networks: a whole number, 0 to 4094", "line 9, tenants.acme.budget: a number", "line 10, tenants.acme.budget: this name once",
				"line 11, quota: one of default, tenants"}},
		"no mapping":     {"a list has no names", "- default\n", []string{"line 1: a mapping"}},
		"a text":         {"\"20\" may be a mistake of a template", "default: {machines: \"20\"}\n", []string{"line 1, default.machines: a whole number"}},
		"null":           {"a value that was lost", "default: {machines: }\n", []string{"line 1, default.machines: a whole number"}},
		"an alias":       {"what is set is to be seen", "default: &d {machines: 1}\ntenants: {acme: *d}\n", []string{"line 2, tenants.acme: a mapping"}},
		"a merge":        {"what is set is to be seen", "default: &d {machines: 1}\ntenants: {acme: {<<: *d}}\n", []string{"line 2, tenants.acme: names that are plain"}},
		"not YAML":       {"the parser knows where", "default:\n  machines: [\n", []string{"line "}},
		"two documents":  {"one of them would be lost", "default: {}\n---\ndefault: {}\n", []string{"line 2: one YAML document"}},
		"an empty file":  {"a mount that failed", " \n", []string{"a file that is not empty"}},
		"only a comment": {"a mount that failed", "# nothing\n", []string{"a file that is not empty"}},
		"too long":       {"a ConfigMap holds 1 MiB", strings.Repeat("#", maxFile+1), []string{"a file of 1 MiB at most"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var q Quotas
			if got := decoded(t, &q, c.content); !begin(got, c.want) {
				t.Errorf("%s\ngot  %q\nwant %q (%s)", c.content[:min(len(c.content), 200)], got, c.want, c.reason)
			}
			if q.Path != "" {
				t.Errorf("%q was refused, and left %+v", c.content[:min(len(c.content), 200)], q)
			}
		})
	}
}

func TestImages(t *testing.T) {
	t.Parallel()
	var i Images
	sum := strings.Repeat("a", 64)
	if got := decoded(t, &i, `
default: Debian 12
images:
  Ubuntu 22.04:
    user: ubuntu
    agent: true
    ports: {ssh: 22, http: 8080}
    kubevirt: {containerDisk: "quay.io/containerdisks/ubuntu:22.04@sha256:`+sum+`"}
    libvirt: {volume: ubuntu-22.04.qcow2, pool: images, sha256: "`+sum+`", kernel: /boot/vmlinuz, initrd: /boot/initrd, cmdline: root=/dev/vda1 console=ttyS0}
  Debian 12:
    kubevirt: {url: "https://cloud.debian.org/d.qcow2", sha256: "`+sum+`"}
  Bare: {}
`); got != nil {
		t.Fatalf("a good file: %q", got)
	}
	if got, want := i.Names(), []string{"Bare", "Debian 12", "Ubuntu 22.04"}; !slices.Equal(got, want) || i.Default != "Debian 12" {
		t.Errorf("got %q with the default %q, want %q with Debian 12", got, i.Default, want)
	}
	u := i.Catalogue["Ubuntu 22.04"]
	if u.User != "ubuntu" || !u.Agent || !maps.Equal(u.Ports, map[string]int{"ssh": 22, "http": 8080}) || u.Libvirt.Format != "qcow2" || u.Libvirt.Pool != "images" || u.Libvirt.Cmdline != "root=/dev/vda1 console=ttyS0" || !strings.HasPrefix(u.KubeVirt.ContainerDisk, "quay.io/") {
		t.Errorf("Ubuntu 22.04: got %+v, %+v, %+v", u, u.KubeVirt, u.Libvirt)
	}
	if b := i.Catalogue["Bare"]; !reflect.DeepEqual(b, Image{}) {
		t.Errorf("Bare: got %+v, want nothing in it", b)
	}
}

func TestImagesMistakes(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason, content string
		want            []string
	}{
		"all at once": {"an operator corrects everything in one go",
			"images:\n  Ubuntu 22.04:\n    user: Root User\n    kubevirt: {containerDisk: \"docker://x\", url: \"ftp://x\", sha256: 1}\n    libvirt:\n      volume: ../etc/passwd\n      format: vmdk\n      kernel: boot/vmlinuz\n    vmware: {}\n  \" x\": {}\n",
			[]string{`line 3, images."Ubuntu 22.04".user: the name of a user`, `line 4, images."Ubuntu 22.04".kubevirt.containerDisk: a reference`, `line 4, images."Ubuntu 22.04".kubevirt.url: an http`,
				`line 4, images."Ubuntu 22.04".kubevirt.sha256: 64`, `line 6, images."Ubuntu 22.04".libvirt.volume: the name of a volume`, `line 7, images."Ubuntu 22.04".libvirt.format: qcow2 or raw`,
				`line 8, images."Ubuntu 22.04".libvirt.kernel: an absolute path`, `line 9, images."Ubuntu 22.04".vmware: one of user`, `line 10, images." x": a name`}},
		"no images":          {"nothing could be made", "default: Ubuntu 22.04\n", []string{"line 1, images: one image"}},
		"an empty catalogue": {"nothing could be made", "images: {}\n", []string{"line 1, images: one image"}},
		"no default":         {"requests may name no image", "images: {Debian 12: {}}\n", []string{`line 1, images: an image "Ubuntu 22.04", or default: one of Debian 12`}},
		"another default":    {"it has to be there", "default: Arch\nimages: {Ubuntu 22.04: {}, Debian 12: {}}\n", []string{"line 1, default: a name in images: Debian 12, Ubuntu 22.04"}},
		"neither":            {"a driver has to find it", "images: {Ubuntu 22.04: {kubevirt: {}}}\n", []string{`line 1, images."Ubuntu 22.04".kubevirt: either`}},
		"both":               {"only one is booted", "images: {Ubuntu 22.04: {kubevirt: {containerDisk: a, url: \"http://x/y\"}}}\n", []string{`line 1, images."Ubuntu 22.04".kubevirt: either`}},
		"no volume":          {"a driver has to find it", "images: {Ubuntu 22.04: {libvirt: {pool: a}}}\n", []string{`line 1, images."Ubuntu 22.04".libvirt: volume`}},
		"no kernel":          {"an initrd alone boots nothing", "images: {Ubuntu 22.04: {libvirt: {volume: a, initrd: /i}}}\n", []string{`line 1, images."Ubuntu 22.04".libvirt: kernel, too`}},
		"a service": {"a driver connects to each", "images:\n  Ubuntu 22.04:\n    agent: yes\n    ports: {ssh: 0, http: 65536, \"a b\": 80, web: \"80\"}\n",
			[]string{`line 3, images."Ubuntu 22.04".agent: true or false`, `line 4, images."Ubuntu 22.04".ports.ssh: a port`, `line 4, images."Ubuntu 22.04".ports.http: a port`,
				`line 4, images."Ubuntu 22.04".ports."a b": the name of a service`, `line 4, images."Ubuntu 22.04".ports.web: a port`}},
		"a list": {"names are its keys", "images: [Ubuntu 22.04]\n", []string{"line 1, images: a mapping"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := decoded(t, new(Images), c.content); !begin(got, c.want) {
				t.Errorf("%s\ngot  %q\nwant %q (%s)", c.content, got, c.want, c.reason)
			}
		})
	}
}

// A mistake in a file reads like one in a variable, with the place.
func TestFileMistakesAreReportedWithAllOthers(t *testing.T) {
	path := file(t, "default:\n  machines: many\n  cores: 1.5\n")
	environ(t, new(Local), map[string]string{"KBNT_QUOTAS": path, "KBNT_IMAGES": "/nonexistent/images.yaml", "KBNT_SPEED": "fast"})
	_, err := ReadLocal()
	want := []string{
		`KBNT_SPEED="fast": want a number`,
		`KBNT_QUOTAS="` + path + `", line 2, default.machines="many": want a whole number, 0 to 1000000`,
		`KBNT_QUOTAS="` + path + `", line 3, default.cores="1.5": want a whole number, 0 to 1000000`,
		`KBNT_IMAGES="/nonexistent/images.yaml": want a file that can be read: no such file or directory`,
	}
	if got := strings.Split(err.Error(), "\n"); !begin(got, want) {
		t.Errorf("got:\n%v\nwant:\n%s", err, strings.Join(want, "\n"))
	}
}

func TestQuotasReplaceTheVariables(t *testing.T) {
	environ(t, new(Local), map[string]string{"KBNT_QUOTAS": file(t, "default: {machines: 1}\n"), "KBNT_QUOTA_MACHINES": "7", "KBNT_QUOTA_BUDGET": "1", "KBNT_QUOTA_CORES": ""})
	_, err := ReadLocal()
	got := mistakes(t, err)
	if len(got) != 2 || got[0].Variable != "KBNT_QUOTA_MACHINES" || got[1].Variable != "KBNT_QUOTA_BUDGET" || !strings.Contains(got[0].Want, "KBNT_QUOTAS is set") {
		t.Errorf("a file and two variables: %v, want both variables refused", err)
	}
}
