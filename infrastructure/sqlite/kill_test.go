package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/sqlite"
)

// childPath names the file that this binary is to write, as the child of TestKill.
const childPath = "SQLITE_TEST_CHILD"

// child admits requests with several callers until it is killed, and prints each
// id once its admission was said to be stored.
func child(path string) int {
	s, err := sqlite.Open(context.Background(), sqlite.Options{Path: path})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var out sync.Mutex
	var callers sync.WaitGroup
	for c := range 8 {
		callers.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d-%d-%d", os.Getpid(), c, i)
				if err := admitting(context.Background(), s, "acme", id); err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				out.Lock()
				fmt.Println(id)
				out.Unlock()
			}
		})
	}
	callers.Wait()
	return 1
}

// TestKill: what was said to be stored is there after kill -9, at any moment.
func TestKill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kbnt.db")
	var promised []string
	for range 3 {
		promised = append(promised, killed(t, path, 1+rand.IntN(400))...)
		verify(t, path, promised)
	}
}

// killed runs a child until it has reported n ids, kills it, and returns all that
// it reported.
func killed(t *testing.T, path string, n int) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env, cmd.Stderr = append(os.Environ(), childPath+"="+path), os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if ids = append(ids, lines.Text()); len(ids) == n {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || len(ids) < n {
		t.Fatalf("child to be killed after %d ids: got %d ids and %v", n, len(ids), err)
	}
	return ids
}

func verify(t *testing.T, path string, promised []string) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	if err != nil {
		t.Fatalf("Open after kill -9: %v, want no error", err)
	}
	for _, id := range promised {
		r, err := s.Request(t.Context(), "acme", id)
		if err != nil {
			t.Fatalf("Request(%s) after kill -9: %v, want what was promised", id, err)
		}
		if len(r.Steps) != 3 || r.Resource.Busy != r.Request.MessageID {
			t.Fatalf("Request(%s) after kill -9: got %d steps, busy %q; want all of it", id, len(r.Steps), r.Resource.Busy)
		}
		err = s.Change(t.Context(), application.Scope{MessageID: r.Request.MessageID}, func(w *application.Work) error {
			if _, armed := w.Pending(domain.RequestedID(w.Request.MessageID)); !armed {
				t.Errorf("event of %s after kill -9: not armed", id)
			}
			return nil
		})
		if err != nil {
			t.Fatalf("Change of %s after kill -9: %v, want no error", id, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v, want no error", err)
	}
	sound(t, path)
}
