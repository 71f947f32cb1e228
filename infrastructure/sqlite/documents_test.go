package sqlite_test

import (
	"path/filepath"
	"slices"
	"testing"

	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/sqlite"
)

func TestDocuments(t *testing.T) {
	t.Parallel()
	s := open(t, sqlite.Options{Path: filepath.Join(t.TempDir(), "x.db")})
	read := func(name, want string, missing bool) int64 {
		t.Helper()
		data, generation, err := s.Read(t.Context(), name)
		if err != nil || string(data) != want || (data == nil) != missing || (generation == 0) != missing {
			t.Errorf("Read(%q): got %q, %d, %v; want %q, missing: %v", name, data, generation, err, want, missing)
		}
		return generation
	}
	write := func(name string, data []byte, generation int64, refused bool) int64 {
		t.Helper()
		next, err := s.Write(t.Context(), name, data, generation)
		if refused != (err != nil) || refused && domain.KindOf(err) != domain.Conflict {
			t.Errorf("Write(%q, %q, %d): got %v, want Conflict: %v", name, data, generation, err, refused)
		}
		return next
	}
	read("a", "", true)
	write("a", []byte("x"), 7, true)
	first := write("a", []byte("x\x00\xff"), 0, false)
	if got := read("a", "x\x00\xff", false); got != first {
		t.Errorf("generation: got %d, want that of Write, %d", got, first)
	}
	write("a", []byte("y"), 0, true)
	second := write("a", []byte{}, first, false)
	write("a", []byte("z"), first, true)
	read("a", "", false)
	if end := write("a", nil, second, false); end != 0 {
		t.Errorf("generation of a deleted document: got %d, want 0", end)
	}
	read("a", "", true)
	write("a", []byte("x"), 0, false)
	write("a", []byte("y"), first, true) // of another life of that name
	for _, name := range []string{"b/2", "b/1", "b%", "c"} {
		write(name, []byte("x"), 0, false)
	}
	for prefix, want := range map[string][]string{"b/": {"b/1", "b/2"}, "": {"a", "b%", "b/1", "b/2", "c"}, "%": nil, "b_": nil} {
		if got, err := s.Names(t.Context(), prefix); err != nil || !slices.Equal(got, want) {
			t.Errorf("Names(%q): got %v, %v, want %v", prefix, got, err, want)
		}
	}
}
