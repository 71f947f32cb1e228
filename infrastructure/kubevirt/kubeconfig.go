package kubevirt

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

// kubeconfig is the part of a kubeconfig file that is understood.
type kubeconfig struct {
	Current  string `json:"current-context"`
	Contexts []struct {
		Name    string `json:"name"`
		Context struct {
			Cluster   string `json:"cluster"`
			User      string `json:"user"`
			Namespace string `json:"namespace"`
		} `json:"context"`
	} `json:"contexts"`
	Clusters []struct {
		Name    string `json:"name"`
		Cluster struct {
			Server     string `json:"server"`
			CAFile     string `json:"certificate-authority"`
			CA         []byte `json:"certificate-authority-data"`
			ServerName string `json:"tls-server-name"`
			Insecure   bool   `json:"insecure-skip-tls-verify"`
			Proxy      string `json:"proxy-url"`
		} `json:"cluster"`
	} `json:"clusters"`
	Users []struct {
		Name string `json:"name"`
		User struct {
			Token     string `json:"token"`
			TokenFile string `json:"tokenFile"`
			CertFile  string `json:"client-certificate"`
			Cert      []byte `json:"client-certificate-data"`
			KeyFile   string `json:"client-key"`
			Key       []byte `json:"client-key-data"`
			Username  string `json:"username"`
			Exec      any    `json:"exec"`
			Provider  any    `json:"auth-provider"`
			As        string `json:"as"`
		} `json:"user"`
	} `json:"users"`
}

// Kubeconfig reads the cluster of the file's current context. What a file may say and
// this driver does not do is an error, never passed over: programs that fetch
// credentials (exec, auth-provider), passwords, acting as somebody else, proxies,
// unverified servers.
func Kubeconfig(path string) (Cluster, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Cluster{}, fmt.Errorf("read kubeconfig: %w", err)
	}
	c, err := readKubeconfig(data, filepath.Dir(path))
	if err != nil {
		return Cluster{}, fmt.Errorf("kubeconfig %s: %w", path, err)
	}
	return c, nil
}

func readKubeconfig(data []byte, dir string) (Cluster, error) {
	var k kubeconfig
	if err := yaml.Unmarshal(data, &k); err != nil {
		return Cluster{}, err
	}
	var c Cluster
	var cluster, user string
	found := false
	for _, x := range k.Contexts {
		if x.Name == k.Current && k.Current != "" {
			cluster, user, c.Namespace, found = x.Context.Cluster, x.Context.User, cmp.Or(x.Context.Namespace, "default"), true
		}
	}
	if !found {
		return Cluster{}, fmt.Errorf("current-context %q: no such context", k.Current)
	}
	file := func(name string, inline []byte) ([]byte, error) {
		if len(inline) > 0 || name == "" {
			return inline, nil
		}
		return os.ReadFile(beside(dir, name))
	}
	var wrong []error
	fail := func(err error) {
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	found = false
	for _, x := range k.Clusters {
		if x.Name != cluster {
			continue
		}
		found = true
		var err error
		c.Server, c.ServerName = x.Cluster.Server, x.Cluster.ServerName
		c.CA, err = file(x.Cluster.CAFile, x.Cluster.CA)
		fail(err)
		if x.Cluster.Insecure {
			fail(errors.New("insecure-skip-tls-verify is not supported: name the certificate authority"))
		}
		if x.Cluster.Proxy != "" {
			fail(errors.New("proxy-url is not supported"))
		}
	}
	if !found {
		fail(fmt.Errorf("no cluster %q", cluster))
	}
	found = user == ""
	for _, x := range k.Users {
		if x.Name != user {
			continue
		}
		found = true
		u := x.User
		c.Token, c.TokenFile = u.Token, u.TokenFile
		if c.TokenFile != "" { // it wins over the token, as kubectl has it
			c.Token, c.TokenFile = "", beside(dir, c.TokenFile)
		}
		var err error
		c.Cert, err = file(u.CertFile, u.Cert)
		fail(err)
		c.Key, err = file(u.KeyFile, u.Key)
		fail(err)
		switch {
		case u.Exec != nil:
			fail(fmt.Errorf("user %q gets its credentials from a program (exec), which is not supported: use a service account's token or a client certificate", user))
		case u.Provider != nil:
			fail(fmt.Errorf("user %q gets its credentials from a plugin (auth-provider), which is not supported: use a service account's token or a client certificate", user))
		case u.Username != "":
			fail(fmt.Errorf("user %q has a password, which is not supported", user))
		case u.As != "":
			fail(fmt.Errorf("user %q acts as somebody else, which is not supported", user))
		}
	}
	if !found {
		fail(fmt.Errorf("no user %q", user))
	}
	return c, errors.Join(wrong...)
}

// beside resolves a path of the file, which is relative to the file's folder.
func beside(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}
