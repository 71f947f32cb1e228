package kubevirt_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/kubevirt"
)

func TestNewNamesEveryMistake(t *testing.T) {
	t.Parallel()
	_, err := kubevirt.New(kubevirt.Options{
		Cluster:   kubevirt.Cluster{Server: "ftp://x"},
		Namespace: "No", Owner: "a b", Bridge: "a bridge of a long name", Groups: "firewalls", Page: -1,
		Images: map[string]kubevirt.Image{
			"two": {ContainerDisk: "a", URL: "https://a/b"}, "scheme": {URL: "file:///a"}, "reference": {ContainerDisk: "docker://a"},
			"sum": {URL: "https://a/b", SHA256: "ab"}, "port": {Ports: map[string]int{"web": 70000}}, "package": {Install: []string{"--root=/"}},
		},
		Storage:  map[domain.DiskType]kubevirt.Storage{"SSD": {Class: "A", Mode: "ReadSometimes", IOPS: -1}},
		Segments: map[string]string{"bridged": "a/b/c"},
		DNS:      []netip.Addr{netip.MustParseAddr("10.0.0.53")},
	})
	if err == nil {
		t.Fatal("wrong options: got no error")
	}
	for _, mistake := range []string{"ftp://x", `"No"`, `"a b"`, "a bridge", "firewalls", "page", "two", "file:///a", "docker://a", `"ab"`, "70000", "--root", `"A"`, "ReadSometimes", "IOPS", "a/b/c"} {
		if !strings.Contains(err.Error(), mistake) {
			t.Errorf("wrong options: got %q, want %q among it", err, mistake)
		}
	}
	if _, err := kubevirt.New(kubevirt.Options{}); err == nil {
		t.Error("no options: got no error")
	}
}

func TestItPlacesByItself(t *testing.T) {
	t.Parallel()
	w, s := bare(t)
	c, err := w.Capabilities(t.Context())
	if err != nil || c.Driver != "kubevirt" || c.Simulated || len(c.Hosts) > 0 || c.Guards.Addresses || !c.Guards.Capacity || len(s.asked) > 0 {
		t.Errorf("capabilities: got %+v, %v after %q", c, err, s.asked)
	}
}

const good = `
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: there, context: {cluster: b}}, {name: here, context: {cluster: a, user: me, namespace: machines}}]
clusters: [{name: a, cluster: {server: "https://10.0.0.1:6443", certificate-authority-data: "Q0E=", tls-server-name: kubernetes}}]
users: [{name: me, user: USER}]
`

func TestKubeconfig(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason string
		change [2]string
		user   string
		want   string // part of the error; empty: none
		check  func(kubevirt.Cluster) bool
	}{
		"a token": {"inline", [2]string{}, "{token: abc}", "", func(c kubevirt.Cluster) bool { return c.Token == "abc" && c.TokenFile == "" }},
		"a token file": {"beside the file; it wins", [2]string{}, "{token: abc, tokenFile: tok}", "", func(c kubevirt.Cluster) bool {
			return c.Token == "" && filepath.IsAbs(c.TokenFile) && filepath.Base(c.TokenFile) == "tok"
		}},
		"a certificate": {"inline", [2]string{}, "{client-certificate-data: QUI=, client-key-data: Q0Q=}", "", func(c kubevirt.Cluster) bool { return string(c.Cert) == "AB" && string(c.Key) == "CD" }},
		"files": {"beside the file", [2]string{`certificate-authority-data: "Q0E="`, "certificate-authority: ca.crt"}, "{client-certificate: ca.crt, client-key: ca.crt}", "", func(c kubevirt.Cluster) bool {
			return string(c.CA) == "from the file" && string(c.Key) == "from the file"
		}},
		"no such file":   {"it is needed", [2]string{`certificate-authority-data: "Q0E="`, "certificate-authority: nothing.crt"}, "{}", "nothing.crt", nil},
		"no namespace":   {"as kubectl has it", [2]string{", namespace: machines", ""}, "{}", "", func(c kubevirt.Cluster) bool { return c.Namespace == "default" }},
		"no context":     {"nothing is guessed", [2]string{"current-context: here", ""}, "{}", "no such context", nil},
		"no cluster":     {"nothing is guessed", [2]string{"clusters: [{name: a,", "clusters: [{name: c,"}, "{}", `no cluster "a"`, nil},
		"no user":        {"nothing is guessed", [2]string{"users: [{name: me,", "users: [{name: you,"}, "{}", `no user "me"`, nil},
		"exec":           {"programs are not run", [2]string{}, "{exec: {command: aws}}", "exec", nil},
		"auth-provider":  {"plugins are not there", [2]string{}, "{auth-provider: {name: oidc}}", "auth-provider", nil},
		"a password":     {"API servers have none any more", [2]string{}, "{username: a, password: b}", "password", nil},
		"as another":     {"it would be us who acts", [2]string{}, "{as: root}", "acts as somebody else", nil},
		"not verified":   {"anybody could answer", [2]string{"tls-server-name: kubernetes", "insecure-skip-tls-verify: true"}, "{}", "insecure-skip-tls-verify", nil},
		"through others": {"it is not done", [2]string{"tls-server-name: kubernetes", "proxy-url: http://a"}, "{}", "proxy-url", nil},
		"no YAML":        {"it cannot be read", [2]string{"kind: Config", "kind: [Config"}, "{}", "yaml", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			text := strings.Replace(good, "USER", c.user, 1)
			if c.change[0] != "" {
				text = strings.Replace(text, c.change[0], c.change[1], 1)
			}
			for file, data := range map[string]string{"config": text, "ca.crt": "from the file"} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(data), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := kubevirt.Kubeconfig(filepath.Join(dir, "config"))
			switch {
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want an error with %q: %s", err, c.want, c.reason)
			case c.want == "" && (err != nil || !c.check(got) || got.Server != "https://10.0.0.1:6443"):
				t.Errorf("got %+v, %v: %s", got, err, c.reason)
			}
		})
	}
	if _, err := kubevirt.Kubeconfig(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no file: got no error")
	}
}

func TestInCluster(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := kubevirt.InCluster("10.96.0.1", "443", dir); err == nil {
		t.Error("without a service account: got no error")
	}
	if _, err := kubevirt.InCluster("", "", dir); err == nil {
		t.Error("in no pod: got no error")
	}
	for file, data := range map[string]string{"ca.crt": "CA", "token": "abc", "namespace": "machines\n"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := kubevirt.InCluster("fd00::1", "", dir)
	if err != nil || c.Server != "https://[fd00::1]:443" || string(c.CA) != "CA" || c.Namespace != "machines" || c.TokenFile != filepath.Join(dir, "token") {
		t.Errorf("got %+v, %v", c, err)
	}
}

// TestSecretsInClear holds that no token goes over a network unencrypted, and that no
// certificate is silently left unused.
func TestSecretsInClear(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason  string
		cluster kubevirt.Cluster
		want    bool // an error
	}{
		"a token":           {"everybody on the way reads it", kubevirt.Cluster{Server: "http://10.0.0.1:8080", Token: "secret-token"}, true},
		"a token file":      {"what it has is read, too", kubevirt.Cluster{Server: "http://api.example.com", TokenFile: "/run/token"}, true},
		"a certificate":     {"it is shown to nobody", kubevirt.Cluster{Server: "http://10.0.0.1", Cert: []byte("c"), Key: []byte("k")}, true},
		"a name like one":   {"it is somebody's domain", kubevirt.Cluster{Server: "http://localhost.example.com", Token: "secret-token"}, true},
		"capitals":          {"schemes have no case", kubevirt.Cluster{Server: "HTTP://10.0.0.1", Token: "secret-token"}, true},
		"over TLS":          {"it is encrypted", kubevirt.Cluster{Server: "https://10.0.0.1", Token: "secret-token"}, false},
		"nothing secret":    {"nothing can leak", kubevirt.Cluster{Server: "http://10.0.0.1"}, false},
		"this machine":      {"kubectl proxy", kubevirt.Cluster{Server: "http://127.0.0.1:8001", Token: "secret-token"}, false},
		"this machine, v6":  {"as above", kubevirt.Cluster{Server: "http://[::1]:8001", Token: "secret-token"}, false},
		"this machine, say": {"as above", kubevirt.Cluster{Server: "http://localhost:8001", TokenFile: "/run/token"}, false},
		"its own transport": {"whoever gives one answers for it", kubevirt.Cluster{Server: "http://10.0.0.1", Token: "secret-token", Transport: http.DefaultTransport}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := bare(t)
			o := w.options
			o.Cluster = c.cluster
			_, err := kubevirt.New(o)
			if (err != nil) != c.want || err != nil && (!strings.Contains(err.Error(), "https") || strings.Contains(err.Error(), "secret-token")) {
				t.Errorf("%s: got %v, want an error that says https %v: %s", c.cluster.Server, err, c.want, c.reason)
			}
		})
	}
}

// TestTLS speaks HTTP/2 with a server whose authority is given, and no other.
func TestTLS(t *testing.T) {
	t.Parallel()
	var proto, token string
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proto, token = r.Proto, r.Header.Get("Authorization")
		w.WriteHeader(404)
		_, _ = w.Write([]byte(refusal(404, "NotFound", "not found", "")))
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})

	w, _ := bare(t)
	o := w.options
	o.Cluster = kubevirt.Cluster{Server: server.URL, CA: ca, ServerName: "example.com", Token: "abc"}
	h, err := kubevirt.New(o)
	if err != nil {
		t.Fatal(err)
	}
	key := w.network("a").Key
	if seen, err := h.Observe(t.Context(), key); err != nil || seen.Phase != domain.ThingAbsent || proto != "HTTP/2.0" || token != "Bearer abc" {
		t.Errorf("got %s, %v by %s as %q, want Absent by HTTP/2.0 as Bearer abc", seen.Phase, err, proto, token)
	}
	o.Cluster.ServerName = "elsewhere.test"
	if h, err = kubevirt.New(o); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Observe(t.Context(), key); verdict(err) != "unavailable/try-again" {
		t.Errorf("with another name: got %v, want the certificate refused", err)
	}
	for what, c := range map[string]kubevirt.Cluster{
		"authority":   {Server: server.URL, CA: []byte("no PEM")},
		"certificate": {Server: server.URL, Cert: []byte("no PEM"), Key: []byte("no PEM")},
		"two tokens":  {Server: server.URL, Token: "a", TokenFile: "b"},
	} {
		o.Cluster = c
		if _, err := kubevirt.New(o); err == nil {
			t.Errorf("%s: got no error", what)
		}
	}
}
