package kubevirt

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
)

// kind is a kind of object, and where it is served.
type kind struct {
	api    string // "v1", "kubevirt.io/v1"
	name   string // "VirtualMachine"
	plural string
}

func machines() kind { return kind{"kubevirt.io/v1", "VirtualMachine", "virtualmachines"} }
func instances() kind {
	return kind{"kubevirt.io/v1", "VirtualMachineInstance", "virtualmachineinstances"}
}
func claims() kind  { return kind{"v1", "PersistentVolumeClaim", "persistentvolumeclaims"} }
func imports() kind { return kind{"cdi.kubevirt.io/v1beta1", "DataVolume", "datavolumes"} }
func secrets() kind { return kind{"v1", "Secret", "secrets"} }
func networks() kind {
	return kind{"k8s.cni.cncf.io/v1", "NetworkAttachmentDefinition", "network-attachment-definitions"}
}

// object is one that is to be made.
type object struct {
	API  string            `json:"apiVersion"`
	Kind string            `json:"kind"`
	Meta meta              `json:"metadata"`
	Data map[string][]byte `json:"data,omitempty"` // of a Secret
	Spec any               `json:"spec,omitempty"`
}

// meta is metadata.
type meta struct {
	Name        string            `json:"name,omitempty"`
	Namespace   string            `json:"namespace,omitempty"`
	UID         string            `json:"uid,omitempty"`
	Generation  int64             `json:"generation,omitempty"` // counts changes of the specification
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Owners      []reference       `json:"ownerReferences,omitempty"`
	Created     time.Time         `json:"creationTimestamp,omitzero"`
	Deleting    *time.Time        `json:"deletionTimestamp,omitempty"`
}

type reference struct {
	API  string `json:"apiVersion"`
	Kind string `json:"kind"`
	Name string `json:"name"`
	UID  string `json:"uid"`
}

// ownedBy reports whether an object of that kind is among the owners, and its uid.
func (m meta) ownedBy(k kind) (uid string, ok bool) {
	for _, o := range m.Owners {
		if o.Kind == k.name {
			return o.UID, true
		}
	}
	return "", false
}

// path of a collection, or of one object of it.
func path(k kind, namespace, name string) string {
	p := "/apis/" + k.api
	if k.api == "v1" {
		p = "/api/v1"
	}
	if namespace != "" {
		p += "/namespaces/" + url.PathEscape(namespace)
	}
	p += "/" + k.plural
	if name != "" {
		p += "/" + url.PathEscape(name)
	}
	return p
}

// get reads an object into out, and reports false when there is none.
func (h *Hypervisor) get(ctx context.Context, k kind, namespace, name string, out any) (bool, error) {
	err := h.client.do(ctx, call{method: http.MethodGet, path: path(k, namespace, name)}, out)
	if errors.Is(err, errAbsent) {
		return false, nil
	}
	return err == nil, err
}

// create makes an object, never another one's: errExists when the name is taken. It is
// a POST, because applying would take over an object of somebody else, and succeed on
// one that is being deleted.
func (h *Hypervisor) create(ctx context.Context, k kind, o object, out any) error {
	o.API, o.Kind = k.api, k.name
	return h.client.do(ctx, call{method: http.MethodPost, path: path(k, h.namespace, ""), query: strict(), body: o}, out)
}

// remove asks for the deletion of exactly that object. One that has gone, or is another
// one by now, is success: whatever has the name was looked at by nobody yet.
func (h *Hypervisor) remove(ctx context.Context, k kind, m meta) error {
	options := map[string]any{"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
		"preconditions": map[string]any{"uid": m.UID}}
	err := h.client.do(ctx, call{method: http.MethodDelete, path: path(k, h.namespace, m.Name), body: options}, nil)
	if errors.Is(err, errAbsent) {
		return nil
	}
	return err
}

// list yields the objects of ours, page by page, until an error or the caller ends it.
func list[T any](ctx context.Context, h *Hypervisor, k kind) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		query := url.Values{"labelSelector": {managedBy + "=" + h.owner}, "limit": {strconv.Itoa(h.page)}}
		for {
			var page struct {
				Meta struct {
					Continue string `json:"continue"`
				} `json:"metadata"`
				Items []T `json:"items"`
			}
			if err := h.client.do(ctx, call{method: http.MethodGet, path: path(k, h.namespace, ""), query: query}, &page); err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if page.Meta.Continue == "" {
				return
			}
			query.Set("continue", page.Meta.Continue)
		}
	}
}

// Labels and annotations of ours.
const (
	managedBy  = "app.kubernetes.io/managed-by"
	ofResource = "kbnt.dev/resource"   // label: Resource.UID
	ofKind     = "kbnt.dev/kind"       // label: domain.ThingKind
	ofItem     = "kbnt.dev/item"       // label
	withHash   = "kbnt.dev/spec-hash"  // annotation: domain.Desired.Hash
	ofTenant   = eventing.KeyTenant    // annotation, because a tenant may be named as no label can
	virtualID  = eventing.KeyVirtualID // annotation
	ofImage    = "kbnt.dev/image"      // annotation of machines
	atAddress  = "kbnt.dev/address"    // annotation of machines: with prefix length
	onNetwork  = "kbnt.dev/network"    // annotation of machines: segment, or tenant's network
	inGroup    = "kbnt.dev/security-group"
	groupOf    = "security-group.kbnt.dev/" // label of a machine's pod, with the group's name
)

// metaOf is the metadata of a thing that is wanted.
func (h *Hypervisor) metaOf(want domain.Desired) meta {
	return meta{
		Name: want.Key.Name(),
		Labels: map[string]string{managedBy: h.owner, ofResource: want.Key.Resource, ofKind: string(want.Key.Kind),
			ofItem: strconv.Itoa(want.Key.Item)},
		Annotations: map[string]string{withHash: want.Hash(), ofTenant: want.Tenant, virtualID: want.VirtualID},
	}
}

// ours reports whether an object is the thing of that key.
func (h *Hypervisor) ours(m meta, key domain.Key) bool {
	k, ok := h.keyOf(m)
	return ok && k == key && m.Name == key.Name()
}

// keyOf reads the key of an object of ours.
func (h *Hypervisor) keyOf(m meta) (domain.Key, bool) {
	item, err := strconv.Atoi(m.Labels[ofItem])
	key := domain.Key{Resource: m.Labels[ofResource], Kind: domain.ThingKind(m.Labels[ofKind]), Item: item}
	return key, err == nil && m.Labels[managedBy] == h.owner && key.Resource != ""
}
