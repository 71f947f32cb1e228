// Package kafka runs Apache Kafka for tests: one node, which is broker and
// controller, on loopback, with its data in a temporary folder. Maven fetches
// it, through whatever repositories it is configured for, so that a machine
// needs java and mvn and no containers.
//
// It is not the embedded Kafka of the local platform, and nothing that the
// platform needs: it shows what of the platform's behaviour is Kafka's own.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"kbnt.dev/virtualization/integration/process"
)

// ErrMissing says that this machine has no Kafka and no means to get one; the
// text around it names what is missing. A test is skipped then.
var ErrMissing = errors.New("no Kafka can be had here")

// ErrForeign says that a Kafka is not the tests' own, to be stopped at will.
var ErrForeign = errors.New("this Kafka was not started here")

// Broker is a Kafka that runs, unless it was killed.
type Broker struct {
	addresses []string
	dir       string // empty: a foreign one
	command   func() *exec.Cmd
	node      *process.Process // nil: it does not run
}

// Start returns the Kafka at these addresses, host:port, or starts one if there
// are none. It returns when that Kafka answers, or an error when ctx ends: a
// first start downloads about 45 MB, later ones take some seconds. The error is
// [ErrMissing] where no Kafka can be had. A foreign Kafka is not started, but
// waited for.
func Start(ctx context.Context, addresses []string) (_ *Broker, err error) {
	b := &Broker{addresses: slices.Clone(addresses)}
	if len(addresses) > 0 {
		return b, b.ready(ctx, nil)
	}
	if b.dir, err = os.MkdirTemp("", "kbnt-kafka-"); err != nil {
		return nil, fmt.Errorf("make a folder for Kafka: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	java, err := findJava(ctx)
	if err != nil {
		return nil, err
	}
	classes, err := resolve(ctx, b.dir)
	if err != nil {
		return nil, err
	}
	settings := filepath.Join(b.dir, "server.properties")
	address, err := writeSettings(ctx, settings, filepath.Join(b.dir, "data"))
	if err != nil {
		return nil, err
	}
	b.addresses = []string{address}
	if err := format(ctx, java, classes, settings); err != nil {
		return nil, err
	}
	b.command = func() *exec.Cmd { return exec.Command(java, nodeArgs(classes, settings)...) }
	return b, b.run(ctx)
}

// Addresses are where clients find it, host:port.
func (b *Broker) Addresses() []string { return slices.Clone(b.addresses) }

// Own reports whether it was started here, and so may be killed.
func (b *Broker) Own() bool { return b.dir != "" }

// Kill ends it at once, as a crash would, and returns when it is gone. What it
// acknowledged it still has after a [Broker.Restart].
func (b *Broker) Kill() error {
	if !b.Own() {
		return ErrForeign
	}
	if b.node != nil {
		b.node.Kill()
		b.node = nil
	}
	return nil
}

// Stop ends it in order, as an update does, and returns when it is gone. One
// that is not gone when ctx ends is killed, and that is an error.
func (b *Broker) Stop(ctx context.Context) error {
	if !b.Own() {
		return ErrForeign
	}
	if b.node == nil {
		return nil
	}
	node := b.node
	b.node = nil
	return node.Stop(ctx)
}

// Restart starts it again at the same address, on the same data, and returns
// when it answers. One that runs is stopped before.
func (b *Broker) Restart(ctx context.Context) error {
	if err := b.Stop(ctx); err != nil {
		return err
	}
	return b.run(ctx)
}

// Close ends it and removes its data; a foreign one is left alone.
func (b *Broker) Close() error {
	if !b.Own() {
		return nil
	}
	return errors.Join(b.Kill(), os.RemoveAll(b.dir))
}

func (b *Broker) run(ctx context.Context) (err error) {
	if b.node, err = process.Start(b.command()); err != nil {
		return err
	}
	return b.ready(ctx, b.node)
}

// ready waits until Kafka answers. It gives up when ctx ends or node does.
func (b *Broker) ready(ctx context.Context, node *process.Process) error {
	var ended <-chan struct{} // of a foreign one nobody knows
	said := func() string { return "" }
	if node != nil {
		ended, said = node.Ended(), node.Said
	}
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		err := ask(b.addresses)
		if err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-ended:
			return fmt.Errorf("start Kafka at %s: it ended at once:\n%s", b.addresses, said())
		case <-ctx.Done():
			return fmt.Errorf("wait for Kafka at %s: %w; last %w\n%s", b.addresses, ctx.Err(), err, said())
		}
	}
}

// ask succeeds once the cluster has a controller and a broker that serves: it
// refuses to describe itself before.
func ask(addresses []string) error {
	config := sarama.NewConfig()
	config.ClientID = "kbnt-integration"
	config.Version = sarama.V2_8_0_0
	config.Net.DialTimeout = time.Second
	config.Metadata.Retry.Max = 0
	admin, err := sarama.NewClusterAdmin(addresses, config)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer admin.Close()
	brokers, _, err := admin.DescribeCluster()
	if err == nil && len(brokers) == 0 {
		err = errors.New("it knows of no broker")
	}
	return err
}
