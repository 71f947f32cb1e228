package libvirt

import (
	"cmp"
	"slices"
	"strings"

	rpc "github.com/digitalocean/go-libvirt"

	"kbnt.dev/virtualization/domain"
)

// pools are the names of the pools of a host that things of ours are in.
func (s *session) pools() []string {
	var names []string
	for _, pool := range s.host.Pools {
		names = append(names, pool.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// pool looks a pool up. A host without it is not as it was described to us.
func (s *session) pool(name string) (pool rpc.StoragePool, err error) {
	err = s.look("look up pool "+name, func() (err error) {
		pool, err = s.rpc.StoragePoolLookupByName(name)
		return err
	})
	return pool, err
}

// volumes finds the volumes of a key, of which there is none or one, unless
// somebody copied it.
func (s *session) volumes(key domain.Key) ([]vol, error) {
	return s.volumesThat(func(name string) bool { return strings.HasPrefix(name, key.Name()+".") },
		func(v vol) bool { return v.key == key })
}

// volumesThat finds volumes of ours in all pools, in order of their names.
func (s *session) volumesThat(named func(string) bool, wanted func(vol) bool) ([]vol, error) {
	var have []vol
	for _, name := range s.pools() {
		listed, err := s.listed(name)
		if err != nil {
			return nil, err
		}
		for _, one := range listed {
			if !named(one.Name) {
				continue
			}
			v := vol{StorageVol: one}
			var ours bool
			if v.key, v.hash, v.iops, ours = volumeOf(one.Name); ours && wanted(v) {
				have = append(have, v)
			}
		}
	}
	slices.SortFunc(have, func(a, b vol) int { return cmp.Compare(a.Name, b.Name) })
	return have, nil
}

// listed lists a pool.
func (s *session) listed(name string) (all []rpc.StorageVol, err error) {
	pool, err := s.pool(name)
	if err != nil {
		return nil, err
	}
	err = s.look("list pool "+name, func() (err error) {
		all, _, err = s.rpc.StoragePoolListAllVolumes(pool, 1, 0)
		return err
	})
	return all, err
}

// deleteVolume deletes a volume. One that has gone is success.
func (s *session) deleteVolume(v rpc.StorageVol) error {
	err := s.change("delete volume", func() error { return s.rpc.StorageVolDelete(v, 0) })
	if is(err, rpc.ErrNoStorageVol) {
		return nil
	}
	return err
}

// capacity is that of a pool.
func (s *session) capacity(name string) (domain.MiB, error) {
	pool, err := s.pool(name)
	if err != nil {
		return 0, err
	}
	var size uint64
	err = s.look("size of pool "+name, func() (err error) {
		_, size, _, _, err = s.rpc.StoragePoolGetInfo(pool)
		return err
	})
	return domain.MiB(size >> 20), err
}

// node is the memory and the number of processors of a host.
func (s *session) node() (memory domain.MiB, cores int, err error) {
	err = s.look("size of host", func() error {
		_, kib, cpus, _, _, _, _, _, err := s.rpc.NodeGetInfo()
		memory, cores = domain.MiB(kib>>10), int(cpus)
		return err
	})
	return memory, cores, err
}
