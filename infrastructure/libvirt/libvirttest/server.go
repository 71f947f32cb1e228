//go:build linux

package libvirttest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// ErrMissing is why there is no server: what it is made of is not installed, or not
// allowed.
var ErrMissing = errors.New("no libvirt")

// patience is how long a daemon may take to start. Its first look at QEMU takes some
// seconds; it is made at the first call and not at the start.
const patience = time.Minute

// programs is where a daemon finds what it calls.
const programs = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Server is a libvirtd.
type Server struct {
	dir  string
	main *exec.Cmd     // nil: it does not run
	over chan struct{} // closed when it has ended
	said *os.File
	qemu bool
}

// Unprivileged starts a daemon that makes nothing real, as nobody if we are root.
// Its driver is "test:///default". ErrMissing: libvirtd is not installed.
func Unprivileged() (*Server, error) {
	if err := installed("libvirtd", "libvirt-daemon"); err != nil {
		return nil, err
	}
	s, err := newServer()
	if err != nil {
		return nil, err
	}
	s.main = exec.Command(found("libvirtd"), "-f", s.path("libvirtd.conf"), "-p", s.path("libvirtd.pid"))
	s.main.Env = []string{programs, "HOME=" + s.dir, "XDG_RUNTIME_DIR=" + s.dir, "XDG_CONFIG_HOME=" + s.path("config")}
	s.main.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Getuid() == 0 {
		const nobody = 65534
		s.main.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		if err := os.Chown(s.dir, nobody, nobody); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s.start(map[string]string{"libvirtd.conf": ""})
}

// newServer makes a directory. Its path is short: that of a socket is limited to some 100 bytes.
func newServer() (*Server, error) {
	dir, err := os.MkdirTemp("/tmp", "kbnt-libvirt-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	if s.said, err = os.Create(s.path("said")); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// start writes the files and runs the daemon, until it says that it is ready: as
// systemd would hear it, by a datagram.
func (s *Server) start(files map[string]string) (_ *Server, err error) {
	defer func() {
		if err != nil {
			said, _ := os.ReadFile(s.said.Name())
			err = errors.Join(fmt.Errorf("start libvirtd: %w\n%s", err, said), s.Close())
		}
	}()
	for name, text := range files {
		if err := os.WriteFile(s.path(name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	ready, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: s.path("ready"), Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	defer ready.Close()
	if err := os.Chmod(s.path("ready"), 0o777); err != nil {
		return nil, err
	}
	s.main.Env = append(s.main.Env, "NOTIFY_SOCKET="+s.path("ready"))
	s.main.Stdout, s.main.Stderr = s.said, s.said
	started := make(chan error)
	s.over = make(chan struct{})
	go func() {
		// The daemon dies with the thread that started it, not with this process: the
		// thread must last, and [Server.enter] ends threads.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(s.over)
		err := s.main.Start()
		started <- err
		if err == nil {
			s.main.Wait() // however it ended: what it said says why
		}
		ready.Close() // nobody waits for it any more
	}()
	if err := <-started; err != nil {
		s.main = nil
		return nil, err
	}
	if err := ready.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	for {
		var b [256]byte
		n, err := ready.Read(b[:])
		if err != nil {
			return nil, err
		}
		if strings.Contains(string(b[:n]), "READY=1") {
			return s, nil
		}
	}
}

// Close ends the daemon and all that it started, and removes what they kept.
func (s *Server) Close() error {
	var err error
	if s.main != nil {
		if err = s.main.Process.Kill(); errors.Is(err, os.ErrProcessDone) {
			err = nil
		}
		<-s.over
		s.main = nil
	}
	return errors.Join(err, s.said.Close(), os.RemoveAll(s.dir))
}

// Address is that of the daemon, as the driver's options take it.
func (s *Server) Address() string {
	if s.qemu {
		return "unix://" + s.path("libvirt-sock")
	}
	return "unix://" + s.path("libvirt/libvirt-sock")
}

// Connect opens a line to the daemon.
func (s *Server) Connect(ctx context.Context) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(s.Address(), "unix://"))
}

// Said is what the daemon said.
func (s *Server) Said() string {
	said, _ := os.ReadFile(s.said.Name())
	return string(said)
}

// Freeze stops a daemon of [Unprivileged], which then answers nothing, until the function it
// returns is called.
func (s *Server) Freeze() (thaw func() error, err error) {
	return func() error { return s.main.Process.Signal(syscall.SIGCONT) }, s.main.Process.Signal(syscall.SIGSTOP)
}

// Dir is a directory for files that the daemon and its guests may read.
func (s *Server) Dir() string { return s.dir }

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

func installed(program, packages string) error {
	if found(program) == "" {
		return fmt.Errorf("%w: %s is not installed; on Debian: apt-get install --no-install-recommends %s", ErrMissing, program, packages)
	}
	return nil
}

// found is the path of a program, that of an administrator too.
func found(program string) string {
	if path, err := exec.LookPath(program); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path
		}
	}
	return ""
}
