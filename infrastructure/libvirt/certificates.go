package libvirt

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
)

// Certificates says who we are and whom we trust, out of a directory as Kubernetes
// mounts a Secret for TLS: tls.crt and tls.key are ours, ca.crt is the hosts'
// authority. Our own are read again for each connection, so that they can be renewed.
func Certificates(dir string) (*tls.Config, error) {
	own := func() (*tls.Certificate, error) {
		c, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
		if err != nil {
			return nil, fmt.Errorf("read our certificate: %w", err)
		}
		return &c, nil
	}
	if _, err := own(); err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("read the hosts' authority: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read the hosts' authority: no certificate in ca.crt")
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: roots,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own() },
	}, nil
}
