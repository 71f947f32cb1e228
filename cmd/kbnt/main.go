// Command kbnt is the local platform: Kafka, the stand-ins for Knative's sinks,
// sources and Broker, the three functions, the store and a simulated hypervisor
// in one process on loopback. KBNT_HYPERVISOR chooses a real one instead.
//
//	kbnt          runs until Ctrl-C; state stays in KBNT_DATA
//	kbnt demo     sends four sample requests through a platform of its own
//	kbnt policies FILE
//	kbnt version
//
// It is not for production: there everything that is one process here is what
// Knative, Strimzi and PostgreSQL run (see README.md, Deploy).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/IBM/sarama"
	fnhttp "knative.dev/func-go/http"
	"knative.dev/pkg/signals"

	"kbnt.dev/virtualization/config"
)

func main() {
	fnhttp.SetLogLevel(fnhttp.LogDisabled) // func's middleware; errors come back as values
	sarama.Logger = nopLogger{}
	ctx := signals.NewContext() // ends at the first SIGINT or SIGTERM; the second ends the process
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "kbnt:", err)
		os.Exit(1)
	}
}

type nopLogger struct{}

func (nopLogger) Print(...any)          {}
func (nopLogger) Printf(string, ...any) {}
func (nopLogger) Println(...any)        {}

func run(ctx context.Context, args []string, out, logs io.Writer) error {
	command := "run"
	if len(args) > 0 {
		command = args[0]
	}
	switch {
	case command == "policies":
		return checkPolicies(args[1:], out)
	case len(args) > 1:
		return fmt.Errorf("%q: one argument at most; try: kbnt help", args)
	case command == "version":
		_, err := fmt.Fprintln(out, version())
		return err
	case command == "help" || command == "-h" || command == "--help":
		_, err := fmt.Fprint(out, help)
		return err
	case command != "run" && command != "demo":
		return fmt.Errorf("%q is no command; try: kbnt help", command)
	}
	s, err := config.ReadLocal()
	if err != nil {
		return err
	}
	if command == "demo" {
		s.Log.Level = max(s.Log.Level, slog.LevelWarn) // what it prints is the demo
	}
	log := s.Log.Logger(logs)
	if command == "demo" {
		return runDemo(ctx, s, log, out)
	}
	return runPlatform(ctx, s, log, out)
}

const help = `kbnt runs the whole platform on this machine, on loopback, with a simulated hypervisor
or, with KBNT_HYPERVISOR, on libvirt or KubeVirt.

  kbnt            run until Ctrl-C; state stays in KBNT_DATA (.kbnt)
  kbnt demo       send four sample requests through a platform of its own, always
                  simulated (with KAFKA_BROKERS, the only platform on that Kafka)
  kbnt policies FILE
                  compile a file of security policies, run its tests and print
                  them; ends with 1 if anything is wrong
  kbnt version    print the version

Settings are environment variables; README.md, Configuration, lists them.
`

func runPlatform(ctx context.Context, s config.Local, log *slog.Logger, out io.Writer) error {
	p, err := open(ctx, s, log)
	if err != nil {
		return err
	}
	p.greet(out)
	select {
	case <-ctx.Done():
		fmt.Fprintln(out, "\nstopping")
	case err = <-p.failed:
	}
	return errors.Join(err, p.close())
}

// runDemo uses ports and a folder of its own, so that it disturbs no platform
// that runs already and leaves nothing behind. For the same reason its hypervisor is
// the simulated one, whatever was chosen. A real Kafka it has to have to
// itself: another platform there is in the same consumer groups.
func runDemo(ctx context.Context, s config.Local, log *slog.Logger, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "kbnt-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s.Data, s.Hypervisor = config.Path(dir), config.Simulated
	for _, a := range []*config.Loopback{&s.Addr, &s.ProvisionAddr, &s.NotifyAddr, &s.SinksAddr, &s.KafkaAddr} {
		*a = "127.0.0.1:0"
	}
	p, err := open(ctx, s, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	return demo(ctx, p, out)
}
