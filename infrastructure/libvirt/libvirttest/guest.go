//go:build linux

package libvirttest

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	_ "embed"
)

// Guest is what a machine boots directly: no boot loader, no disk needed.
type Guest struct {
	Kernel, Initrd string // paths
	Args           string // of the kernel
}

// modules of the kernel that the guest loads, in this order: each after what it
// needs.
var modules = []string{
	"virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk",
	"failover", "net_failover", "virtio_net", "cdrom", "nls_utf8", "isofs", "button", "evdev",
}

//go:embed init.sh
var initScript []byte

// args tell the kernel to talk to the serial console, and not to wait for what the
// emulator does not have.
const args = "console=ttyS0 quiet panic=-1 tsc=unstable"

// NewGuest makes a guest in a directory: the kernel of Debian's package for clouds,
// which is fetched with apt-get once and kept in cache, and an initial file system
// with busybox. It is never installed. ErrMissing: what it is made of is not there.
//
// The guest takes its address from the cloud-init seed if it has one, else by DHCP;
// with "kbnt.dhcp" among the kernel's arguments always so. It greets on port 22 like an
// SSH server, serves a page on port 80 that says what it found (see init.sh), and
// switches itself off when the power button is pressed.
func NewGuest(ctx context.Context, dir, cache string) (g Guest, err error) {
	for _, program := range []string{"busybox", "dpkg-deb", "apt-get", "apt-cache"} {
		if err := installed(program, Packages); err != nil {
			return g, err
		}
	}
	if err := static(found("busybox")); err != nil {
		return g, err
	}
	deb, err := kernelPackage(ctx, cache)
	if err != nil {
		return g, err
	}
	files, err := unpack(ctx, deb)
	if err != nil {
		return g, err
	}
	busybox, err := os.ReadFile(found("busybox"))
	if err != nil {
		return g, err
	}
	root := newArchive()
	for _, name := range []string{"bin", "dev", "etc", "etc/acpi", "etc/acpi/PWRF", "lib", "proc", "run", "seed", "sys", "www"} {
		root.add(name, 0o40755, nil)
	}
	root.add("bin/busybox", 0o100755, busybox)
	root.add("init", 0o100755, initScript)
	var order []string
	for _, module := range modules {
		if data, ok := files[module+".ko"]; ok {
			root.add("lib/"+module+".ko", 0o100644, data)
			order = append(order, module)
		}
	}
	root.add("lib/order", 0o100644, []byte(strings.Join(order, "\n")+"\n"))
	g = Guest{Kernel: filepath.Join(dir, "vmlinuz"), Initrd: filepath.Join(dir, "initrd"), Args: args}
	return g, errors.Join(os.WriteFile(g.Kernel, files["vmlinuz"], 0o644), os.WriteFile(g.Initrd, root.bytes(), 0o644))
}

// static reports a program that needs libraries, which the guest does not have.
func static(program string) error {
	file, err := elf.Open(program)
	if err != nil {
		return err
	}
	defer file.Close()
	if slices.ContainsFunc(file.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return fmt.Errorf("%w: %s needs libraries; on Debian: apt-get install busybox-static", ErrMissing, program)
	}
	return nil
}

var cloudKernel = regexp.MustCompile(`linux-image-[0-9][0-9a-z.+~-]*-cloud-amd64`)

// kernelPackage is the path of the package with the newest kernel for clouds.
func kernelPackage(ctx context.Context, cache string) (string, error) {
	if kept, _ := filepath.Glob(filepath.Join(cache, "linux-image-*-cloud-amd64_*.deb")); len(kept) > 0 {
		return slices.Max(kept), nil
	}
	out, err := exec.CommandContext(ctx, found("apt-cache"), "depends", "linux-image-cloud-amd64").Output()
	name := cloudKernel.FindString(string(out))
	if err != nil || name == "" {
		return "", fmt.Errorf("%w: apt knows no linux-image-cloud-amd64: %v", ErrMissing, err)
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	fresh, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(fresh)
	c := exec.CommandContext(ctx, found("apt-get"), "download", "-q", name)
	c.Dir = fresh
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: apt-get download %s: %v\n%s", ErrMissing, name, err, out)
	}
	debs, err := filepath.Glob(filepath.Join(fresh, "*.deb"))
	if err != nil || len(debs) != 1 {
		return "", fmt.Errorf("apt-get download %s: %d packages, %v", name, len(debs), err)
	}
	kept := filepath.Join(cache, filepath.Base(debs[0]))
	return kept, os.Rename(debs[0], kept)
}

// unpack takes the kernel and the modules out of a package, by the base of their names.
func unpack(ctx context.Context, deb string) (map[string][]byte, error) {
	c := exec.CommandContext(ctx, found("dpkg-deb"), "--fsys-tarfile", deb)
	var said bytes.Buffer
	c.Stderr = &said
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	var failed error
	for archive := tar.NewReader(out); ; {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			failed = err
			break
		}
		name := path.Base(h.Name)
		if strings.HasPrefix(name, "vmlinuz-") {
			name = "vmlinuz"
		} else if !slices.Contains(modules, strings.TrimSuffix(name, ".ko")) {
			continue
		}
		if files[name], failed = io.ReadAll(archive); failed != nil {
			break
		}
	}
	_, drained := io.Copy(io.Discard, out)
	if err := errors.Join(failed, drained, c.Wait()); err != nil {
		return nil, fmt.Errorf("unpack %s: %w\n%s", deb, err, said.String())
	}
	for _, must := range []string{"vmlinuz", "virtio_net.ko", "virtio_blk.ko"} {
		if files[must] == nil {
			return nil, fmt.Errorf("%w: %s has no %s as it is needed here", ErrMissing, filepath.Base(deb), must)
		}
	}
	return files, nil
}
