package kubevirt_test

import (
	"testing"
	"time"
)

// TestFakeAnswersLikeARealServer holds the fake server against the answers of
// kube-apiserver 1.36.3 with the custom resources of KubeVirt 1.8.0, which the
// integration test records with -record and holds against every other server.
func TestFakeAnswersLikeARealServer(t *testing.T) {
	t.Parallel()
	s := newServer(time.Now)
	k := prepare(t, "http://fake", s)
	compare(t, ask(t, k.base, s, k.namespace(t)))
}
