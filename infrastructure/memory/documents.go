package memory

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

var _ application.Documents = (*Documents)(nil)

// Documents keeps documents in memory. The zero value is empty and ready.
type Documents struct {
	mu   sync.RWMutex
	last int64 // generations are never used twice, not even after a delete
	all  map[string]document
}

type document struct {
	data       []byte
	generation int64
}

// Read returns a copy of a document and its generation, nil and 0 for a missing
// one. The only error is that ctx has ended (Unavailable).
func (d *Documents) Read(ctx context.Context, name string) ([]byte, int64, error) {
	if err := ended(ctx, "memory.Read"); err != nil {
		return nil, 0, err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	doc := d.all[name]
	return slices.Clone(doc.data), doc.generation, nil
}

// Write replaces, creates (generation 0) or deletes (nil data) a document.
// Conflict: its generation is another. Unavailable: ctx has ended; nothing was
// written.
func (d *Documents) Write(ctx context.Context, name string, data []byte, generation int64) (int64, error) {
	if err := ended(ctx, "memory.Write"); err != nil {
		return 0, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all[name].generation != generation {
		return 0, &domain.Error{Op: "memory.Write", Kind: domain.Conflict, Detail: "the document was changed by another"}
	}
	d.last++
	if data == nil {
		delete(d.all, name)
		return d.last, nil
	}
	if d.all == nil {
		d.all = map[string]document{}
	}
	d.all[name] = document{data: slices.Clone(data), generation: d.last}
	return d.last, nil
}

// Names lists documents by prefix, in the order of their bytes. The only error
// is that ctx has ended (Unavailable).
func (d *Documents) Names(ctx context.Context, prefix string) ([]string, error) {
	if err := ended(ctx, "memory.Names"); err != nil {
		return nil, err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	var names []string
	for name := range maps.Keys(d.all) {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func ended(ctx context.Context, op string) error {
	if err := ctx.Err(); err != nil {
		return &domain.Error{Op: op, Kind: domain.Unavailable, Err: err}
	}
	return nil
}
