package libvirt

import (
	"fmt"

	rpc "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/cloudinit"
)

// seedImage is the disk by which a guest sets itself up.
func (h *Hypervisor) seedImage(want domain.Desired, plugged segment) ([]byte, error) {
	spec, entry := want.Spec.Machine, h.options.Images[want.Spec.Machine.Image]
	m := cloudinit.Machine{
		InstanceID: want.Key.UUID(), Hostname: cloudinit.Hostname(want.VirtualID), User: entry.User,
		SSHKeys: spec.SSHKeys, UserData: spec.UserData,
		NICs: []cloudinit.NIC{{MAC: want.Key.MAC(), Address: want.Address, Gateway: want.Gateway, DNS: plugged.dns}},
	}
	if entry.Agent {
		m.Agents = append(m.Agents, cloudinit.GuestAgent())
	}
	if entry.Monitor {
		m.Agents = append(m.Agents, cloudinit.Monitor())
	}
	documents, err := cloudinit.New(m)
	if err != nil {
		return nil, err
	}
	return image("cidata", []file{
		{"meta-data", documents.MetaData}, {"user-data", documents.UserData}, {"network-config", documents.NetworkConfig},
	}), nil
}

// ensureSeed puts the seed of a machine beside its root volume. It is written again
// each time, because one that was cut short looks like a whole one; a machine that
// ran once keeps the seed it has.
func (s *session) ensureSeed(poolName string, key domain.Key, data []byte) error {
	pool, err := s.pool(poolName)
	if err != nil {
		return err
	}
	var v rpc.StorageVol
	find := func() error {
		return s.look("look up seed", func() (err error) {
			v, err = s.rpc.StorageVolLookupByName(pool, seedName(key))
			return err
		})
	}
	err = find()
	if err == nil {
		var size uint64
		err = s.look("size of seed", func() (err error) {
			_, size, _, err = s.rpc.StorageVolGetInfo(v)
			return err
		})
		if err == nil && size != uint64(len(data)) { // of another version of this program
			if err := s.deleteVolume(v); err != nil {
				return err
			}
			err = rpc.Error{Code: uint32(rpc.ErrNoStorageVol)}
		}
	}
	if is(err, rpc.ErrNoStorageVol) {
		var document string
		document, err = (&libvirtxml.StorageVolume{
			Name:     seedName(key),
			Capacity: &libvirtxml.StorageVolumeSize{Unit: "bytes", Value: uint64(len(data))},
			Target:   &libvirtxml.StorageVolumeTarget{Format: &libvirtxml.StorageVolumeTargetFormat{Type: "raw"}},
		}).Marshal()
		if err != nil {
			return fmt.Errorf("write seed of %s: %w", key.Name(), err)
		}
		err = s.change("create seed", func() (err error) {
			v, err = s.rpc.StorageVolCreateXML(pool, document, 0)
			return err
		})
		if refusedByHost(err) && find() == nil {
			err = nil // another caller was faster
		}
	}
	if err != nil {
		return err
	}
	return s.upload(v, data)
}

// removeSeed deletes the seed of a machine; none is success.
func (s *session) removeSeed(poolName string, key domain.Key) error {
	pool, err := s.pool(poolName)
	if is(err, rpc.ErrNoStoragePool) {
		return nil
	}
	if err != nil {
		return err
	}
	var v rpc.StorageVol
	err = s.look("look up seed", func() (err error) {
		v, err = s.rpc.StorageVolLookupByName(pool, seedName(key))
		return err
	})
	if is(err, rpc.ErrNoStorageVol) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.deleteVolume(v)
}
