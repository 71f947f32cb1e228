package local

import (
	"slices"
	"sync"
)

// offsets knows which records of one claimed partition are settled. Only the
// contiguous prefix may be committed: a commit of 5 says that 0 to 4 are done,
// and a crash would lose any of them that was not.
//
// Records are counted as they come, so gaps in the log (compaction,
// transaction markers) are no obstacle.
type offsets struct {
	mu      sync.Mutex
	pending []pendingOffset // in the order of the log
}

type pendingOffset struct {
	offset int64
	done   bool
}

// received notes a record that now is in flight. Offsets must ascend.
func (o *offsets) received(offset int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pending = append(o.pending, pendingOffset{offset: offset})
}

// settled notes that a record needs no delivery any more. If that moves the
// contiguous prefix, it returns the offset to commit: the next to be read.
func (o *offsets) settled(offset int64) (next int64, moved bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i, found := slices.BinarySearchFunc(o.pending, offset, func(p pendingOffset, want int64) int {
		switch {
		case p.offset < want:
			return -1
		case p.offset > want:
			return 1
		}
		return 0
	})
	if !found {
		return 0, false
	}
	o.pending[i].done = true
	prefix := 0
	for prefix < len(o.pending) && o.pending[prefix].done {
		next, moved = o.pending[prefix].offset+1, true
		prefix++
	}
	o.pending = slices.Delete(o.pending, 0, prefix)
	return next, moved
}
