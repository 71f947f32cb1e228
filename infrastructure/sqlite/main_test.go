package sqlite_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain ends with a look for goroutines that a closed store has left. It is
// also the child of TestKill.
func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		os.Exit(child(path))
	}
	goleak.VerifyTestMain(m)
}
