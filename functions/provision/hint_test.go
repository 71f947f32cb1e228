package provision_test

import (
	"net/http"
	"testing"

	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
)

// hinted posts what an ApiServerSource sends when it saw an object change.
func (w world) hinted(t *testing.T, object string) int {
	t.Helper()
	return w.post(t, map[string]string{
		"Ce-Specversion": "1.0", "Ce-Id": "3f6d", "Ce-Type": eventing.TypeHintPrefix + "update", "Ce-Source": "https://10.96.0.1:443",
		"Ce-Subject": "/apis/kubevirt.io/v1/namespaces/kbnt-machines/virtualmachineinstances/x", "Ce-Kind": "VirtualMachineInstance",
		"Content-Type": "application/json", "Ce-Knativekafkapartition": "0", "Ce-Knativekafkaoffset": "1"}, []byte(object))
}

// Whatever a hint says, it is acknowledged: its topic would only fill with
// repetitions of what is old already.
func TestFunction_hint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	messageID, header, data := w.requested(t)
	virtualID := header["Ce-Subject"]
	ours := `{"kind":"VirtualMachineInstance","metadata":{"labels":{"` + eventing.KeyVirtualID + `":"` + virtualID + `"},"annotations":{"` + eventing.KeyTenant + `":"acme"}}}`
	for name, object := range map[string]string{
		"before the event":    ours,
		"of another tenant":   `{"metadata":{"labels":{"` + eventing.KeyVirtualID + `":"` + virtualID + `","` + eventing.KeyTenant + `":"other"}}}`,
		"of an unknown one":   `{"metadata":{"labels":{"` + eventing.KeyVirtualID + `":"VM-00000000","` + eventing.KeyTenant + `":"acme"}}}`,
		"about nothing known": `{"metadata":{"labels":{"app":"other"}}}`,
		"that is no object":   `"x"`,
		"that is no JSON":     `{`,
		"without data":        ``,
	} {
		if got := w.hinted(t, object); got != http.StatusOK {
			t.Errorf("a hint %s got %d, want 200", name, got)
		}
	}
	if r, err := w.store.Request(t.Context(), "acme", "r-1"); err != nil || r.Request.Begun {
		t.Errorf("a hint began a request whose event was not delivered yet (%v), want it to wait for the event: its first steps are told by it", err)
	}
	if letters, _ := w.store.DeadLetters(t.Context(), "", 10, ""); len(letters) > 0 {
		t.Errorf("a hint was buried: %+v", letters)
	}
	if got := w.post(t, header, data); got != http.StatusOK {
		t.Fatalf("the delivery got %d, want 200", got)
	}
	if got := w.hinted(t, ours); got != http.StatusOK {
		t.Errorf("a late hint got %d, want 200", got)
	}
	r, err := w.store.Request(t.Context(), "acme", "r-1")
	if err != nil || r.Request.MessageID != messageID || r.Request.Decided != domain.Completed || r.Request.Attempts != 1 {
		t.Errorf("the request is %q after %d attempts (%v), want COMPLETED after 1", r.Request.Decided, r.Request.Attempts, err)
	}
}
