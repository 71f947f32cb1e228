// Package libvirttest gives tests a libvirtd of their own, and a guest to boot on
// it. It is for tests of the driver and of what is built on it; it is no way to
// run machines.
//
// [Unprivileged] has libvirt's driver "test" alone, which makes nothing real, and
// runs as anybody. [QEMU] boots guests, in software where there is no KVM. It needs
// root, because it runs in namespaces of its own: what it makes (bridges, firewall
// rules, leases, processes, even ip_forward) is nowhere else, and goes with it,
// however the test ends. [Guest] makes a kernel and an initial file system of some
// megabytes that boot in seconds.
//
// It works on Linux alone.
package libvirttest
