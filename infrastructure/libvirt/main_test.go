package libvirt_test

import (
	"testing"

	"go.uber.org/goleak"
)

// Nothing runs on when a call has returned, whatever became of its line.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
