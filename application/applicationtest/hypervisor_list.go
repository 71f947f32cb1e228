package applicationtest

import "kbnt.dev/virtualization/domain"

// listed is how many volumes the list is tried with: more than a page of any
// driver's test configuration.
const listed = 25

func testList(f *fixture) {
	want := map[domain.Key]string{}
	for range listed {
		volume := f.volume(f.uid())
		f.ensure(volume)
		want[volume.Key] = f.await(volume.Key, domain.ThingReady).ProviderID
	}
	got := f.list()
	for key, id := range want {
		switch o, ok := got[key]; {
		case !ok:
			f.Errorf("list: %s is missing", key.Name())
		case o.ProviderID != id || o.Phase != domain.ThingReady || o.SpecHash == "":
			f.Errorf("list %s: got %s %q %q, want Ready %q and a spec hash", key.Name(), o.Phase, o.ProviderID, o.SpecHash, id)
		}
	}
	if len(got) != len(want) {
		f.Errorf("list: got %d things, want %d", len(got), len(want))
	}
	for key := range want {
		f.gone(domain.Desired{Key: key})
	}
	f.nothing()
}

func testListStops(f *fixture) {
	f.ready(f.volume(f.uid()))
	f.ready(f.volume(f.uid()))
	seen := 0
	for _, err := range f.Hypervisor.List(f.Context()) {
		if err != nil {
			f.Fatalf("list: %v", err)
		}
		seen++
		break
	}
	if seen != 1 {
		f.Errorf("list left after the first: got %d, want 1", seen)
	}
}
