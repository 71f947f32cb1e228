package intake_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"kbnt.dev/virtualization/config"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/functions/intake"
)

func TestOffer_quotas(t *testing.T) {
	t.Parallel()
	machines, none, memory, budget := 20, 0, config.GiB(64), 0.1
	o := intake.Offer(config.Offer{Quotas: config.Quotas{Default: config.Limits{Machines: &machines, Budget: &budget},
		Tenants: map[string]config.Limits{"acme": {Memory: &memory}, "gone": {Machines: &none}}}})
	if got, want := o.QuotaOf("acme"), o.Default; got.Machines != 20 || got.Memory != 64*domain.GiB || got.Cores != want.Cores || got.Budget != 100_000 {
		t.Errorf("acme: got %+v, want its memory, and the rest of the default %+v", got, want)
	}
	if got := o.QuotaOf("gone").Machines; got != 0 {
		t.Errorf("gone: got %d machines, want none: 0 in a file allows nothing", got)
	}
	if got := o.QuotaOf("other"); got.Machines != 20 || got.Storage != domain.DefaultQuota().Storage {
		t.Errorf("other: got %+v, want the file's default, and the product's where it says nothing", got)
	}
	o = intake.Offer(config.Offer{Quota: config.Quota{Cores: 7}})
	if got := o.Default; got.Cores != 7 || got.Machines != domain.DefaultQuota().Machines || o.Quotas != nil {
		t.Errorf("variables alone: got %+v", o)
	}
}

func TestOffer_images(t *testing.T) {
	t.Parallel()
	if config.DefaultImage != domain.DefaultImage {
		t.Errorf("config has the default image %q, the domain %q: a catalogue without a default would be refused, or accepted, wrongly", config.DefaultImage, domain.DefaultImage)
	}
	offer := intake.Offer(config.Offer{Segments: config.VLANs{First: 100, Last: 199}, Deadline: 1,
		Images: config.Images{Path: "images.yaml", Default: "Arch", Catalogue: map[string]config.Image{"Arch": {}, "Debian 12": {}}}})
	if wrong := offer.Validate(); wrong != nil || !slices.Equal(offer.Images, []string{"Arch", "Debian 12"}) {
		t.Fatalf("got %q, mistakes %q", offer.Images, wrong)
	}
	b := newBench(t, setup{offer: func(o *domain.Offer) { *o = offer }})
	with := func(image string) string {
		return `{"type":"CREATE_VIRTUAL_MACHINE","specifications":{"cpu":1,"memory":1,"disk":10,"network":"bridged"` + image + `}}`
	}
	r, err := b.store.Request(t.Context(), "acme", b.accept(with("")))
	if err != nil || r.Request.Spec.Machine.Image != "Arch" {
		t.Errorf("no image: got %+v, %v, want the default of the catalogue", r.Request.Spec.Machine, err)
	}
	for image, detail := range map[string]string{"Ubuntu 22.04": "use one of Arch, Debian 12", "": "leave it out"} {
		a := b.post(with(`,"image":"` + image + `"`))
		if a.status != http.StatusUnprocessableEntity || !slices.Equal(a.errors(), []string{"/specifications/image unknown-image"}) || !strings.Contains(a.body, detail) {
			t.Errorf("image %q: got %d %s, want 422 with %q", image, a.status, a.body, detail)
		}
	}
}
