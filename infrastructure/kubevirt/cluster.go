package kubevirt

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Cluster says where an API server is and who we are to it.
type Cluster struct {
	Server     string // https://10.96.0.1:443; http without credentials, or to this machine only
	CA         []byte // PEM; empty: the system's authorities
	ServerName string // to verify the certificate by; empty: the server's
	Token      string // bearer token; or
	TokenFile  string // its file, read again when it is a minute old, because it is rotated; or
	Cert, Key  []byte // client certificate, PEM
	Namespace  string // the default of Options.Namespace

	// Transport replaces connections, for tests; CA, certificate and name are then unused.
	Transport http.RoundTripper
}

// Account is where Kubernetes puts a pod's service account.
const Account = "/var/run/secrets/kubernetes.io/serviceaccount"

// InCluster is the cluster that this process runs in: host and port are what
// Kubernetes sets as KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, and account is
// the folder [Account]. It reads the authority's certificate and the namespace.
func InCluster(host, port, account string) (Cluster, error) {
	if host == "" {
		return Cluster{}, errors.New("no KUBERNETES_SERVICE_HOST: this process runs in no pod")
	}
	c := Cluster{Server: "https://" + net.JoinHostPort(host, cmp.Or(port, "443")), TokenFile: filepath.Join(account, "token")}
	var err error
	if c.CA, err = os.ReadFile(filepath.Join(account, "ca.crt")); err != nil {
		return Cluster{}, fmt.Errorf("read the cluster's authority: %w", err)
	}
	if _, err := os.Stat(c.TokenFile); err != nil {
		return Cluster{}, fmt.Errorf("look for the service account's token: %w", err)
	}
	if namespace, err := os.ReadFile(filepath.Join(account, "namespace")); err == nil {
		c.Namespace = strings.TrimSpace(string(namespace))
	}
	return c, nil
}

// transport connects as the cluster demands. Plain connections are pooled for as many
// calls as provision makes at a time; those over TLS share one by HTTP/2.
func (c Cluster) transport() (http.RoundTripper, error) {
	u, err := url.Parse(c.Server)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return nil, fmt.Errorf("server %q: want an absolute https URL", c.Server)
	}
	if c.Token != "" && c.TokenFile != "" {
		return nil, errors.New("a token and a token file: want one")
	}
	if c.Transport != nil {
		return c.Transport, nil
	}
	if secret := c.Token != "" || c.TokenFile != "" || len(c.Cert) > 0; secret && u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, fmt.Errorf("server %q: a token would go out in clear, and a certificate would not be shown: want https", u.Redacted())
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if len(c.CA) > 0 {
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(c.CA) {
			return nil, errors.New("authority: no certificate in PEM")
		}
	}
	if len(c.Cert) > 0 || len(c.Key) > 0 {
		pair, err := tls.X509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("client certificate: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return &http.Transport{
		TLSClientConfig: t, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 5 * time.Second,
		DialContext:  (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		MaxIdleConns: 64, MaxIdleConnsPerHost: 64, IdleConnTimeout: 90 * time.Second,
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
	}, nil
}

// loopback reports whether a host is this machine, by its address or its one name.
func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && a.Unmap().IsLoopback()
}

// tokens hands out a bearer token, from a file that is rotated under it.
type tokens struct {
	fixed, file string
	mu          sync.Mutex
	read        string
	at          time.Time
}

// fresh is how long a token that was read is used; Kubernetes rotates one long before it
// ends.
const fresh = time.Minute

// token returns the token, empty when there is none. A file that cannot be read
// now does not matter while an older token is known: the server judges it.
func (t *tokens) token(again bool) (string, error) {
	if t.file == "" {
		return t.fixed, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !again && t.read != "" && time.Since(t.at) < fresh {
		return t.read, nil
	}
	data, err := os.ReadFile(t.file)
	if err != nil && t.read == "" {
		return "", fmt.Errorf("read the service account's token: %w", err)
	}
	if err == nil {
		t.read = strings.TrimSpace(string(data))
	}
	t.at = time.Now()
	return t.read, nil
}
