// Package libvirt sends requests through the three functions to real machines: a
// guest boots on QEMU, answers on the address that its completion event names, and
// goes again, and the host is as it was; so it is when the creation fails, at
// whatever step. The host is a libvirtd of the test's own,
// see infrastructure/libvirt/libvirttest; topics are played in process.
//
// It does not try the driver in every way: the driver's own tests do.
package libvirt
