package applicationtest

import (
	"context"

	"kbnt.dev/virtualization/domain"
)

func testAbsent(f *fixture) {
	uid := f.uid()
	for _, key := range []domain.Key{f.machine(uid, 0).Key, f.volume(uid).Key, f.network(uid, 0).Key} {
		if o := f.look(key); o.Phase != domain.ThingAbsent {
			f.Errorf("observe %s: got %s, want Absent", key.Name(), o.Phase)
		}
		if o, err := f.Hypervisor.Delete(f.Context(), key); err != nil || o.Phase != domain.ThingAbsent || o.Key != key {
			f.Errorf("delete %s: got %s of %q, %v, want Absent", key.Name(), o.Phase, o.Key.Name(), err)
		}
	}
	f.nothing()
}

func testDeleteTwice(f *fixture) {
	uid := f.uid()
	root, machine := f.volume(uid), f.machine(uid, 0)
	f.ready(root, machine)
	for range 2 {
		o := f.settle("delete", func(ctx context.Context) (domain.Observation, error) { return f.Hypervisor.Delete(ctx, machine.Key) })
		if o.Phase != domain.ThingDeleting && o.Phase != domain.ThingAbsent {
			f.Errorf("delete: got %s, want Deleting or Absent", o.Phase)
		}
	}
	f.await(machine.Key, domain.ThingAbsent)
	f.gone(machine) // and once more when it has gone
	f.gone(root)
	f.nothing()
}

func testDeleteHalfMade(f *fixture) {
	uid := f.uid()
	root, machine := f.volume(uid), f.machine(uid, 0)
	f.ensure(root, machine) // and do not wait
	f.gone(machine, root)
	f.nothing()
}

func testVolumeStays(f *fixture) {
	uid := f.uid()
	root, machine := f.volume(uid), f.machine(uid, 0)
	f.ready(root, machine)
	before := f.look(root.Key)
	f.gone(machine)
	if after := f.look(root.Key); after.Phase != domain.ThingReady || after.ProviderID != before.ProviderID {
		f.Errorf("volume of a machine that has gone: got %s %q, want Ready %q", after.Phase, after.ProviderID, before.ProviderID)
	}
	f.gone(root)
	f.nothing()
}

// testRecreate makes a thing while the one before it may still be going. Until it
// has gone that is Unavailable, which settle waits for; the new one must not be
// taken down with the old.
func testRecreate(f *fixture) {
	uid := f.uid()
	root, machine := f.volume(uid), f.machine(uid, 0)
	f.ready(root, machine)
	f.settle("delete", func(ctx context.Context) (domain.Observation, error) { return f.Hypervisor.Delete(ctx, machine.Key) })
	f.ready(machine)
	if all := f.list(); len(all) != 2 {
		f.Errorf("list: got %d things, want the machine and its volume", len(all))
	}
}
