package intake_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/functions/intake"
)

// FuzzDecode looks for documents that break the decoder, that it understands
// although they are no JSON, or that it refuses without saying where.
func FuzzDecode(f *testing.F) {
	for _, c := range badBodies {
		if len(c.body) < 1<<12 {
			f.Add([]byte(c.body))
		}
	}
	for _, good := range []string{volume, machine, structured} {
		f.Add([]byte(good))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		err := intake.Decode(document)
		if err == nil {
			if !json.Valid(document) {
				t.Errorf("%q was understood and is no JSON", document)
			}
			return
		}
		e, ok := errors.AsType[*domain.Error](err)
		if !ok || e.Kind != domain.Malformed || len(e.Violations) == 0 {
			t.Fatalf("%q: got %v, want Malformed with violations", document, err)
		}
		for _, v := range e.Violations {
			if v.Code == "" || v.Detail == "" || v.Pointer != "" && !strings.HasPrefix(v.Pointer, "/") {
				t.Errorf("%q: violation %+v, want a code, a detail and a pointer", document, v)
			}
		}
	})
}
