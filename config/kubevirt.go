package config

import (
	"net/netip"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// KubeVirtCluster is what the driver of KubeVirt is told about its cluster, read from a
// file:
//
//	namespace: kbnt-machines
//	storage:
//	  SSD: {class: fast, mode: ReadWriteMany, block: true, iops: 5000}
//	segments: {bridged: default/office}
//	bridge: br-kbnt
//	dns: 10.0.0.53
//	securityGroups: NetworkPolicies
//	dial: false
//
// What is empty the driver has a default for.
type KubeVirtCluster struct {
	Path           string                     // of the file; empty: there is none
	Namespace      string                     // of all that is made; default kbnt-machines
	Storage        map[string]KubeVirtStorage // by class of disk: SSD, HDD, NVME
	Segments       map[string]string          // segment -> NetworkAttachmentDefinition, "name" or "namespace/name"
	Bridge         string                     // of the nodes, with the VLANs of tenants
	DNS            []netip.Addr               // servers told to guests
	SecurityGroups string                     // NetworkPolicies, by which machines with security groups are refused, or MultiNetworkPolicies
	Dial           bool                       // this process has a way to the guests' networks
}

// KubeVirtStorage is how volumes of one class of disk are made.
type KubeVirtStorage struct {
	Class string // StorageClass; empty: the cluster's default
	Mode  string // ReadWriteOnce, ReadWriteMany or ReadWriteOncePod; empty: the driver's default
	Block bool   // a block device instead of a file system
	IOPS  *int   // most that a volume does; nil: nobody knows, and nothing is refused
}

// String is the path of the file.
func (k KubeVirtCluster) String() string { return k.Path }

// Decode reads the file that value names.
func (k *KubeVirtCluster) Decode(value string) error {
	read := KubeVirtCluster{Path: value, Namespace: "kbnt-machines", Storage: map[string]KubeVirtStorage{}, Segments: map[string]string{}}
	err := readDocument(value, func(d *document, root *yaml.Node) {
		d.members(root, "", map[string]func(*yaml.Node, string){
			"namespace": d.text(&read.Namespace, isLabel, "the name of a namespace"),
			"storage": func(n *yaml.Node, field string) {
				d.each(n, field, func(key, value *yaml.Node, field string) {
					if !oneOf("SSD", "HDD", "NVME")(key.Value) {
						d.want(key, field, "a class of disk: SSD, HDD or NVME")
					}
					read.Storage[key.Value] = d.kubevirtStorage(value, field)
				})
			},
			"segments": func(n *yaml.Node, field string) {
				d.each(n, field, func(key, value *yaml.Node, field string) {
					var target string
					d.text(&target, isAttachment, "the name of a NetworkAttachmentDefinition, or namespace/name")(value, field)
					read.Segments[key.Value] = target
				})
			},
			"bridge":         d.text(&read.Bridge, isDevice, "the name of a bridge of the nodes, 15 characters at most"),
			"dns":            d.text(new(string), func(s string) bool { return addresses(s, &read.DNS) }, "addresses, separated by spaces"),
			"securityGroups": d.text(&read.SecurityGroups, oneOf("NetworkPolicies", "MultiNetworkPolicies"), "NetworkPolicies or MultiNetworkPolicies"),
			"dial":           d.flag(&read.Dial),
		}, "namespace, storage, segments, bridge, dns, securityGroups, dial")
		if len(d.faults) == 0 && len(read.Storage) == 0 {
			d.want(root, "storage", "one class of disk at least")
		}
	})
	if err == nil {
		*k = read
	}
	return err
}

func (d *document) kubevirtStorage(n *yaml.Node, field string) (s KubeVirtStorage) {
	d.members(n, field, map[string]func(*yaml.Node, string){
		"class": d.text(&s.Class, isSubdomain, "the name of a StorageClass"),
		"mode":  d.text(&s.Mode, oneOf("ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"), "ReadWriteOnce, ReadWriteMany or ReadWriteOncePod"),
		"block": d.flag(&s.Block),
		"iops":  whole(d, &s.IOPS, 1_000_000),
	}, "class, mode, block, iops")
	return s
}

// flag is true or false.
func (d *document) flag(into *bool) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		v, err := strconv.ParseBool(n.Value)
		if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" || err != nil {
			d.want(n, field, "true or false")
			return
		}
		*into = v
	}
}

// isLabel: RFC 1123, as Kubernetes has names of namespaces.
func isLabel(s string) bool { return len(s) <= 63 && isSubdomain(s) && !strings.Contains(s, ".") }

// isSubdomain is a name of most objects of Kubernetes.
func isSubdomain(s string) bool {
	edge := func(r string) bool { return consists(r, 1, "") }
	return consists(s, 253, ".-") && s == strings.ToLower(s) && edge(s[:1]) && edge(s[len(s)-1:])
}

func isAttachment(s string) bool {
	namespace, name, two := strings.Cut(s, "/")
	return two && isLabel(namespace) && isSubdomain(name) || !two && isSubdomain(s)
}

// isDevice: IFNAMSIZ of Linux is 16, with the zero at the end.
func isDevice(s string) bool { return consists(s, 15, "._-") && consists(s[:1], 1, "") }
