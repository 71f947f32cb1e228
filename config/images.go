package config

import (
	"maps"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// DefaultImage is what a machine boots whose request names no image, unless the
// catalogue says otherwise.
const DefaultImage = "Ubuntu 22.04"

// Images is the operator's catalogue, read from a file: what machines may boot,
// by the name that requests use, and where each driver finds it.
//
//	default: Ubuntu 22.04
//	images:
//	  Ubuntu 22.04:
//	    user: ubuntu
//	    agent: true
//	    ports: {ssh: 22, http: 80}
//	    kubevirt: {containerDisk: "quay.io/containerdisks/ubuntu:22.04"}
//	    libvirt: {volume: ubuntu-22.04.qcow2, pool: images}
type Images struct {
	Path      string // of the file; empty: there is none
	Default   string // of a request that names none; a name in Catalogue
	Catalogue map[string]Image
}

// Image is one entry. A driver that it has no part for cannot boot it.
type Image struct {
	User     string         // whom cloud-init makes to log in: "ubuntu"; empty: what the image has
	Agent    bool           // the guest runs the QEMU guest agent, at the latest after its first boot
	Ports    map[string]int // services by name, each 1 to 65535: "ssh", "http"; nil: none is named
	KubeVirt *KubeVirtImage
	Libvirt  *LibvirtImage
}

// KubeVirtImage is a container disk or something to download: one of the two.
type KubeVirtImage struct {
	ContainerDisk string // an image reference: "quay.io/containerdisks/ubuntu:22.04"
	URL           string // http or https, of a disk image
	SHA256        string // of what URL names, 64 hexadecimal digits; empty: not checked
}

// LibvirtImage is a volume that lies on every host.
type LibvirtImage struct {
	Volume  string // its name: "ubuntu-22.04.qcow2"
	Pool    string // the storage pool it is in; empty: the driver's own
	Format  string // qcow2, the default, or raw
	SHA256  string // of the volume, 64 hexadecimal digits; empty: not checked
	Kernel  string // absolute path on the host of a kernel to boot instead of the disk's; empty: the disk's
	Initrd  string // absolute path on the host; needs Kernel
	Cmdline string // of the kernel; needs Kernel
}

// Names lists the catalogue in order.
func (i Images) Names() []string { return slices.Sorted(maps.Keys(i.Catalogue)) }

// String is the path of the file.
func (i Images) String() string { return i.Path }

// Decode reads the file that value names.
func (i *Images) Decode(value string) error {
	read := Images{Path: value, Default: DefaultImage, Catalogue: map[string]Image{}}
	err := readDocument(value, func(d *document, root *yaml.Node) {
		named, all := root, root // where a missing default is reported
		d.members(root, "", map[string]func(*yaml.Node, string){
			"default": func(n *yaml.Node, field string) {
				named = n
				d.text(&read.Default, isImageName, "the name of an image")(n, field)
			},
			"images": func(n *yaml.Node, field string) {
				all = n
				d.each(n, field, func(key, value *yaml.Node, field string) {
					if !isImageName(key.Value) {
						d.want(key, field, "a name of 1 to 64 printable characters")
					}
					read.Catalogue[key.Value] = d.image(value, field)
				})
			},
		}, "default, images")
		_, found := read.Catalogue[read.Default]
		switch {
		case len(read.Catalogue) == 0 && (all == root || all.Kind == yaml.MappingNode):
			d.want(all, "images", "one image at least")
		case !found && named != root:
			d.want(named, "default", "a name in images: %s", strings.Join(read.Names(), ", "))
		case !found && len(read.Catalogue) > 0:
			d.want(all, "images", "an image %q, or default: one of %s", DefaultImage, strings.Join(read.Names(), ", "))
		}
	})
	if err == nil {
		*i = read
	}
	return err
}

func (d *document) image(n *yaml.Node, field string) Image {
	var i Image
	d.members(n, field, map[string]func(*yaml.Node, string){
		"user":     d.text(&i.User, isUnixUser, "the name of a user as in /etc/passwd"),
		"agent":    d.flag(&i.Agent),
		"ports":    func(n *yaml.Node, field string) { i.Ports = d.ports(n, field) },
		"kubevirt": func(n *yaml.Node, field string) { i.KubeVirt = d.kubevirt(n, field) },
		"libvirt":  func(n *yaml.Node, field string) { i.Libvirt = d.libvirt(n, field) },
	}, "user, agent, ports, kubevirt, libvirt")
	return i
}

func (d *document) ports(n *yaml.Node, field string) map[string]int {
	all := map[string]int{}
	d.each(n, field, func(key, value *yaml.Node, field string) {
		if !isLabel(key.Value) {
			d.want(key, field, "the name of a service: a-z 0-9 -, such as ssh or http")
		}
		port, err := strconv.Atoi(value.Value)
		if value.Kind != yaml.ScalarNode || value.Tag != "!!int" || err != nil || port < 1 || port > 65535 {
			d.want(value, field, "a port, 1 to 65535")
		}
		all[key.Value] = port
	})
	return all
}

func (d *document) kubevirt(n *yaml.Node, field string) *KubeVirtImage {
	before := len(d.faults)
	i := &KubeVirtImage{}
	d.members(n, field, map[string]func(*yaml.Node, string){
		"containerDisk": d.text(&i.ContainerDisk, isReference, "a reference of a container image, without a scheme"),
		"url":           d.text(&i.URL, isDownload, "an http or https URL without user or fragment"),
		"sha256":        d.text(&i.SHA256, isSHA256, wantSHA256),
	}, "containerDisk, url, sha256")
	switch {
	case len(d.faults) > before:
	case (i.ContainerDisk == "") == (i.URL == ""):
		d.want(n, field, "either containerDisk or url")
	case i.SHA256 != "" && i.URL == "":
		d.want(n, field, "sha256 with url only: a containerDisk has its digest in the reference, name@sha256:...")
	}
	return i
}

func (d *document) libvirt(n *yaml.Node, field string) *LibvirtImage {
	before := len(d.faults)
	i := &LibvirtImage{Format: "qcow2"}
	d.members(n, field, map[string]func(*yaml.Node, string){
		"volume":  d.text(&i.Volume, isVolume, "the name of a volume, not a path"),
		"pool":    d.text(&i.Pool, isVolume, "the name of a storage pool"),
		"format":  d.text(&i.Format, func(s string) bool { return s == "qcow2" || s == "raw" }, "qcow2 or raw"),
		"sha256":  d.text(&i.SHA256, isSHA256, wantSHA256),
		"kernel":  d.text(&i.Kernel, isHostPath, wantHostPath),
		"initrd":  d.text(&i.Initrd, isHostPath, wantHostPath),
		"cmdline": d.text(&i.Cmdline, isLine, "one line of printable characters, 2048 at most"),
	}, "volume, pool, format, sha256, kernel, initrd, cmdline")
	switch {
	case len(d.faults) > before:
	case i.Volume == "":
		d.want(n, field, "volume: the name of what is booted")
	case i.Kernel == "" && (i.Initrd != "" || i.Cmdline != ""):
		d.want(n, field, "kernel, too: initrd and cmdline are its")
	}
	return i
}

const (
	wantSHA256   = "64 hexadecimal digits in lower case"
	wantHostPath = "an absolute path on the host, without . or .."
)

func isUnixUser(s string) bool {
	return consists(s, 32, "_-") && s == strings.ToLower(s) && !strings.ContainsAny(s[:1], "0123456789-")
}

func isReference(s string) bool {
	return consists(s, 512, "._/:@-") && consists(s[:1], 1, "") && !strings.Contains(s, "//")
}

func isSHA256(s string) bool { return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == "" }

func isVolume(s string) bool { return consists(s, 128, "._+-") && consists(s[:1], 1, "") }

func isImageName(s string) bool {
	return s == strings.TrimSpace(s) && len(s) <= 64 && isLine(s)
}

func isLine(s string) bool {
	return s != "" && len(s) <= 2048 && !strings.ContainsFunc(s, func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) })
}

func isHostPath(s string) bool { return path.IsAbs(s) && path.Clean(s) == s && s != "/" && isLine(s) }

func isDownload(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil && u.Fragment == "" && !strings.Contains(s, " ")
}
