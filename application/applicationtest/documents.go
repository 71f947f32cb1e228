package applicationtest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// TestDocuments holds an adapter against the contract of
// [application.Documents]. open returns an empty one, which lives until the test
// it is given ends.
func TestDocuments(t *testing.T, open func(t *testing.T) application.Documents) {
	for name, test := range map[string]func(*testing.T, application.Documents){
		"a missing document is nil and 0":         testMissing,
		"a document is written by its generation": testGenerations,
		"nil data deletes":                        testDelete,
		"any bytes are kept":                      testBytes,
		"bytes are not shared":                    testIsolation,
		"names are listed by prefix, in order":    testNames,
		"one writer wins each generation":         testOneWinner,
		"no increment is lost":                    testIncrements,
		"nothing is written after the context":    testDocumentsContext,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func testMissing(t *testing.T, d application.Documents) {
	if data, generation, err := d.Read(t.Context(), "a"); data != nil || generation != 0 || err != nil {
		t.Errorf("read of a missing document: got %q, %d, %v, want nil, 0, nil", data, generation, err)
	}
	if _, err := d.Write(t.Context(), "a", []byte("x"), 7); domain.KindOf(err) != domain.Conflict || err == nil {
		t.Errorf("write of a missing document at generation 7: got %v, want a conflict", err)
	}
	if names, err := d.Names(t.Context(), ""); len(names) != 0 || err != nil {
		t.Errorf("names of nothing: got %q, %v, want none", names, err)
	}
}

func testGenerations(t *testing.T, d application.Documents) {
	first := mustWrite(t, d, "a", "one", 0)
	if first <= 0 {
		t.Errorf("first generation: got %d, want more than 0", first)
	}
	wantDocument(t, d, "a", "one", first)

	wantConflict(t, d, "a", "two", 0)
	wantDocument(t, d, "a", "one", first)

	second := mustWrite(t, d, "a", "two", first)
	if second == first {
		t.Errorf("second generation: got %d, want another than the first", second)
	}
	wantDocument(t, d, "a", "two", second)

	wantConflict(t, d, "a", "three", first)
	wantDocument(t, d, "a", "two", second)
}

func testDelete(t *testing.T, d application.Documents) {
	g := mustWrite(t, d, "a", "one", 0)
	mustWrite(t, d, "b", "other", 0)
	later := mustWrite(t, d, "a", "two", g)

	if _, err := d.Write(t.Context(), "a", nil, g); err == nil || domain.KindOf(err) != domain.Conflict {
		t.Errorf("delete at a stale generation: got %v, want a conflict", err)
	}
	wantDocument(t, d, "a", "two", later)
	if _, err := d.Write(t.Context(), "a", nil, later); err != nil {
		t.Fatalf("delete: %v", err)
	}
	if data, generation, err := d.Read(t.Context(), "a"); data != nil || generation != 0 || err != nil {
		t.Errorf("read of a deleted document: got %q, %d, %v, want nil, 0, nil", data, generation, err)
	}
	wantConflict(t, d, "a", "three", later)
	if names, err := d.Names(t.Context(), ""); !slices.Equal(names, []string{"b"}) || err != nil {
		t.Errorf("names after a delete: got %q, %v, want only b", names, err)
	}
	again := mustWrite(t, d, "a", "again", 0)
	wantDocument(t, d, "a", "again", again)
	wantConflict(t, d, "a", "late", g) // by one who saw the document before it was deleted
	wantConflict(t, d, "a", "late", later)
	wantDocument(t, d, "a", "again", again)
}

func testBytes(t *testing.T, d application.Documents) {
	for name, data := range map[string]string{
		"binary":                       "\x00\xff\xfe'\"\x00",
		"large":                        string(bytes.Repeat([]byte("0123456789abcdef"), 16<<10)),
		"odd/name with 'quotes' and ü": "{}",
	} {
		wantDocument(t, d, name, data, mustWrite(t, d, name, data, 0))
	}
}

func testIsolation(t *testing.T, d application.Documents) {
	mine := []byte("one")
	g, err := d.Write(t.Context(), "a", mine, 0)
	if err != nil {
		t.Fatalf("write: %v", err)
	}
	copy(mine, "XXX")
	wantDocument(t, d, "a", "one", g)

	read, _, err := d.Read(t.Context(), "a")
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	copy(read, "YYY")
	wantDocument(t, d, "a", "one", g)
}

func testNames(t *testing.T, d application.Documents) {
	for _, name := range []string{"a/2", "a/10", "a/1", "a_1", "a%1", "b/1", "A/1", "a"} {
		mustWrite(t, d, name, "x", 0)
	}
	for prefix, want := range map[string][]string{
		"":     {"A/1", "a", "a%1", "a/1", "a/10", "a/2", "a_1", "b/1"},
		"a/":   {"a/1", "a/10", "a/2"},
		"a/1":  {"a/1", "a/10"},
		"a_":   {"a_1"}, // not a pattern
		"a%":   {"a%1"},
		"A":    {"A/1"}, // case matters
		"zzz/": nil,
	} {
		if got, err := d.Names(t.Context(), prefix); !slices.Equal(got, want) || err != nil {
			t.Errorf("names with prefix %q: got %q, %v, want %q", prefix, got, err, want)
		}
	}
}

// testOneWinner has many writers try each generation at once.
func testOneWinner(t *testing.T, d application.Documents) {
	const writers, rounds = 8, 10
	generation := int64(0)
	for round := range rounds {
		var wins atomic.Int64
		var next atomic.Int64
		var all sync.WaitGroup
		for w := range writers {
			all.Go(func() {
				g, err := d.Write(t.Context(), "a", fmt.Appendf(nil, "%d/%d", round, w), generation)
				switch {
				case err == nil:
					wins.Add(1)
					next.Store(g)
				case domain.KindOf(err) != domain.Conflict:
					t.Errorf("losing writer: got %v, want a conflict", err)
				}
			})
		}
		all.Wait()
		if wins.Load() != 1 {
			t.Fatalf("round %d: got %d winners, want 1", round, wins.Load())
		}
		generation = next.Load()
	}
}

// testIncrements has many writers read, add and write until they succeed.
func testIncrements(t *testing.T, d application.Documents) {
	const writers, each = 8, 10
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range each {
				if err := increment(t.Context(), d, "counter"); err != nil {
					t.Errorf("increment: %v", err)
					return
				}
			}
		})
	}
	all.Wait()
	data, _, err := d.Read(t.Context(), "counter")
	if string(data) != strconv.Itoa(writers*each) || err != nil {
		t.Errorf("after %d increments: got %q, %v", writers*each, data, err)
	}
}

func increment(ctx context.Context, d application.Documents, name string) error {
	for {
		data, g, err := d.Read(ctx, name)
		if err != nil {
			return err
		}
		n := 0
		if data != nil {
			if n, err = strconv.Atoi(string(data)); err != nil {
				return err
			}
		}
		_, err = d.Write(ctx, name, strconv.AppendInt(nil, int64(n)+1, 10), g)
		if err == nil || domain.KindOf(err) != domain.Conflict {
			return err
		}
	}
}

func testDocumentsContext(t *testing.T, d application.Documents) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Write(ended, "a", []byte("x"), 0); err == nil {
		t.Error("write after the context ended: got no error")
	}
	if _, _, err := d.Read(ended, "a"); err == nil {
		t.Error("read after the context ended: got no error")
	}
	if _, err := d.Names(ended, ""); err == nil {
		t.Error("names after the context ended: got no error")
	}
	if data, _, err := d.Read(t.Context(), "a"); data != nil || err != nil {
		t.Errorf("after a write whose context had ended: got %q, %v, want nothing", data, err)
	}
}

func mustWrite(t *testing.T, d application.Documents, name, data string, generation int64) int64 {
	t.Helper()
	g, err := d.Write(t.Context(), name, []byte(data), generation)
	if err != nil {
		t.Fatalf("write %q at generation %d: %v", name, generation, err)
	}
	return g
}

func wantConflict(t *testing.T, d application.Documents, name, data string, generation int64) {
	t.Helper()
	if _, err := d.Write(t.Context(), name, []byte(data), generation); err == nil || domain.KindOf(err) != domain.Conflict {
		t.Errorf("write %q at generation %d: got %v, want a conflict", name, generation, err)
	}
}

func wantDocument(t *testing.T, d application.Documents, name, data string, generation int64) {
	t.Helper()
	got, g, err := d.Read(t.Context(), name)
	if string(got) != data || g != generation || err != nil {
		t.Errorf("read %q: got %.40q, %d, %v, want %.40q, %d", name, got, g, err, data, generation)
	}
}
