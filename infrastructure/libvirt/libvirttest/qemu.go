//go:build linux

package libvirttest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Packages is what QEMU needs of Debian.
const Packages = "libvirt-daemon libvirt-daemon-driver-qemu qemu-system-x86 qemu-utils dnsmasq-base iptables iproute2 busybox-static"

// inside sets the namespaces up and runs the daemon in them. The shell stays, as the
// first process there: it is the one that is told of processes that end.
const inside = `set -e
mount --make-rprivate /
mount -t proc proc /proc
for d in run/libvirt var/lib/libvirt var/cache/libvirt var/log/libvirt etc/libvirt; do
	mkdir -p /$d "$1/host/$d"
	mount --bind "$1/host/$d" /$d
done
cp "$1/qemu.conf" /etc/libvirt/
for f in passwd group; do # libvirtd looks its users up, even if it is told to use others
	cp "/etc/$f" "$1/$f"
	echo "libvirt-qemu:x:64055:$([ $f = group ] || echo 64055::/nonexistent:/bin/false)" >>"$1/$f"
	mount --bind "$1/$f" "/etc/$f"
done
ip link set lo up
libvirtd -f "$1/libvirtd.conf" -p "$1/libvirtd.pid" &
wait $!
`

// Settings of a daemon that nobody but the test talks to, without systemd, cgroups
// and security modules.
const (
	libvirtdConf = `unix_sock_dir = "%s"
auth_unix_ro = "none"
auth_unix_rw = "none"
`
	qemuConf = `security_driver = "none"
stdio_handler = "file"
cgroup_controllers = []
namespaces = []
remember_owner = 0
user = "root"
group = "root"
`
)

// QEMU starts a daemon that boots guests, in namespaces of its own. ErrMissing:
// something is not installed, or we are not root.
func QEMU() (*Server, error) {
	if os.Getuid() != 0 {
		return nil, fmt.Errorf("%w: only root can make the namespaces that the test keeps to", ErrMissing)
	}
	for _, program := range []string{"libvirtd", "qemu-system-x86_64", "qemu-img", "dnsmasq", "iptables", "ip"} {
		if err := installed(program, Packages); err != nil {
			return nil, err
		}
	}
	s, err := newServer()
	if err != nil {
		return nil, err
	}
	s.qemu = true
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.main = exec.Command("/bin/sh", "-c", inside, "sh", s.dir)
	s.main.Env = []string{programs}
	s.main.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL,
	}
	return s.start(map[string]string{"libvirtd.conf": fmt.Sprintf(libvirtdConf, s.dir), "qemu.conf": qemuConf})
}

// Dial connects to a guest, from inside the network of the daemon.
func (s *Server) Dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	entered := s.enter(func() { conn, err = new(net.Dialer).DialContext(ctx, network, address) })
	if entered != nil {
		return nil, entered
	}
	return conn, err
}

// Output runs a program inside the network of the daemon.
func (s *Server) Output(ctx context.Context, name string, args ...string) (out string, err error) {
	entered := s.enter(func() {
		var b []byte
		b, err = exec.CommandContext(ctx, found(name), args...).CombinedOutput()
		out = string(b)
	})
	return out, errors.Join(entered, err)
}

// enter calls a function in the network of the daemon. A socket belongs to the
// network of the thread that made it, so the thread is not used for anything else.
func (s *Server) enter(call func()) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		file, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", s.main.Process.Pid))
		if err != nil {
			result <- err
			return
		}
		defer file.Close()
		if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
			result <- fmt.Errorf("enter the network of libvirtd: %w", err)
			return
		}
		call()
		result <- nil
	}()
	return <-result
}
