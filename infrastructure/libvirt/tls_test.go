package libvirt_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/libvirt"
)

// authority signs certificates for a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	var a authority
	a.cert, a.key = sign(t, a, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, Subject: pkix.Name{CommonName: "authority"}})
	return a
}

func sign(t *testing.T, by authority, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if by.cert == nil {
		by = authority{c, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by.cert, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return signed, key
}

// directory writes a client's certificate and an authority as a Secret is mounted.
func directory(t *testing.T, client, trusts authority) string {
	t.Helper()
	dir := t.TempDir()
	cert, key := sign(t, client, &x509.Certificate{Subject: pkix.Name{CommonName: "kbnt-provision"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"tls.crt": {Type: "CERTIFICATE", Bytes: cert.Raw}, "tls.key": {Type: "EC PRIVATE KEY", Bytes: der}, "ca.crt": {Type: "CERTIFICATE", Bytes: trusts.cert.Raw},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestTLS connects to a host that asks for a certificate, and says in one byte what
// it makes of it, as libvirtd does.
func TestTLS(t *testing.T) {
	t.Parallel()
	ours, other := newAuthority(t), newAuthority(t)
	for name, c := range map[string]struct {
		reason         string
		client, trusts authority
		verdict        string
		kind           domain.Kind
		code           string
	}{
		"all is well":         {"both know each other", ours, ours, "\x01", 0, ""},
		"name not allowed":    {"libvirtd hangs up", ours, ours, "", domain.Forbidden, "host-denies"},
		"verdict no":          {"any other byte is a no", ours, ours, "\x00", domain.Forbidden, "host-denies"},
		"another's authority": {"the host does not trust us", other, ours, "\x01", domain.Forbidden, "host-denies"},
		"another's host":      {"we do not trust the host", ours, other, "\x01", domain.Forbidden, "host-denies"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cert, key := sign(t, ours, &x509.Certificate{Subject: pkix.Name{CommonName: "kvm-1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
			pool := x509.NewCertPool()
			pool.AddCert(ours.cert)
			listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
				Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			go func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					if _, err := conn.Write([]byte(c.verdict)); err != nil || c.verdict != "\x01" {
						conn.Close()
						continue
					}
					go new(fakeHost).serve(conn)
				}
			}()
			trust, err := libvirt.Certificates(directory(t, c.client, c.trusts))
			if err != nil {
				t.Fatal(err)
			}
			h, err := libvirt.New(libvirt.Options{
				Hosts:  []libvirt.Host{{Name: "kvm-1", Address: "tls://" + listener.Addr().String(), TLS: trust, Pools: map[domain.DiskType]libvirt.Pool{domain.SSD: {Name: "pool"}}}},
				Images: map[string]libvirt.Image{"x": {Kernel: "/vmlinuz"}},
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = h.Ensure(t.Context(), wantedVolume())
			if (err == nil) != (c.code == "") || err != nil && (domain.CodeOf(err) != c.code || domain.KindOf(err) != c.kind) {
				t.Errorf("ensure: got %v (%v %q), want %v %q: %s", err, domain.KindOf(err), domain.CodeOf(err), c.kind, c.code, c.reason)
			}
		})
	}
}

func TestCertificatesMissing(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"tls.crt", "tls.key", "ca.crt"} {
		dir := directory(t, newAuthority(t), newAuthority(t))
		if err := os.WriteFile(filepath.Join(dir, name), []byte("none"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := libvirt.Certificates(dir); err == nil {
			t.Errorf("%s is none: got no error", name)
		}
	}
}

// TestTLSBroken holds that a line that breaks after the handshake, as when the daemon ends, is a host
// that is down: only an answer is a refusal.
func TestTLSBroken(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	cert, key := sign(t, ours, &x509.Certificate{Subject: pkix.Name{CommonName: "kvm-1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	pool := x509.NewCertPool()
	pool.AddCert(ours.cert)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
		if err := tls.Server(conn, config).Handshake(); err != nil {
			t.Errorf("handshake: %v", err)
		}
		if err := conn.(*net.TCPConn).SetLinger(0); err != nil { // closing resets the connection
			t.Error(err)
		}
	}()
	trust, err := libvirt.Certificates(directory(t, ours, ours))
	if err != nil {
		t.Fatal(err)
	}
	h, err := libvirt.New(libvirt.Options{
		Hosts:  []libvirt.Host{{Name: "kvm-1", Address: "tls://" + listener.Addr().String(), TLS: trust, Pools: map[domain.DiskType]libvirt.Pool{domain.SSD: {Name: "pool"}}}},
		Images: map[string]libvirt.Image{"x": {Kernel: "/vmlinuz"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = h.Ensure(t.Context(), wantedVolume()); err == nil || domain.CodeOf(err) != application.CodeHostDown {
		t.Errorf("ensure: got %v, want the code host-down", err)
	}
}
