package libvirt

import (
	"testing"
	"time"
)

func TestSinceEpoch(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Time{
		"1355236900.012345678": time.Unix(1355236900, 0), "1355236900": time.Unix(1355236900, 0),
		"": {}, "0": {}, "-5.1": {}, "soon": {}, "99999999999999999999": {},
	} {
		if got := sinceEpoch(text); !got.Equal(want) {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}
