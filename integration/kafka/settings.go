package kafka

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/google/uuid"
)

// settings are Kafka's own defaults but for what one node on a busy machine
// needs. Topics are not made by whoever names them, as in production.
const settings = `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@%[2]s
listeners=PLAINTEXT://%[1]s,CONTROLLER://%[2]s
advertised.listeners=PLAINTEXT://%[1]s
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=%[3]s
auto.create.topics.enable=false
# Internal topics have three replicas and fifty partitions otherwise.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=3
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# The first member of a group does not wait 3 s for others.
group.initial.rebalance.delay.ms=0
`

// writeSettings chooses ports and returns the address of the one for clients.
func writeSettings(ctx context.Context, file, data string) (address string, err error) {
	var ports [2]string
	for i := range ports {
		for ports[i] == "" || ports[0] == ports[1] {
			if ports[i], err = freePort(ctx); err != nil {
				return "", err
			}
		}
	}
	text := fmt.Sprintf(settings, ports[0], ports[1], filepath.ToSlash(data))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("write Kafka's settings: %w", err)
	}
	return ports[0], nil
}

// freePort is a loopback address nobody listens at. It is none of the ports that
// systems give to outgoing connections: Kafka has to find its port free again
// when it is restarted among clients that dial.
func freePort(ctx context.Context) (string, error) {
	const first, last, tries = 20_000, 32_000, 100 // Linux gives out 32768 and above
	var taken error
	for range tries {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(first+rand.IntN(last-first)))
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err != nil {
			taken = err
			continue
		}
		return address, l.Close()
	}
	return "", fmt.Errorf("find a free port for Kafka: %w", taken)
}

// clusterID is a random one as Kafka writes it: a UUID in base64.
func clusterID() string {
	id := uuid.New()
	return base64.RawURLEncoding.EncodeToString(id[:])
}
