package intake_test

import (
	"testing"

	"go.uber.org/goleak"
	fn "knative.dev/func-go/http"

	"kbnt.dev/virtualization/functions/intake"
)

// What the middleware of func looks for.
var (
	_ fn.Handler           = (*intake.Function)(nil)
	_ fn.ReadinessReporter = (*intake.Function)(nil)
	_ fn.LivenessReporter  = (*intake.Function)(nil)
)

// No stream, wait or refusal may leave a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
