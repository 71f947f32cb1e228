package kubevirt_test

import (
	"testing"

	"kbnt.dev/virtualization/domain"
)

// BenchmarkEnsure is what a redelivery costs when everything is there: the driver's own
// work, and that of a server in the same process.
func BenchmarkEnsure(b *testing.B) {
	w := fakeWorld(b, shapes()["imported images and a guest agent"])
	for _, want := range []domain.Desired{w.network("a"), w.volume("a"), w.machine("a")} {
		w.ready(b, want)
		b.Run(string(want.Key.Kind), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.Ensure(b.Context(), want); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
