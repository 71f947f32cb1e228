package simulated_test

import (
	"context"
	"strings"
	"testing"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// overtaken is a store where something happens right before the first write of a
// document with that prefix.
type overtaken struct {
	application.Documents
	prefix string
	by     func()
}

func (o *overtaken) Write(ctx context.Context, name string, data []byte, generation int64) (int64, error) {
	if by := o.by; by != nil && strings.HasPrefix(name, o.prefix) {
		o.by = nil
		by()
	}
	return o.Documents.Write(ctx, name, data, generation)
}

// TestOvertaken lets another process finish the same call first, between a look and
// a write of this one.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	for prefix, reason := range map[string]string{
		"sim/thing/":   "the thing is made once",
		"sim/host/":    "the room is held once",
		"sim/address/": "the address is held once",
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			w := open(t, 0)
			w.clock.tick = 1
			root, machine := w.volume("a"), w.machine("a", 0)
			w.ensure(t, root)
			var first domain.Observation
			late := w.client(t, &overtaken{w.documents, prefix, func() { first = w.ensure(t, machine) }})
			o, err := late.Ensure(t.Context(), machine)
			if err != nil || o.ProviderID != first.ProviderID || first.ProviderID == "" {
				t.Errorf("overtaken at %s: got %q, %v, want the other's, %q", prefix, o.ProviderID, err, first.ProviderID)
			}
			w.undone(t, machine, root)
		})
	}
}

// TestOvertakenForTheLastRoom lets another machine take it.
func TestOvertakenForTheLastRoom(t *testing.T) {
	t.Parallel()
	w := open(t, 0, hosts(domain.HostUp))
	mine, theirs := w.machine("mine", 0), w.machine("theirs", 1)
	for _, uid := range []string{"mine", "theirs"} {
		w.ensure(t, w.volume(uid))
	}
	for _, m := range []*domain.Desired{&mine, &theirs} {
		spec := *m.Spec.Machine
		spec.Memory = 10 * domain.GiB
		m.Spec.Machine = &spec
	}
	late := w.client(t, &overtaken{w.documents, "sim/host/", func() { w.ensure(t, theirs) }})
	if o, err := late.Ensure(t.Context(), mine); domain.CodeOf(err) != "no-capacity" {
		t.Errorf("20 GiB on 16 GiB: got %s, %v, want no-capacity", o.Phase, err)
	}
}

// TestOvertakenForTheAddress lets another machine take it, after which nothing of
// this one is left.
func TestOvertakenForTheAddress(t *testing.T) {
	t.Parallel()
	w := open(t, 0)
	mine, theirs := w.machine("mine", 0), w.machine("theirs", 0)
	roots := []domain.Desired{w.volume("mine"), w.volume("theirs")}
	for _, root := range roots {
		w.ensure(t, root)
	}
	late := w.client(t, &overtaken{w.documents, "sim/address/", func() { w.ensure(t, theirs) }})
	if o, err := late.Ensure(t.Context(), mine); domain.CodeOf(err) != "address-taken" || domain.KindOf(err) != domain.Conflict {
		t.Errorf("the same address: got %s, %v, want a conflict, address-taken", o.Phase, err)
	}
	w.undone(t, theirs, roots[0], roots[1]) // and not mine: it holds nothing
}

// TestOvertakenOnAnotherHost lets a process that sees other hosts make the thing
// first. What was held for it here is given back.
func TestOvertakenOnAnotherHost(t *testing.T) {
	t.Parallel()
	w := open(t, 0, hosts(domain.HostUp, domain.HostUp))
	volume := w.volume("a")
	all := w.options.Hosts
	w.options.Hosts = all[1:]
	other := w.client(t, w.documents)
	w.options.Hosts = all
	late := w.client(t, &overtaken{w.documents, "sim/thing/", func() {
		if _, err := other.Ensure(t.Context(), volume); err != nil {
			t.Errorf("other: %v", err)
		}
	}})
	if o, err := late.Ensure(t.Context(), volume); o.Host != "sim-1" || err != nil {
		t.Errorf("volume: got host %q, %v, want the other's, sim-1", o.Host, err)
	}
	if _, err := other.Delete(t.Context(), volume.Key); err != nil { // looks at sim-1 only
		t.Errorf("delete: %v", err)
	}
	w.undone(t)
}
