package simulated

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"kbnt.dev/virtualization/domain"
)

// tries bounds how often one call writes a document again that others change at
// the same time.
const tries = 128

// errRaced says that another wrote the document since it was read.
var errRaced = errors.New("written by another")

// thingDocument names the document of a thing. The digit in front spreads the
// names, so that List can read them in parts.
func thingDocument(key domain.Key) string {
	return "sim/thing/" + key.Short()[:1] + "/" + key.Name()
}

// thing reads the document of a thing; a missing one is zero, at generation 0.
func (h *Hypervisor) thing(ctx context.Context, key domain.Key) (t thing, generation int64, err error) {
	generation, err = h.read(ctx, thingDocument(key), &t)
	return t, generation, err
}

// read decodes a JSON document into an empty v and leaves it empty if there is
// none.
func (h *Hypervisor) read(ctx context.Context, name string, v any) (generation int64, err error) {
	data, generation, err := h.load(ctx, name)
	if err != nil || data == nil {
		return generation, err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return 0, damaged(name, err)
	}
	return generation, nil
}

// write replaces a JSON document that was read at that generation; a nil v deletes
// it. errRaced: it was written since.
func (h *Hypervisor) write(ctx context.Context, name string, v any, generation int64) error {
	var data []byte
	if v != nil {
		var err error
		if data, err = json.Marshal(v); err != nil {
			return fmt.Errorf("encode %s: %w", name, err)
		}
	}
	return h.replace(ctx, name, data, generation)
}

func (h *Hypervisor) load(ctx context.Context, name string) ([]byte, int64, error) {
	data, generation, err := h.documents.Read(ctx, name)
	if err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", name, unanswered(ctx, err))
	}
	return data, generation, nil
}

func (h *Hypervisor) replace(ctx context.Context, name string, data []byte, generation int64) error {
	_, err := h.documents.Write(ctx, name, data, generation)
	switch {
	case err == nil:
		return nil
	case domain.KindOf(err) == domain.Conflict:
		return errRaced
	}
	return fmt.Errorf("write %s: %w", name, unanswered(ctx, err))
}

func damaged(name string, err error) error {
	return &domain.Error{Op: "read " + name, Kind: domain.Internal, Detail: "the simulated world is damaged", Err: err}
}

// retry calls f again as long as it is raced.
func retry(ctx context.Context, f func() error) error {
	for range tries {
		if err := ctx.Err(); err != nil {
			return unanswered(ctx, err)
		}
		if err := f(); !errors.Is(err, errRaced) {
			return err
		}
	}
	return &domain.Error{Kind: domain.Unavailable, Code: "contention", Detail: "too many change the same at once"}
}

// unanswered classes the end of the context as what it is to a caller: no answer.
func unanswered(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &domain.Error{Kind: domain.Unavailable, Code: "no-answer", Detail: "the hypervisor did not answer in time", Err: err}
	}
	return err
}

// annotate says which operation failed and keeps Kind, Code and Detail.
func annotate(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", op, err)
}
