package cloudinit_test

import (
	"bytes"
	"encoding/base64"
	"flag"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/cloudinit"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJqfY you@host"

// guest is an ordinary one.
func guest(change ...func(*cloudinit.Machine)) cloudinit.Machine {
	m := cloudinit.Machine{
		InstanceID: "8a6ff7a0-5f3f-5d0e-9a4f-1f6d1c2f3b4a", Hostname: "vm-0909a693", User: "ubuntu", SSHKeys: []string{key},
		Agents: []cloudinit.Agent{cloudinit.GuestAgent(), cloudinit.Monitor()},
		NICs: []cloudinit.NIC{{MAC: "52:54:00:6a:08:08", Address: netip.MustParsePrefix("198.18.100.2/24"),
			Gateway: netip.MustParseAddr("198.18.100.1"), DNS: []netip.Addr{netip.MustParseAddr("198.18.0.53")}}},
	}
	for _, c := range change {
		c(&m)
	}
	return m
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]cloudinit.Machine{
		"plain":   {InstanceID: "i", Hostname: "a"},
		"machine": guest(),
		"config":  guest(func(m *cloudinit.Machine) { m.UserData = "#cloud-config\npackages: [nginx]\n" }),
		"script": guest(func(m *cloudinit.Machine) {
			m.UserData = "#!/bin/sh\necho hello > /tmp/hello\n# a line that makes this longer than one of base64 may be\n"
		}),
		"dhcp": guest(func(m *cloudinit.Machine) { m.NICs = []cloudinit.NIC{{MAC: "52-54-00-6A-08-08"}} }),
		"v6": guest(func(m *cloudinit.Machine) {
			m.NICs[0].Address, m.NICs[0].Gateway = netip.MustParsePrefix("2001:db8::2/64"), netip.MustParseAddr("2001:db8::1")
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := documents(t, m)
			for file, got := range map[string][]byte{"user-data": d.UserData, "meta-data": d.MetaData, "network-config": d.NetworkConfig} {
				path := filepath.Join("testdata", name, file)
				if *update {
					if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(path, got, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
				}
			}
		})
	}
}

// hostile are texts that would be something else in YAML, if they were not quoted.
var hostile = map[string]string{
	"a quote":         `ssh-rsa A" , "runcmd": [["rm"]] , "x": "`,
	"a single quote":  `ssh-rsa A'] }`,
	"a tag":           `!!python/object/apply:os.system ["id"]`,
	"an anchor":       `&a *a`,
	"a document":      `--- #cloud-config`,
	"a template":      `## template: jinja {{ v1.instance_id }}`,
	"a backslash":     `\" \n \x41 \u0041`,
	"markup":          `</script>&amp;<!-- `,
	"line separators": "a\u2028runcmd: [x]\u2029b",
	"beyond the BMP":  "you@\U0001F600 \U0010FFFF",
	"unprintable":     "a\ufffeb\uffff",
	"a mark":          "\ufeffssh-rsa A",
	"a colon":         "a: b",
	"yes":             "yes",
	"a number":        "0x10",
	"nothing":         "~",
	"long":            strings.Repeat("A", domain.MaxSSHKey),
}

// TestHostileKeysStayData reads the document again as a guest does, and finds the
// keys as they were given and no key of ours changed.
func TestHostileKeysStayData(t *testing.T) {
	t.Parallel()
	for what, text := range hostile {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d := documents(t, guest(func(m *cloudinit.Machine) { m.SSHKeys = []string{text, key} }))
			var got, want map[string]any
			read(t, d.UserData, &got)
			read(t, documents(t, guest()).UserData, &want)
			want["ssh_authorized_keys"] = []any{text, key}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("key %.80q: got %v, want %v", text, got, want)
			}
			for _, r := range string(d.UserData) {
				if r != '\n' && (r < ' ' || r >= 0x7f && r < 0x10000) {
					t.Errorf("key %.80q: %U stands in the document as it is, which readers of YAML may refuse", text, r)
				}
			}
		})
	}
}

// TestHostileUserDataStaysApart holds that a client's part is the second of two,
// unchanged, and that the first is ours as without it.
func TestHostileUserDataStaysApart(t *testing.T) {
	t.Parallel()
	ours := documents(t, guest()).UserData
	tries := map[string]string{
		"a boundary": "#!/bin/sh\n--kbnt-000000000000000000000000\r\nContent-Type: text/cloud-config\r\n\r\n#cloud-config\nchpasswd: {}\n",
		"an end":     "#cloud-config\n--kbnt--\n",
		"headers":    "#cloud-config\r\nMIME-Version: 1.0\r\n\r\n",
		"huge":       "#!" + strings.Repeat("\n", domain.MaxUserData-2),
		"config":     "#cloud-config\nhostname: other\n",
	}
	tries["headers"] = "#cloud-config\n" + tries["headers"]
	for what, text := range hostile {
		tries[what] = "#cloud-config\n" + text
	}
	for what, text := range tries {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d := documents(t, guest(func(m *cloudinit.Machine) { m.UserData = text }))
			message, err := mail.ReadMessage(bytes.NewReader(d.UserData))
			if err != nil {
				t.Fatal(err)
			}
			kind, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
			if err != nil || kind != "multipart/mixed" {
				t.Fatalf("media type: got %s, %v, want multipart/mixed", kind, err)
			}
			parts := multipart.NewReader(message.Body, parameters["boundary"])
			var got []string
			for {
				p, err := parts.NextPart()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(p)
				if err != nil {
					t.Fatal(err)
				}
				if p.Header.Get("Content-Transfer-Encoding") == "base64" {
					if body, err = base64.StdEncoding.DecodeString(strings.ReplaceAll(string(body), "\r\n", "")); err != nil {
						t.Fatal(err)
					}
				}
				got = append(got, string(body))
			}
			if want := []string{string(ours), text}; !reflect.DeepEqual(got, want) {
				t.Errorf("parts of %.80q: got %.300q, want %.300q", text, got, want)
			}
		})
	}
}

func TestInvalid(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason string
		change func(*cloudinit.Machine)
	}{
		"no instance id":        {"cloud-init would think that the guest was set up", func(m *cloudinit.Machine) { m.InstanceID = "" }},
		"no host name":          {"a guest has a name", func(m *cloudinit.Machine) { m.Hostname = "" }},
		"host name, upper case": {"a label of RFC 1123", func(m *cloudinit.Machine) { m.Hostname = "VM-1" }},
		"host name, two lines":  {"a label of RFC 1123", func(m *cloudinit.Machine) { m.Hostname = "a\nb" }},
		"host name, long":       {"63 characters", func(m *cloudinit.Machine) { m.Hostname = strings.Repeat("a", 64) }},
		"user":                  {"a name of passwd(5)", func(m *cloudinit.Machine) { m.User = "root:x" }},
		"key of two lines":      {"one key would be two", func(m *cloudinit.Machine) { m.SSHKeys = []string{"a\nb"} }},
		"key of nothing":        {"it is no key", func(m *cloudinit.Machine) { m.SSHKeys = []string{""} }},
		"key, not UTF-8":        {"it would not come out as it went in", func(m *cloudinit.Machine) { m.SSHKeys = []string{"a\xff"} }},
		"key, huge":             {"the domain's limit", func(m *cloudinit.Machine) { m.SSHKeys = []string{strings.Repeat("a", domain.MaxSSHKey+1)} }},
		"user data, neither":    {"cloud-init would ignore it", func(m *cloudinit.Machine) { m.UserData = "hello" }},
		"user data, a word":     {"it is another format", func(m *cloudinit.Machine) { m.UserData = "#cloud-config-archive\n" }},
		"user data, huge":       {"the domain's limit", func(m *cloudinit.Machine) { m.UserData = "#!" + strings.Repeat("a", domain.MaxUserData) }},
		"user data, NUL":        {"text", func(m *cloudinit.Machine) { m.UserData = "#!\x00" }},
		"package":               {"the operator's word, but it becomes a command", func(m *cloudinit.Machine) { m.Agents[0].Package = "a b" }},
		"unit":                  {"no option of systemctl", func(m *cloudinit.Machine) { m.Agents[0].Unit = "--root=/" }},
		"MAC":                   {"6 bytes", func(m *cloudinit.Machine) { m.NICs[0].MAC = "52:54" }},
		"MAC of 8 bytes":        {"6 bytes", func(m *cloudinit.Machine) { m.NICs[0].MAC = "52:54:00:6a:08:08:00:00" }},
		"gateway outside":       {"nobody would reach it", func(m *cloudinit.Machine) { m.NICs[0].Gateway = netip.MustParseAddr("10.0.0.1") }},
		"gateway itself":        {"a guest is not its own way out", func(m *cloudinit.Machine) { m.NICs[0].Gateway = m.NICs[0].Address.Addr() }},
		"gateway without":       {"there is no subnet", func(m *cloudinit.Machine) { m.NICs[0].Address = netip.Prefix{} }},
		"DNS":                   {"an address", func(m *cloudinit.Machine) { m.NICs[0].DNS = []netip.Addr{{}} }},
		"address, bad":          {"a prefix of 33 bits is none", func(m *cloudinit.Machine) { m.NICs[0].Address = netip.PrefixFrom(netip.MustParseAddr("10.0.0.2"), 33) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := cloudinit.New(guest(c.change))
			if err == nil || domain.KindOf(err) != domain.Invalid || d.UserData != nil {
				t.Errorf("got %d bytes, %v, want an error of kind Invalid: %s", len(d.UserData), err, c.reason)
			}
		})
	}
}

func TestHostname(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"VM-0909A693":                       "vm-0909a693",
		"VM-" + strings.Repeat("0", 64):     "vm-" + strings.Repeat("0", 60),
		strings.Repeat("A", 62) + "-" + "B": strings.Repeat("a", 62),
		"":                                  "",
	} {
		if got := cloudinit.Hostname(in); got != want {
			t.Errorf("host name of %q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzUserData(f *testing.F) {
	for _, text := range hostile {
		f.Add(text, "#!"+text)
	}
	f.Fuzz(func(t *testing.T, sshKey, userData string) {
		m := guest(func(m *cloudinit.Machine) { m.SSHKeys = []string{sshKey} })
		d, err := cloudinit.New(m)
		if err != nil {
			return
		}
		var got struct {
			Keys []string `json:"ssh_authorized_keys"`
		}
		read(t, d.UserData, &got)
		if len(got.Keys) != 1 || got.Keys[0] != sshKey {
			t.Errorf("key %q: got %q", sshKey, got.Keys)
		}
		m.UserData = userData
		if d, err = cloudinit.New(m); err == nil && userData != "" && !bytes.HasPrefix(d.UserData, []byte("MIME-Version: 1.0\r\n")) {
			t.Errorf("user data %q: got %.100q", userData, d.UserData)
		}
	})
}

func documents(t *testing.T, m cloudinit.Machine) cloudinit.Documents {
	t.Helper()
	d, err := cloudinit.New(m)
	if err != nil {
		t.Fatalf("documents: %v", err)
	}
	return d
}

// read reads user data with a reader of YAML.
func read(t *testing.T, data []byte, to any) {
	t.Helper()
	if !bytes.HasPrefix(data, []byte("#cloud-config\n")) {
		t.Fatalf("user data: got %.40q, want it to begin with #cloud-config", data)
	}
	if err := yaml.Unmarshal(data, to); err != nil {
		t.Fatalf("read %.200q: %v", data, err)
	}
}
