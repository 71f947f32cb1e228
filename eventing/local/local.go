package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Options say where a platform listens, keeps its data and finds its parts.
type Options struct {
	// Manifests are what is played; required.
	Manifests *Manifests

	// Brokers are host:port of a real Kafka. Empty: one is embedded.
	Brokers []string

	// KafkaAddr is where the embedded Kafka listens; port 0 takes any that is
	// free. Default 127.0.0.1:9092.
	KafkaAddr string

	// DataDir is where the embedded Kafka keeps its data, made when missing. One
	// process may use it at a time. Empty: in memory, gone with the process.
	DataDir string

	// HTTPAddr is where KafkaSinks and Brokers listen; port 0 takes any that is
	// free. Default 127.0.0.1:8090.
	HTTPAddr string

	// SweepEvery replaces the schedule of every PingSource, so that a laptop
	// need not wait for the minute. 0: as the manifest says.
	SweepEvery time.Duration

	// Log is where losses, dead letters and trouble are told. Default: nowhere.
	Log *slog.Logger

	// commitEvery is for tests that must not meet a commit. Default five seconds.
	commitEvery time.Duration
}

// Eventing is a running platform.
type Eventing struct {
	options  Options
	embedded *embedded // nil with a real Kafka
	brokers  []string
	producer *producer
	server   *http.Server
	served   chan struct{} // closed when server has returned
	base     string        // URL of the ingress
	client   *http.Client

	mu      sync.Mutex
	started bool
	closed  bool
	reports []Report

	sources    sync.WaitGroup
	quit       context.CancelFunc // ends the sources, and with quitCtx all retries
	quitCtx    context.Context
	hangUp     context.CancelFunc // ends the calls in progress
	callCtx    context.Context
	consumers  []*consumer
	closeError error
}

// Open starts Kafka with the topics of the manifests, and the sinks and
// brokers: what a function needs before it starts. It gives up on a real Kafka that does
// not answer within seconds. ctx is for the start only: its end does not end
// the platform, [Eventing.Close] does.
//
// The error of an address that is taken names it and its option.
func Open(ctx context.Context, options Options) (_ *Eventing, err error) {
	if options.Manifests == nil {
		return nil, errors.New("open local platform: Options.Manifests is missing")
	}
	if options.KafkaAddr == "" {
		options.KafkaAddr = "127.0.0.1:9092"
	}
	if options.HTTPAddr == "" {
		options.HTTPAddr = "127.0.0.1:8090"
	}
	if options.commitEvery == 0 {
		options.commitEvery = commitEvery
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	e := &Eventing{options: options, brokers: slices.Clone(options.Brokers), client: newClient(), reports: options.Manifests.Reports()}
	e.quitCtx, e.quit = context.WithCancel(context.WithoutCancel(ctx))
	e.callCtx, e.hangUp = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open local platform: %w", err), e.Close())
		}
	}()

	// The address that another process most likely holds comes first.
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", options.HTTPAddr)
	if err != nil {
		return nil, fmt.Errorf("sinks: listen on Options.HTTPAddr %s: %w", options.HTTPAddr, err)
	}
	e.base = "http://" + reachable(listener.Addr())
	if err := e.openKafka(); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	e.serve(listener)
	return e, nil
}

func (e *Eventing) openKafka() (err error) {
	if len(e.brokers) == 0 {
		if e.embedded, err = openEmbedded(e.options.KafkaAddr, e.options.DataDir, e.options.Log); err != nil {
			return err
		}
		e.brokers = e.embedded.cluster.ListenAddrs()
	}
	if err := createTopics(e.brokers, e.options.Manifests.topics, e.options.Log); err != nil {
		return err
	}
	e.producer, err = openProducer(e.brokers)
	return err
}

func (e *Eventing) serve(listener net.Listener) {
	in := &ingress{routes: make(map[string]route), send: e.producer.send, log: e.options.Log}
	for _, s := range e.options.Manifests.sinks {
		in.routes["/"+s.namespace+"/"+s.name] = route{topic: s.topic, structured: s.structured}
	}
	for _, b := range e.options.Manifests.brokers {
		in.routes["/"+b.namespace+"/"+b.name] = route{topic: b.topic}
	}
	e.server = &http.Server{Handler: in, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(e.options.Log.Handler(), slog.LevelWarn)}
	e.served = make(chan struct{})
	go func() {
		defer close(e.served)
		if err := e.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			e.options.Log.Error("the sinks do not listen any more", "error", err)
		}
	}()
}

// reachable is where this machine finds a listener: 0.0.0.0 and [::] are no
// addresses to connect to.
func reachable(addr net.Addr) string {
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
	}
	return addr.String()
}

// Brokers are the addresses of Kafka, host:port.
func (e *Eventing) Brokers() []string { return slices.Clone(e.brokers) }

// SinkURL is the address of the KafkaSink of that name, in whatever namespace;
// empty if the manifests have none.
func (e *Eventing) SinkURL(name string) string {
	for _, s := range e.options.Manifests.sinks {
		if s.name == name {
			return e.base + "/" + s.namespace + "/" + s.name
		}
	}
	return ""
}

// BrokerURL is the address of the Broker of that name, in whatever namespace;
// empty if the manifests have none.
func (e *Eventing) BrokerURL(name string) string {
	for _, b := range e.options.Manifests.brokers {
		if b.name == name {
			return e.base + "/" + b.namespace + "/" + b.name
		}
	}
	return ""
}

// Reports are those of the manifests, and those of StartSources.
func (e *Eventing) Reports() []Report {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.reports)
}

// Close ends everything: no retry begins any more, calls in progress have two
// seconds to be answered, offsets are committed, the sinks stop listening, and
// the embedded Kafka saves its state. What was not answered is delivered again
// by the next platform on the same data. Later calls return the same error.
func (e *Eventing) Close() error {
	e.quit()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return e.closeError
	}
	e.closed = true

	e.sources.Wait()
	e.hangUp()
	for _, c := range e.consumers {
		c.calls.Wait()
	}
	var errs []error
	if e.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), grace)
		if err := e.server.Shutdown(ctx); err != nil { // a connection on which nothing was asked yet counts as busy
			errs = append(errs, e.server.Close())
		}
		cancel()
		<-e.served
	}
	if e.producer != nil {
		errs = append(errs, e.producer.close())
	}
	e.client.CloseIdleConnections()
	if e.embedded != nil {
		errs = append(errs, e.embedded.close())
	}
	e.closeError = errors.Join(errs...)
	return e.closeError
}
