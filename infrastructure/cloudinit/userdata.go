package cloudinit

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"mime/multipart"
	"net/textproto"
	"strings"
)

// config is what we say in user-data. The order of the fields is that of the
// document.
type config struct {
	Hostname      string     `json:"hostname"`
	User          *user      `json:"user,omitempty"` // changes the image's own, whose groups it keeps
	Keys          []string   `json:"ssh_authorized_keys,omitempty"`
	PasswordLogin bool       `json:"ssh_pwauth"`
	RootOff       bool       `json:"disable_root"`
	Update        bool       `json:"package_update,omitempty"`
	Packages      []string   `json:"packages,omitempty"`
	Run           [][]string `json:"runcmd,omitempty"` // argument lists: no shell reads them
}

type user struct {
	Name   string `json:"name"`
	Locked bool   `json:"lock_passwd"`
}

func (m Machine) userData() []byte {
	c := config{Hostname: m.Hostname, Keys: m.SSHKeys, RootOff: true, Update: len(m.Agents) > 0}
	if m.User != "" {
		c.User = &user{Name: m.User, Locked: true}
	}
	for _, a := range m.Agents {
		c.Packages = append(c.Packages, a.Package)
		c.Run = append(c.Run, []string{"systemctl", "enable", "--now", a.Unit})
	}
	ours := append([]byte("#cloud-config\n"), marshal(c)...)
	if m.UserData == "" {
		return ours
	}
	return join(ours, m.UserData)
}

// Media types of the parts, as cloud-init names them.
const (
	cloudConfig = "text/cloud-config"
	script      = "text/x-shellscript"
)

// kindOf is the media type of a client's user data, empty when it is none.
func kindOf(s string) string {
	switch {
	case strings.HasPrefix(s, "#cloud-config\n"):
		return cloudConfig
	case strings.HasPrefix(s, "#!"):
		return script
	}
	return ""
}

// mergeType has lists grow and leaves what is set already. By default the later part
// would replace all that both have: a client's "packages" would cost the machine its agents.
const mergeType = "list(append)+dict(no_replace,recurse_list)+str()"

// join makes a multipart document (RFC 2046) of ours and the client's. The boundary
// is derived, so that the same input gives the same bytes; neither part can contain it
// on a line: ours has no line that begins with a dash, theirs is in base64.
func join(ours []byte, theirs string) []byte {
	sum := sha256.Sum256([]byte(theirs))
	boundary := "kbnt-" + hex.EncodeToString(sum[:12])
	var b bytes.Buffer
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"" + boundary + "\"\r\n\r\n")
	w := multipart.NewWriter(&b)
	_ = w.SetBoundary(boundary) // cannot fail: of allowed characters, and short
	part := func(kind, name, encoding string, body []byte, more ...string) {
		h := textproto.MIMEHeader{
			"Content-Type":              {kind + `; charset="utf-8"`},
			"Content-Disposition":       {`attachment; filename="` + name + `"`},
			"Content-Transfer-Encoding": {encoding},
		}
		if len(more) == 2 {
			h.Set(more[0], more[1])
		}
		p, _ := w.CreatePart(h) // a buffer takes everything
		_, _ = p.Write(body)
	}
	part(cloudConfig, "kbnt", "8bit", ours)
	if kind := kindOf(theirs); kind == cloudConfig {
		part(kind, "client", "base64", lines(theirs), "Merge-Type", mergeType)
	} else {
		part(kind, "client", "base64", lines(theirs))
	}
	_ = w.Close()
	return b.Bytes()
}

// lines is s in base64, in lines of at most 76 characters (RFC 2045, 6.8).
func lines(s string) []byte {
	const width = 76 / 4 * 3
	var b []byte
	for len(s) > 0 {
		n := min(width, len(s))
		b = append(base64.StdEncoding.AppendEncode(b, []byte(s[:n])), "\r\n"...)
		s = s[n:]
	}
	return b
}
