package provision_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/eventing"
	"kbnt.dev/virtualization/functions/provision"
	"kbnt.dev/virtualization/infrastructure/memory"
	"kbnt.dev/virtualization/infrastructure/simulated"
)

// hung is a store that does not answer the first question of a sweep.
type hung struct{ *memory.Store }

func (hung) Overdue(ctx context.Context, _ int) ([]string, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A delivery has to end before its source gives up on it (PT25S in the
// manifests), however long events may wait to be sent.
func TestFunction_endsBeforeItsSourceGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const work, source = 20 * time.Second, 25 * time.Second
		log, store := slog.New(slog.DiscardHandler), hung{memory.NewStore(memory.StoreOptions{})}
		hypervisor, err := simulated.New(simulated.Options{Documents: new(memory.Documents)})
		if err != nil {
			t.Fatal(err)
		}
		f := provision.New(provision.Ports{
			Sweep:   &application.Sweep{Store: store, Agenda: store, Graveyard: store, Hypervisor: hypervisor, Relay: &application.Relay{Agenda: store}, Clock: time.Now, Log: log, Orphans: func(int) {}},
			Metrics: http.NotFoundHandler(), Log: log, Patience: work + provision.Reserve, Unsent: 40 * time.Second,
		})
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("{}"))
		for k, v := range map[string]string{"Ce-Specversion": "1.0", "Ce-Id": "1", "Ce-Source": "/ping", "Ce-Type": eventing.TypeSweep, "Content-Type": "application/json"} {
			r.Header.Set(k, v)
		}
		began := time.Now()
		f.Handle(httptest.NewRecorder(), r)
		if took := time.Since(began); took <= work || took >= source {
			t.Errorf("a delivery whose store hangs took %s, want between %s of work and %s", took, work, source)
		}
	})
}
