package simulated

import (
	"context"
	"slices"
	"strings"
	"time"
)

// ledger is the document of everything that a host holds, or of all networks.
type ledger struct {
	Lines []line // by name
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

// ledger reads one; a missing one is empty, at generation 0.
func (h *Hypervisor) ledger(ctx context.Context, name string) (l ledger, generation int64, err error) {
	data, generation, err := h.load(ctx, name)
	if err != nil || data == nil {
		return ledger{}, generation, err
	}
	if l, err = parseLedger(string(data)); err != nil {
		return ledger{}, 0, damaged(name, err)
	}
	return l, generation, nil
}

// hold enters a line if admit, which sees the lines of the others, lets it. A line
// of that name that is the same stays.
func (h *Hypervisor) hold(ctx context.Context, name string, want line, admit func(others []line) error) error {
	return h.change(ctx, name, func(l *ledger) (bool, error) {
		i, found := l.find(want.Name)
		others := l.Lines
		if found {
			if l.Lines[i] == want {
				return false, nil
			}
			others = slices.Delete(slices.Clone(l.Lines), i, i+1)
		}
		if err := admit(others); err != nil {
			return false, err
		}
		l.Lines = slices.Insert(others, i, want)
		return true, nil
	})
}

// release gives the line of that name back as of a time, after before, which may
// be nil, did so with what the line notes. No line is fine.
func (h *Hypervisor) release(ctx context.Context, ledgerName, name string, until time.Time, before func(line) error) error {
	data, _, err := h.load(ctx, ledgerName)
	if err != nil {
		return err
	}
	mine, found, err := peek(string(data), name)
	switch {
	case err != nil:
		return damaged(ledgerName, err)
	case !found:
		return nil // the usual case, on all hosts but one
	case before != nil:
		if err := before(mine); err != nil {
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
