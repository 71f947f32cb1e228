package applicationtest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

func testRecords(t *testing.T, open func(*testing.T) Stores) {
	cases(t, open, map[string]func(*testing.T, Stores){
		"what is not there is not found":       recordsNotFound,
		"resources by id, gone ones too":       recordsResource,
		"requests come in pages, newest first": recordsRequestPages,
		"requests are filtered":                recordsRequestFilter,
		"resources come in pages":              recordsResourcePages,
		"resources are filtered":               recordsResourceFilter,
		"usage follows the resources":          recordsUsage,
	})
}

func recordsNotFound(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "r"})
	for _, key := range [][2]string{{"umbrella", "r"}, {"acme", "x"}, {"", ""}, {"acme", r.Request.MessageID}} {
		_, err := s.Request(t.Context(), key[0], key[1])
		wantKind(t, fmt.Sprintf("Request(%q)", key), err, domain.NotFound)
	}
	for _, key := range [][2]string{{"umbrella", r.Resource.VirtualID}, {"acme", "VM-0"}, {"acme", r.Resource.UID}, {"", ""}} {
		_, err := s.Resource(t.Context(), key[0], key[1])
		wantKind(t, fmt.Sprintf("Resource(%q)", key), err, domain.NotFound)
	}
	if u, err := s.Usage(t.Context(), "umbrella"); err != nil || u != (domain.Usage{}) {
		t.Errorf("Usage of who has nothing: got %+v, %v, want zero", u, err)
	}
}

func recordsResource(t *testing.T, s Stores) {
	r := admit(t, s, wish{id: "r"})
	for _, live := range []bool{true, false} {
		settle(t, s, r.Request.MessageID, domain.Deleted, live)
		got, err := s.Resource(t.Context(), "acme", r.Resource.VirtualID)
		if err != nil || got.Live != live {
			t.Errorf("Resource that is live=%v: got live=%v, %v", live, got.Live, err)
		}
		same(t, "resource", got, load(t, s, "acme", "r").Resource)
	}
}

func recordsRequestPages(t *testing.T, s Stores) {
	var want []domain.Request
	for i := range 12 {
		want = append(want, admit(t, s, wish{id: fmt.Sprint(i)}).Request)
		admit(t, s, wish{id: fmt.Sprint(i), tenant: "umbrella"})
		if i%3 == 2 { // three are accepted at the same moment
			s.Clock.Advance(time.Microsecond)
		}
	}
	slices.SortFunc(want, func(a, b domain.Request) int {
		return slices.Compare([]string{b.AcceptedAt.Format(time.RFC3339Nano), b.MessageID}, []string{a.AcceptedAt.Format(time.RFC3339Nano), a.MessageID})
	})
	for _, size := range []int{1, 5, 12, 100} {
		var got []domain.Request
		for before := ""; ; before = got[len(got)-1].MessageID {
			page, err := s.Requests(t.Context(), "acme", application.RequestFilter{Limit: size, Before: before})
			if err != nil || len(page) > size {
				t.Fatalf("page of %d: got %d, %v", size, len(page), err)
			}
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
		}
		same(t, fmt.Sprintf("pages of %d", size), ids(got), ids(want))
	}
	page, err := s.Requests(t.Context(), "acme", application.RequestFilter{Limit: 1})
	if err != nil {
		t.Fatalf("Requests: %v, want no error", err)
	}
	same(t, "request of a page", page[0], want[0])
	for _, cursor := range []string{"unknown", domain.MessageID("umbrella", "11")} {
		if page, err := s.Requests(t.Context(), "acme", application.RequestFilter{Limit: 5, Before: cursor}); err != nil || len(page) > 0 {
			t.Errorf("page before %q, which is none of the tenant's: got %v, %v, want none", cursor, ids(page), err)
		}
	}
}

func recordsRequestFilter(t *testing.T, s Stores) {
	for i, typ := range []domain.RequestType{domain.CreateMachine, domain.AllocateStorage, domain.CreateMachine, domain.CreateNetwork} {
		r := admit(t, s, wish{id: fmt.Sprint(i), typ: typ})
		if i < 2 {
			settle(t, s, r.Request.MessageID, typ.Target(), true)
		}
		s.Clock.Advance(time.Second)
	}
	for name, test := range map[string]struct {
		filter application.RequestFilter
		want   []string
	}{
		"all":              {application.RequestFilter{}, []string{"3", "2", "1", "0"}},
		"by status":        {application.RequestFilter{Status: domain.Processing}, []string{"3", "2"}},
		"by type":          {application.RequestFilter{Type: domain.CreateMachine}, []string{"2", "0"}},
		"by both":          {application.RequestFilter{Type: domain.CreateMachine, Status: domain.Completed}, []string{"0"}},
		"by status, paged": {application.RequestFilter{Status: domain.Completed, Limit: 1, Before: domain.MessageID("acme", "1")}, []string{"0"}},
		"by type, paged":   {application.RequestFilter{Type: domain.CreateMachine, Limit: 1, Before: domain.MessageID("acme", "2")}, []string{"0"}},
		"none":             {application.RequestFilter{Status: domain.Fault}, nil},
	} {
		got, err := s.Requests(t.Context(), "acme", test.filter)
		if err != nil || !slices.Equal(ids(got), test.want) {
			t.Errorf("%s: Requests(%+v): got %v, %v, want %v", name, test.filter, ids(got), err, test.want)
		}
	}
}

func uids(all []domain.Resource) []string {
	var names []string
	for _, r := range all {
		names = append(names, r.UID)
	}
	return names
}

func recordsResourcePages(t *testing.T, s Stores) {
	var want []domain.Resource
	for i := range 7 {
		want = append(want, admit(t, s, wish{id: fmt.Sprint(i)}).Resource)
		if i%2 == 1 {
			s.Clock.Advance(time.Microsecond)
		}
	}
	slices.SortFunc(want, func(a, b domain.Resource) int {
		return slices.Compare([]string{b.CreatedAt.Format(time.RFC3339Nano), b.UID}, []string{a.CreatedAt.Format(time.RFC3339Nano), a.UID})
	})
	var got []domain.Resource
	for before := ""; ; before = got[len(got)-1].UID {
		page, err := s.Resources(t.Context(), "acme", application.ResourceFilter{Limit: 3, Before: before})
		if err != nil || len(page) > 3 {
			t.Fatalf("page of 3: got %d, %v", len(page), err)
		}
		if len(page) == 0 {
			break
		}
		got = append(got, page...)
	}
	same(t, "pages", uids(got), uids(want))
	same(t, "resource of a page", got[0], want[0])
	if page, err := s.Resources(t.Context(), "umbrella", application.ResourceFilter{Before: want[0].UID}); err != nil || len(page) > 0 {
		t.Errorf("another tenant's page: got %v, %v, want none", uids(page), err)
	}
}

func recordsResourceFilter(t *testing.T, s Stores) {
	machine := admit(t, s, wish{id: "1"}).Resource.UID
	s.Clock.Advance(time.Second)
	disk := admit(t, s, wish{id: "2", typ: domain.AllocateStorage}).Resource.UID
	s.Clock.Advance(time.Second)
	old := admit(t, s, wish{id: "3"})
	settle(t, s, old.Request.MessageID, domain.Deleted, false)
	for name, test := range map[string]struct {
		filter application.ResourceFilter
		want   []string
	}{
		"live":                {application.ResourceFilter{}, []string{disk, machine}},
		"machines":            {application.ResourceFilter{Kind: domain.Machine}, []string{machine}},
		"networks":            {application.ResourceFilter{Kind: domain.Network}, nil},
		"gone too":            {application.ResourceFilter{Gone: true}, []string{old.Resource.UID, disk, machine}},
		"machines, gone too":  {application.ResourceFilter{Gone: true, Kind: domain.Machine}, []string{old.Resource.UID, machine}},
		"live, after a gone":  {application.ResourceFilter{Before: old.Resource.UID}, []string{disk, machine}},
		"live, after another": {application.ResourceFilter{Before: disk}, []string{machine}},
	} {
		got, err := s.Resources(t.Context(), "acme", test.filter)
		if err != nil || !slices.Equal(uids(got), test.want) {
			t.Errorf("%s: Resources(%+v): got %v, %v, want %v", name, test.filter, uids(got), err, test.want)
		}
	}
}

func recordsUsage(t *testing.T, s Stores) {
	usage := func(when string, want domain.Usage) {
		t.Helper()
		got, err := s.Usage(t.Context(), "acme")
		if err != nil {
			t.Fatalf("Usage: %v, want no error", err)
		}
		same(t, "usage "+when, got, want)
	}
	machine := domain.Usage{Machines: 1, Cores: 2, Memory: 4 * domain.GiB, Storage: 20 * domain.GiB, Hourly: 45_000}
	r := admit(t, s, wish{id: "1"})
	busy := machine
	busy.InFlight = 1
	usage("of a machine being made", busy)
	change(t, s, application.Scope{MessageID: r.Request.MessageID}, func(w *application.Work) {
		w.Request.Decide(w.Now)
		w.Resource.Settle(domain.Running, true, w.Now)
	})
	usage("of a request that is not announced", busy)
	change(t, s, application.Scope{MessageID: r.Request.MessageID}, func(w *application.Work) { w.Request.Finish(w.Now) })
	usage("of a machine", machine)
	target := load(t, s, "acme", "1").Resource
	del := admit(t, s, wish{id: "2", typ: domain.DeleteMachine, target: &target})
	usage("of a machine being deleted", busy)
	settle(t, s, del.Request.MessageID, domain.Deleted, false)
	usage("of nothing", domain.Usage{})
}
