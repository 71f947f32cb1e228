package libvirt

import (
	"fmt"

	rpc "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"kbnt.dev/virtualization/domain"
)

// vol is a volume of ours.
type vol struct {
	rpc.StorageVol
	key  domain.Key
	hash string
	iops int
}

// ensureVolume makes a volume, or finds it made. Its name carries its hash, so
// two callers that want the same compete for one name, and the host lets one win.
func (h *Hypervisor) ensureVolume(s *session, want domain.Desired) (domain.Observation, error) {
	spec := want.Spec.Volume
	class, ok := s.host.Pools[spec.Type]
	if !ok {
		return domain.Observation{}, invalid("disks of class %s are not on offer", spec.Type)
	}
	if class.VolumeIOPS > 0 && spec.IOPS > class.VolumeIOPS {
		return domain.Observation{}, invalid("a volume of class %s has at most %d IOPS", spec.Type, class.VolumeIOPS)
	}
	pool, err := s.pool(class.Name)
	if err != nil {
		return domain.Observation{}, err
	}
	have, err := s.volumes(want.Key)
	if err != nil {
		return domain.Observation{}, err
	}
	if len(have) > 0 {
		return h.adoptVolume(s, have[0], want)
	}
	base, err := h.base(s, want.Image, spec.Size)
	if err != nil {
		return domain.Observation{}, err
	}
	document, err := volumeXML(want, base).Marshal()
	if err != nil {
		return domain.Observation{}, fmt.Errorf("write %s: %w", want.Key.Name(), err)
	}
	made := vol{key: want.Key, hash: want.Hash(), iops: spec.IOPS}
	err = s.change("create volume", func() (err error) {
		made.StorageVol, err = s.rpc.StorageVolCreateXML(pool, document, 0)
		return err
	})
	if refusedByHost(err) { // perhaps because another caller was faster
		if have, lookErr := s.volumes(want.Key); lookErr == nil && len(have) > 0 {
			return h.adoptVolume(s, have[0], want)
		}
	}
	if err != nil {
		return domain.Observation{}, err
	}
	return seenVolume(s.host, made), nil
}

// adoptVolume takes a volume that is there. While another caller still makes it,
// it may show any size, so a size that is not the one wanted is looked at again
// later.
func (h *Hypervisor) adoptVolume(s *session, v vol, want domain.Desired) (domain.Observation, error) {
	if v.hash != want.Hash() {
		return domain.Observation{}, taken("spec-differs", "it exists with another specification")
	}
	var capacity uint64
	err := s.look("size of volume", func() (err error) {
		_, capacity, _, err = s.rpc.StorageVolGetInfo(v.StorageVol)
		return err
	})
	switch {
	case is(err, rpc.ErrNoStorageVol) || err == nil && capacity < bytesOf(want.Spec.Volume.Size):
		return domain.Observation{}, later("the volume is still being made")
	case err != nil:
		return domain.Observation{}, err
	}
	return seenVolume(s.host, v), nil
}

// bytesOf is a size that was checked to be positive.
func bytesOf(size domain.MiB) uint64 { return uint64(size) << 20 }

// baseVolume is what a root volume begins with; nil: nothing.
type baseVolume struct{ path, format string }

// base finds the base volume of an image. NotFound: the catalogue does not have the image,
// or the host not its volume. Invalid: the image is larger than the disk.
func (h *Hypervisor) base(s *session, image string, size domain.MiB) (*baseVolume, error) {
	if image == "" {
		return nil, nil
	}
	entry, ok := h.options.Images[image]
	if !ok {
		return nil, absent("image")
	}
	if entry.Volume == "" {
		return nil, nil
	}
	pool, err := s.pool(entry.Pool)
	if err != nil {
		return nil, err
	}
	var document string
	err = s.look("look up image", func() error {
		v, err := s.rpc.StorageVolLookupByName(pool, entry.Volume)
		if err == nil {
			document, err = s.rpc.StorageVolGetXMLDesc(v, 0)
		}
		return err
	})
	if is(err, rpc.ErrNoStorageVol) {
		return nil, absent("image")
	}
	var v libvirtxml.StorageVolume
	if err == nil {
		err = v.Unmarshal(document)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("base volume %s of image %q: %w", entry.Volume, image, err)
	case v.Target == nil || v.Target.Path == "" || v.Target.Format == nil || v.Capacity == nil:
		return nil, fmt.Errorf("base volume %s of image %q: the host does not say where it is", entry.Volume, image)
	case v.Capacity.Value > bytesOf(size):
		return nil, invalid("the image needs a disk of at least %s", domain.MiB(v.Capacity.Value>>20+min(1, v.Capacity.Value&(1<<20-1))))
	}
	return &baseVolume{v.Target.Path, v.Target.Format.Type}, nil
}

// volumeXML is a volume that takes its room when it is written to. A root volume
// is a layer over its image's base volume, which is therefore made in a moment.
func volumeXML(want domain.Desired, base *baseVolume) *libvirtxml.StorageVolume {
	v := &libvirtxml.StorageVolume{
		Name:       nameOf(want),
		Capacity:   &libvirtxml.StorageVolumeSize{Unit: "MiB", Value: uint64(want.Spec.Volume.Size)},
		Allocation: &libvirtxml.StorageVolumeSize{Unit: "bytes", Value: 0},
		Target:     &libvirtxml.StorageVolumeTarget{Format: &libvirtxml.StorageVolumeTargetFormat{Type: "qcow2"}},
	}
	if base != nil {
		v.BackingStore = &libvirtxml.StorageVolumeBackingStore{Path: base.path, Format: &libvirtxml.StorageVolumeTargetFormat{Type: base.format}}
	}
	return v
}

func (h *Hypervisor) observeVolume(s *session, key domain.Key) (domain.Observation, error) {
	have, err := s.volumes(key)
	if err != nil || len(have) == 0 {
		return domain.Observation{Key: key, Phase: domain.ThingAbsent}, err
	}
	return seenVolume(s.host, have[0]), nil
}

func (h *Hypervisor) removeVolume(s *session, key domain.Key) error {
	have, err := s.volumes(key)
	if err != nil {
		return err
	}
	for _, v := range have {
		if err := s.deleteVolume(v.StorageVol); err != nil {
			return err
		}
	}
	return nil
}

func seenVolume(host Host, v vol) domain.Observation {
	return domain.Observation{Key: v.key, Phase: domain.ThingReady, ProviderID: v.Key, SpecHash: v.hash, Host: host.Name}
}
