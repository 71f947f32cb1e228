package kubevirt

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

var _ application.Hypervisor = (*Hypervisor)(nil)

// driver is the name in every result.
const driver = "kubevirt"

// Options of a hypervisor. Cluster, Images and Storage are required; all else has a
// default.
type Options struct {
	Cluster   Cluster                     // where the API server is and who we are
	Namespace string                      // of everything that is made; default: that of the cluster
	Owner     string                      // label app.kubernetes.io/managed-by; default "kbnt-virtualization"
	Images    map[string]Image            // by the name that a request uses
	Storage   map[domain.DiskType]Storage // the classes of disk that are sold
	Segments  map[string]string           // segment -> NetworkAttachmentDefinition, "name" or "namespace/name"; default: named like the segment
	Bridge    string                      // Linux bridge of the nodes that carries tenants' VLANs; default "br-kbnt"
	DNS       []netip.Addr                // servers for guests; none: as the image has it
	Groups    Groups                      // what security groups are; default NetworkPolicies, which has none

	// Dial connects to a guest, to see whether it answers. nil: this process has no
	// way to the guests' networks, and the checks that need one say so.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// DialTenants says that Dial may connect to addresses on tenants' networks, too. A
	// tenant chooses these, and two may choose the same: what answers from here may be
	// another's machine, or a service of the cluster. So it needs a Dial that knows the
	// way to each, and is false by default.
	DialTenants bool

	Page int // most objects of one answer to List; default 250
}

// Image is what a machine boots. Exactly one of ContainerDisk and URL is set; with
// neither, volumes are made blank, which is good for nothing but tests.
type Image struct {
	ContainerDisk string         // in a registry: "quay.io/containerdisks/ubuntu:22.04"
	URL           string         // of a disk image, http or https
	SHA256        string         // of what is at URL, 64 hex digits; may be empty; needs a CDI that knows checksums
	User          string         // who gets the SSH keys; empty: whoever the image says
	Agent         bool           // the guest runs the QEMU guest agent, at the latest after its first boot
	Install       []string       // packages of the first boot; each brings a systemd unit of its name
	Ports         map[string]int // services by name, "ssh" is asked for health; default "ssh" 22
}

// Storage is how volumes of one class of disk are made.
type Storage struct {
	Class string // StorageClass; empty: the cluster's default
	Mode  string // access mode; default ReadWriteOnce. Live migration needs ReadWriteMany
	Block bool   // a block device instead of a file system
	IOPS  int    // most that a volume of this class does; one that is to do more is refused. 0: nobody knows, none is refused
}

// Groups says what a security group of a request is: an object with the label
// "kbnt.dev/security-group" that the operator made. A name that nobody defined is refused.
type Groups string

const (
	// NetworkPolicies apply to the pod's own network only, never to a bridge, on which
	// all machines are. So they filter nothing, and a new machine that names a security
	// group is refused.
	NetworkPolicies Groups = "networking.k8s.io/v1/networkpolicies"

	// MultiNetworkPolicies apply to the networks of NetworkAttachmentDefinitions, where
	// their controller is installed.
	MultiNetworkPolicies Groups = "k8s.cni.cncf.io/v1beta1/multi-networkpolicies"
)

// Hypervisor is the KubeVirt driver. Its methods are safe for concurrent use.
type Hypervisor struct {
	client    *client
	namespace string
	owner     string
	images    map[string]Image
	storage   map[domain.DiskType]Storage
	segments  map[string]string
	bridge    string
	dns       []netip.Addr
	groups    Groups
	dial      dialer
	tenants   bool // dial may connect to tenants' networks
	page      int
	binding   sync.Map // StorageClass name -> whether it waits for its first consumer, which never changes
}

// New returns a hypervisor. It asks the cluster nothing. The error names every
// mistake in the options.
func New(o Options) (*Hypervisor, error) {
	h := &Hypervisor{
		namespace: cmp.Or(o.Namespace, o.Cluster.Namespace), owner: cmp.Or(o.Owner, "kbnt-virtualization"),
		images: maps.Clone(o.Images), storage: maps.Clone(o.Storage), segments: maps.Clone(o.Segments),
		bridge: cmp.Or(o.Bridge, "br-kbnt"), dns: slices.Clone(o.DNS), groups: cmp.Or(o.Groups, NetworkPolicies),
		dial: o.Dial, tenants: o.DialTenants, page: cmp.Or(o.Page, 250),
	}
	var wrong []error
	bad := func(is bool, format string, args ...any) {
		if is {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	var err error
	h.client, err = newClient(o.Cluster)
	bad(err != nil, "cluster: %w", err)
	bad(!label().MatchString(h.namespace), "namespace %q: want the name of one", h.namespace)
	bad(!labelValue().MatchString(h.owner), "owner %q: want up to 63 of A-Z a-z 0-9 . _ -", h.owner)
	bad(len(h.images) == 0, "images: none given")
	bad(len(h.storage) == 0, "storage: no class of disk is given")
	bad(!device().MatchString(h.bridge), "bridge %q: want the name of a network device, up to 15 characters", h.bridge)
	bad(h.groups != NetworkPolicies && h.groups != MultiNetworkPolicies, "groups %q: want %q or %q", h.groups, NetworkPolicies, MultiNetworkPolicies)
	bad(h.page < 1, "page %d: want 1 or more", h.page)
	for name, image := range h.images {
		wrong = append(wrong, image.mistakes(name)...)
	}
	for class, s := range h.storage {
		bad(s.Class != "" && !subdomain().MatchString(s.Class), "storage %s: class %q is no name of a StorageClass", class, s.Class)
		bad(!slices.Contains([]string{"", "ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"}, s.Mode), "storage %s: mode %q: want ReadWriteOnce, ReadWriteMany or ReadWriteOncePod", class, s.Mode)
		bad(s.IOPS < 0, "storage %s: IOPS %d: want 0 or more", class, s.IOPS)
	}
	for segment, target := range h.segments {
		namespace, name, two := strings.Cut(target, "/")
		if !two {
			namespace, name = h.namespace, target
		}
		bad(!label().MatchString(namespace) || !subdomain().MatchString(name), "segment %s: %q: want \"name\" or \"namespace/name\" of a NetworkAttachmentDefinition", segment, target)
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("kubevirt hypervisor: %w", err)
	}
	return h, nil
}

// Names as Kubernetes and Linux have them.
var (
	label      = pattern(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	subdomain  = pattern(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)
	labelValue = pattern(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
	device     = pattern(`^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$`)
)

// pattern compiles an expression when it is first needed, not in every cold start.
func pattern(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}

func (i Image) imported() bool { return i.ContainerDisk != "" || i.URL != "" }

func (i Image) mistakes(name string) (wrong []error) {
	bad := func(is bool, format string, args ...any) {
		if is {
			wrong = append(wrong, fmt.Errorf("image %q: "+format, append([]any{name}, args...)...))
		}
	}
	bad(i.ContainerDisk != "" && i.URL != "", "a container disk and a URL: want one")
	bad(strings.ContainsAny(i.ContainerDisk, " \t\r\n") || strings.Contains(i.ContainerDisk, "://"), "container disk %q: want a reference such as \"quay.io/containerdisks/ubuntu:22.04\"", i.ContainerDisk)
	if i.URL != "" {
		u, err := url.Parse(i.URL)
		bad(err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "", "%q is no absolute http or https URL", i.URL)
	}
	sum, err := hex.DecodeString(i.SHA256)
	bad(i.SHA256 != "" && (err != nil || len(sum) != 32 || i.URL == ""), "SHA-256 %q: want 64 hex digits, and a URL", i.SHA256)
	for service, port := range i.Ports {
		bad(service == "" || port < 1 || port > 65535, "port %q %d: want a name and 1 to 65535", service, port)
	}
	for _, p := range i.Install {
		bad(!subdomain().MatchString(p), "%q is no package", p)
	}
	return wrong
}

// ports are what the image offers, "ssh" always among them.
func (i Image) ports() map[string]int {
	p := map[string]int{"ssh": 22}
	maps.Copy(p, i.Ports)
	return p
}

// Capabilities says that KubeVirt places by itself and that its scheduler guards
// capacity. Addresses and VLANs are guarded by our own claims alone. It asks the
// cluster nothing and never fails.
func (h *Hypervisor) Capabilities(context.Context) (application.Capabilities, error) {
	return application.Capabilities{Driver: driver, Guards: application.Guards{Capacity: true}}, nil
}
