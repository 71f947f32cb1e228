//go:build integration

package proof

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing/fstest"
	"time"

	"kbnt.dev/virtualization/eventing"
	"kbnt.dev/virtualization/eventing/local"
)

// storm is how the world treats a chain. What happens to an event on its way
// follows from the seed and the event's id.
type storm struct {
	Seed  uint64
	Twice bool    // every delivery is made twice, one after the other or at once
	Late  float64 // share of the events that are held back, so that others overtake them
	Lost  float64 // share of the calls of the hypervisor that are not answered and take effect later
}

// front stands on both sides of the stand-ins for Knative: functions post to it
// what is meant for a sink, and sources what is meant for a function. So dying
// before and after a record is in Kafka, and before and after a delivery, are
// points too.
type front struct {
	gate  *gate
	sinks map[string]string // URL by topic
	to    map[string]string // URL by function
	storm storm
	log   *slog.Logger
	http  *http.Client
}

func (s settings) serveEventing(l net.Listener, g *gate, log *slog.Logger) error {
	ctx := context.Background()
	manifests, err := quickManifests(s.Pace.Backoff)
	if err != nil {
		return err
	}
	e, err := local.Open(ctx, local.Options{Manifests: manifests, Brokers: s.Brokers, KafkaAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0",
		DataDir: s.Dir, SweepEvery: s.Pace.Sweep, Log: log})
	if err != nil {
		return err
	}
	f := &front{gate: g, to: s.Services, storm: s.Storm, log: log, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}},
		sinks: map[string]string{
			eventing.TopicRequests:    e.SinkURL(eventing.TopicRequests),
			eventing.TopicResults:     e.SinkURL(eventing.TopicResults),
			eventing.TopicEvents:      e.BrokerURL(eventing.TopicEvents),
			eventing.TopicDeadLetters: e.SinkURL(eventing.TopicDeadLetters),
		}}
	mux := http.NewServeMux()
	mux.Handle("/proof/", g)
	mux.HandleFunc("/proof/brokers", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Join(e.Brokers(), ",")) })
	mux.HandleFunc("POST /sink/{topic}", f.sink)
	mux.HandleFunc("POST /to/{function}", f.deliver)
	served := make(chan error, 1)
	go func() { served <- http.Serve(l, mux) }()
	services := map[string]string{"kbnt-provision": s.Front + "/to/provision", "kbnt-notify": s.Front + "/to/notify"}
	if err := e.StartSources(ctx, services); err != nil {
		return err
	}
	return <-served
}

// quickManifests are those of the product with another pause between two
// deliveries: local has no option for that, as nobody else wants one.
func quickManifests(backoff string) (*local.Manifests, error) {
	files := fstest.MapFS{}
	sub, err := fs.Sub(eventing.Manifests, "manifests")
	if err != nil {
		return nil, err
	}
	err = fs.WalkDir(sub, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(sub, name)
		files[name] = &fstest.MapFile{Data: bytes.ReplaceAll(data, []byte("backoffDelay: PT2S"), []byte("backoffDelay: "+backoff))}
		return err
	})
	if err != nil {
		return nil, err
	}
	return local.Parse(files)
}

func (f *front) sink(w http.ResponseWriter, r *http.Request) {
	topic := r.PathValue("topic")
	f.relay(w, r, "sink "+topic, func(ctx context.Context, body []byte) (int, error) {
		return f.post(ctx, f.sinks[topic], r.Header, body)
	})
}

func (f *front) deliver(w http.ResponseWriter, r *http.Request) {
	to := r.PathValue("function")
	f.relay(w, r, "deliver "+to, func(ctx context.Context, body []byte) (int, error) {
		once := func() (int, error) { return f.post(ctx, f.to[to]+"/", r.Header, body) }
		if !f.storm.Twice || subjectOfDelivery(r.Header) == "" {
			return once()
		}
		return f.batter(ctx, r.Header, once)
	})
}

// batter delivers an event twice, one after the other or at once. It acknowledges
// only what was acknowledged both times.
func (f *front) batter(ctx context.Context, h http.Header, once func() (int, error)) (int, error) {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(h.Get("Ce-Id")))
	chance := rand.New(rand.NewPCG(f.storm.Seed, sum.Sum64()))
	if chance.Float64() < f.storm.Late {
		select {
		case <-time.After(time.Duration(chance.IntN(1500)) * time.Millisecond): // others overtake it
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	first := make(chan error, 1)
	go func() {
		status, err := once()
		if err == nil && status >= 300 {
			err = fmt.Errorf("status %d", status)
		}
		first <- err
	}()
	if chance.IntN(2) == 0 {
		err := <-first
		first <- err
	}
	status, err := once()
	return status, errors.Join(err, <-first)
}

// relay passes the points around a call and answers what it was answered.
func (f *front) relay(w http.ResponseWriter, r *http.Request, name string, call func(context.Context, []byte) (int, error)) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	subject := subjectOfDelivery(r.Header)
	if f.gate.pass(name+"/before", subject) {
		w.WriteHeader(http.StatusAccepted) // and it is lost
		return
	}
	status, err := call(r.Context(), body)
	if err != nil {
		status = http.StatusBadGateway
	}
	f.gate.pass(name+"/after", subject)
	w.WriteHeader(status)
}

func (f *front) post(ctx context.Context, url string, h http.Header, body []byte) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header = h.Clone()
	answer, err := f.http.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, nil
}
