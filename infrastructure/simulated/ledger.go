package simulated

import (
	"context"
	"slices"
	"strings"
	"time"

	"kbnt.dev/virtualization/domain"
)

// ledger is the document of everything that a host holds, or of all networks.
type ledger struct {
	Lines []line `json:"lines"` // by name
}

// line is what one thing holds of it. Names of fields are short because a ledger
// is rewritten with each change.
type line struct {
	Name  string    `json:"n"`          // domain.Key.Name
	Until time.Time `json:"u,omitzero"` // given back, and free from then on

	Cores  int             `json:"c,omitempty"`
	Memory domain.MiB      `json:"m,omitempty"`
	Disk   domain.MiB      `json:"d,omitempty"`
	Type   domain.DiskType `json:"t,omitempty"`
	IOPS   int             `json:"i,omitempty"`

	Address string `json:"a,omitempty"` // machines: the document of the address

	Tenant string `json:"o,omitempty"` // networks
	VLAN   int    `json:"v,omitempty"`
	Subnet string `json:"s,omitempty"`
}

const networksLedger = "sim/networks"

func hostLedger(host string) string { return "sim/host/" + host }

// find returns where the line of that name is or would be.
func (l *ledger) find(name string) (int, bool) {
	return slices.BinarySearchFunc(l.Lines, name, func(x line, name string) int { return strings.Compare(x.Name, name) })
}

// prune forgets what was given back and whose time is over.
func (l *ledger) prune(now time.Time) {
	l.Lines = slices.DeleteFunc(l.Lines, func(x line) bool { return !x.Until.IsZero() && !now.Before(x.Until) })
}

// change has f change a ledger and writes it if f reports that it did. f is called
// again when another wrote meanwhile. An error of f writes nothing.
func (h *Hypervisor) change(ctx context.Context, name string, f func(*ledger) (bool, error)) error {
	if turn := h.turns[name]; turn != nil {
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
		case <-ctx.Done():
			return unanswered(ctx, ctx.Err())
		}
	}
	return retry(ctx, func() error {
		var l ledger
		generation, err := h.read(ctx, name, &l)
		if err != nil {
			return err
		}
		changed, err := f(&l)
		if err != nil || !changed {
			return err
		}
		l.prune(h.now())
		return h.write(ctx, name, l, generation)
	})
}

// hold enters a line if admit, which sees the lines of the others, lets it. A line
// of that name that is the same stays.
func (h *Hypervisor) hold(ctx context.Context, name string, want line, admit func(others []line) error) error {
	return h.change(ctx, name, func(l *ledger) (bool, error) {
		l.prune(h.now())
		i, found := l.find(want.Name)
		if found && l.Lines[i] == want {
			return false, nil
		}
		if found {
			l.Lines = slices.Delete(l.Lines, i, i+1)
		}
		if err := admit(l.Lines); err != nil {
			return false, err
		}
		l.Lines = slices.Insert(l.Lines, i, want)
		return true, nil
	})
}

// release gives the line of that name back as of a time, after before, which may
// be nil, did so with what the line notes. It reports whether there was a line.
func (h *Hypervisor) release(ctx context.Context, ledgerName, name string, until time.Time, before func(line) error) error {
	var l ledger
	if _, err := h.read(ctx, ledgerName, &l); err != nil {
		return err
	}
	i, found := l.find(name)
	if !found {
		return nil // the usual case for all hosts but one: no turn is needed to see it
	}
	if before != nil {
		if err := before(l.Lines[i]); err != nil {
			return err
		}
	}
	return h.change(ctx, ledgerName, func(l *ledger) (bool, error) {
		i, found := l.find(name)
		if !found {
			return false, nil
		}
		l.Lines[i].Until = until
		return true, nil
	})
}
