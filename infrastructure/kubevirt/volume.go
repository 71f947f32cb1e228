package kubevirt

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"kbnt.dev/virtualization/domain"
)

// claim is a PersistentVolumeClaim: a blank volume, or what CDI made for a DataVolume.
type claim struct {
	Meta meta      `json:"metadata"`
	Spec claimSpec `json:"spec"`
	Seen struct {
		Phase string `json:"phase"`
	} `json:"status"`
}

type claimSpec struct {
	Modes     []string  `json:"accessModes"`
	Mode      string    `json:"volumeMode,omitempty"`
	Class     string    `json:"storageClassName,omitempty"`
	Resources resources `json:"resources"`
}

type resources struct {
	Requests map[string]string `json:"requests"`
}

// dataVolume is a volume that CDI fills with an image.
type dataVolume struct {
	Meta meta `json:"metadata"`
	Seen struct {
		Phase string `json:"phase"`
	} `json:"status"`
}

type dataVolumeSpec struct {
	Source source    `json:"source"`
	Claim  claimSpec `json:"pvc"`
}

type source struct {
	Registry *location `json:"registry,omitempty"`
	HTTP     *location `json:"http,omitempty"`
}

type location struct {
	URL      string `json:"url"`
	Checksum string `json:"checksum,omitempty"`
}

// volume is what there is of one volume.
type volume struct {
	claim    *claim
	imported *dataVolume
}

// volume looks for both objects at a time: nobody but the cluster knows which it is, and
// the catalogue may have had another image when it was made. A cluster without CDI has
// no DataVolumes.
func (h *Hypervisor) volume(ctx context.Context, key domain.Key) (volume, error) {
	var c claim
	var d dataVolume
	var foundClaim, foundImport bool
	err := both(
		func() (err error) { foundClaim, err = h.get(ctx, claims(), h.namespace, key.Name(), &c); return err },
		func() (err error) {
			foundImport, err = h.get(ctx, imports(), h.namespace, key.Name(), &d)
			if errors.Is(err, errNoAPI) {
				return nil
			}
			return err
		})
	var v volume
	if foundClaim {
		v.claim = &c
	}
	if foundImport {
		v.imported = &d
	}
	return v, err
}

// both runs two looks at a time and returns an error of either.
func both(one, two func() error) error {
	var first error
	var done sync.WaitGroup
	done.Go(func() { first = one() })
	second := two()
	done.Wait()
	if first != nil {
		return first
	}
	return second
}

// main is the object that stands for the volume, nil when there is none. A claim that
// CDI made goes with its DataVolume.
func (v volume) main() *meta {
	switch {
	case v.imported != nil:
		return &v.imported.Meta
	case v.claim != nil:
		return &v.claim.Meta
	}
	return nil
}

// left reports whether the claim is what is left of a DataVolume that has gone.
func (v volume) left() bool {
	if v.claim == nil || v.imported != nil {
		return false
	}
	_, made := v.claim.Meta.ownedBy(imports())
	return made
}

func (h *Hypervisor) ensureVolume(ctx context.Context, want domain.Desired) (domain.Observation, error) {
	have, err := h.volume(ctx, want.Key)
	if err != nil {
		return domain.Observation{}, err
	}
	if m := have.main(); m != nil {
		if err := h.adopt(*m, want); err != nil {
			return domain.Observation{}, err
		}
		if have.left() {
			return domain.Observation{}, deleting()
		}
		return h.seeVolume(ctx, want.Key, have)
	}
	spec := h.claimSpec(*want.Spec.Volume)
	image, known := h.images[want.Image]
	switch {
	case want.Image != "" && !known:
		return domain.Observation{}, missing("image")
	case image.imported():
		have.imported = new(dataVolume)
		o := object{Meta: h.metaOf(want), Spec: dataVolumeSpec{Source: image.source(), Claim: spec}}
		o.Meta.Annotations["cdi.kubevirt.io/storage.deleteAfterCompletion"] = "false" // or the volume would change its kind
		err = h.create(ctx, imports(), o, have.imported)
	default:
		have.claim = new(claim)
		err = h.create(ctx, claims(), object{Meta: h.metaOf(want), Spec: spec}, have.claim)
	}
	if err != nil {
		return domain.Observation{}, err
	}
	return h.seeVolume(ctx, want.Key, have)
}

func (h *Hypervisor) claimSpec(v domain.VolumeSpec) claimSpec {
	class := h.storage[v.Type]
	s := claimSpec{Modes: []string{"ReadWriteOnce"}, Class: class.Class, Resources: resources{map[string]string{"storage": quantity(v.Size)}}}
	if class.Mode != "" {
		s.Modes = []string{class.Mode}
	}
	if class.Block {
		s.Mode = "Block"
	}
	return s
}

func (i Image) source() source {
	if i.ContainerDisk != "" {
		return source{Registry: &location{URL: "docker://" + i.ContainerDisk}}
	}
	l := &location{URL: i.URL}
	if i.SHA256 != "" {
		l.Checksum = "sha256:" + i.SHA256
	}
	return source{HTTP: l}
}

// quantity writes a size as Kubernetes has it.
func quantity(m domain.MiB) string { return fmt.Sprintf("%dMi", int64(m)) }

// seeVolume is what a volume shows. One that is bound to its first consumer only is
// ready: waiting for the machine that waits for it would take for ever.
func (h *Hypervisor) seeVolume(ctx context.Context, key domain.Key, v volume) (domain.Observation, error) {
	m := v.main()
	switch {
	case m == nil:
		return domain.Observation{Key: key, Phase: domain.ThingAbsent}, nil
	case v.left(): // whoever's labels CDI has put on it
		return domain.Observation{Key: key, Phase: domain.ThingDeleting}, nil
	case !h.ours(*m, key):
		return alien(key), nil
	}
	o := observed(key, *m)
	switch {
	case m.Deleting != nil:
		o.Phase = domain.ThingDeleting
	case v.imported != nil:
		o.Reason = v.imported.Seen.Phase
		o.Phase = importPhase(o.Reason)
	default:
		o.Reason = v.claim.Seen.Phase
		o.Phase = claimPhase(o.Reason)
		if o.Phase == domain.ThingCreating {
			waits, err := h.waitsForConsumer(ctx, v.claim.Spec.Class)
			if err != nil {
				return domain.Observation{}, err
			}
			if waits {
				o.Phase, o.Reason = domain.ThingReady, "WaitForFirstConsumer"
			}
		}
	}
	return o, nil
}

// waitsForConsumer reports whether volumes of a class are bound when a machine uses
// them first. It is asked once per class: a class never changes that.
func (h *Hypervisor) waitsForConsumer(ctx context.Context, class string) (bool, error) {
	if class == "" {
		return false, nil // the cluster has no default class: somebody binds it by hand
	}
	if waits, known := h.binding.Load(class); known {
		return waits.(bool), nil
	}
	var s struct {
		Binding string `json:"volumeBindingMode"`
	}
	found, err := h.get(ctx, kind{"storage.k8s.io/v1", "StorageClass", "storageclasses"}, "", class, &s)
	if err != nil || !found {
		return false, err // a class may be named that does not exist: then somebody binds by hand, too
	}
	waits := s.Binding == "WaitForFirstConsumer"
	h.binding.Store(class, waits)
	return waits, nil
}

// needsVolume finds a machine's root volume, and says by which source a machine uses
// it. NotFound: it does not exist, or goes.
func (h *Hypervisor) needsVolume(ctx context.Context, key domain.Key) (map[string]any, error) {
	v, err := h.volume(ctx, key)
	if err != nil {
		return nil, err
	}
	m := v.main()
	if m == nil || v.left() || !h.ours(*m, key) || m.Deleting != nil {
		return nil, missing("volume")
	}
	if v.imported != nil {
		return map[string]any{"dataVolume": map[string]any{"name": m.Name}}, nil
	}
	return map[string]any{"persistentVolumeClaim": map[string]any{"claimName": m.Name}}, nil
}
