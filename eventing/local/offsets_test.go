package local

import "testing"

func TestOffsetsCommitContiguousPrefix(t *testing.T) {
	t.Parallel()
	const none = -1
	tests := map[string]struct {
		reason   string
		received []int64
		settled  []int64
		want     []int64 // what each settled offset allows to commit
	}{
		"in order": {
			reason:   "each offset commits the next one to read",
			received: []int64{0, 1, 2}, settled: []int64{0, 1, 2}, want: []int64{1, 2, 3},
		},
		"first last": {
			reason:   "nothing is committed past a record in flight: a crash would lose it",
			received: []int64{7, 8, 9}, settled: []int64{9, 8, 7}, want: []int64{none, none, 10},
		},
		"gap": {
			reason:   "offsets that never came (compacted, transaction markers) are no obstacle",
			received: []int64{3, 5, 9}, settled: []int64{5, 3, 9}, want: []int64{none, 6, 10},
		},
		"hole": {
			reason:   "the prefix stops at the first hole and jumps once it is filled",
			received: []int64{0, 1, 2, 3, 4}, settled: []int64{0, 2, 3, 1, 4}, want: []int64{1, none, none, 4, 5},
		},
		"unknown": {
			reason:   "an offset of another session moves nothing",
			received: []int64{4}, settled: []int64{3, 4, 4}, want: []int64{none, 5, none},
		},
	}
	for name, test := range tests {
		var o offsets
		for _, offset := range test.received {
			o.received(offset)
		}
		for i, offset := range test.settled {
			next, moved := o.settled(offset)
			if !moved {
				next = none
			}
			if next != test.want[i] {
				t.Errorf("%s: after settling %v: commit %d, want %d (%s)", name, test.settled[:i+1], next, test.want[i], test.reason)
			}
		}
	}
}
