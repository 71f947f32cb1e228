package local

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"
)

// embedded is a Kafka broker in this process.
type embedded struct {
	cluster *kfake.Cluster
	unlock  func() error
}

// openEmbedded starts a broker on addr. Its data is in dir, which it locks
// against other processes, or in memory if dir is empty.
func openEmbedded(addr, dir string, log *slog.Logger) (*embedded, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("embedded Kafka: Options.KafkaAddr %q: want host:port: %w", addr, err)
	}
	if host == "" {
		return nil, fmt.Errorf("embedded Kafka: Options.KafkaAddr %q has no host: clients could not be told where to connect", addr)
	}
	k := &embedded{unlock: func() error { return nil }}
	options := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ListenFn(func(network, _ string) (net.Listener, error) { return net.Listen(network, addr) }),
		kfake.WithLogger(kafkaLog{log}),
	}
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("embedded Kafka: make Options.DataDir: %w", err)
		}
		if k.unlock, err = lock(filepath.Join(dir, "lock")); err != nil {
			return nil, fmt.Errorf("embedded Kafka: lock Options.DataDir %s: %w", dir, err)
		}
		options = append(options, kfake.DataDir(filepath.Join(dir, "kafka")))
	}
	if k.cluster, err = kfake.NewCluster(options...); err != nil {
		return nil, errors.Join(fmt.Errorf("embedded Kafka: listen on Options.KafkaAddr %s: %w", addr, err), k.unlock())
	}
	return k, nil
}

func (k *embedded) close() error {
	k.cluster.Close()
	return k.unlock()
}

// kafkaLog passes on what the embedded broker warns of.
type kafkaLog struct{ log *slog.Logger }

func (l kafkaLog) Logf(level kfake.LogLevel, text string, args ...any) {
	switch level {
	case kfake.LogLevelError:
		l.log.Error("embedded Kafka", "text", fmt.Sprintf(text, args...))
	case kfake.LogLevelWarn:
		l.log.Warn("embedded Kafka", "text", fmt.Sprintf(text, args...))
	}
}

// clientConfig is common to all clients. 2.8 is old enough for every Kafka in
// use and new enough for Kafka 4, which dropped the protocols before 2.1.
func clientConfig() *sarama.Config {
	c := sarama.NewConfig()
	c.ClientID = "kbnt-local"
	c.Version = sarama.V2_8_0_0
	c.Net.DialTimeout = 5 * time.Second // the brokers are near
	c.Metadata.AllowAutoTopicCreation = false
	return c
}

// createTopics sees to it that the topics exist. One that exists is kept as it
// is; a difference in partitions is reported. Replicas are limited to the
// brokers there are, and min.insync.replicas to them.
func createTopics(brokers []string, topics []topic, log *slog.Logger) error {
	admin, err := sarama.NewClusterAdmin(brokers, clientConfig())
	if err != nil {
		return fmt.Errorf("connect to Kafka at %s: %w", brokers, err)
	}
	defer admin.Close()
	existing, err := admin.ListTopics()
	if err != nil {
		return fmt.Errorf("list topics of Kafka at %s: %w", brokers, err)
	}
	nodes, _, err := admin.DescribeCluster()
	if err != nil {
		return fmt.Errorf("describe Kafka at %s: %w", brokers, err)
	}
	var errs []error
	for _, t := range topics {
		if have, ok := existing[t.topic]; ok {
			if t.partitions > 0 && have.NumPartitions != t.partitions {
				log.Warn("a topic has other partitions than its manifest says", "topic", t.topic, "partitions", have.NumPartitions, "manifest", t.partitions)
			}
			continue
		}
		detail := t.detail(len(nodes))
		if err := admin.CreateTopic(t.topic, &detail, false); err != nil && !errors.Is(err, sarama.ErrTopicAlreadyExists) {
			errs = append(errs, fmt.Errorf("create topic %s of %s: %w", t.topic, t.file, err))
		}
	}
	return errors.Join(errs...)
}

// minInSync is the one setting that depends on the number of replicas.
const minInSync = "min.insync.replicas"

func (t topic) detail(brokers int) sarama.TopicDetail {
	config := maps.Clone(t.config)
	replicas := min(int(t.replicas), brokers)
	if n, err := strconv.Atoi(config[minInSync]); err == nil && n > brokers {
		config[minInSync] = strconv.Itoa(brokers)
	}
	entries := make(map[string]*string, len(config))
	for _, name := range slices.Sorted(maps.Keys(config)) {
		entries[name] = new(config[name])
	}
	return sarama.TopicDetail{NumPartitions: t.partitions, ReplicationFactor: int16(replicas), ConfigEntries: entries}
}

// startAtEnd does what the controller does for a source whose initialOffset is
// latest: it commits the end of the log for every claimed partition without an
// offset, so that what comes from now on is delivered even after a restart. It
// runs before the first record is fetched.
func startAtEnd(client sarama.Client, group string, session sarama.ConsumerGroupSession) error {
	admin, err := sarama.NewClusterAdminFromClient(client) // not closed: that would close the client
	if err != nil {
		return fmt.Errorf("offsets of group %s: %w", group, err)
	}
	committed, err := admin.ListConsumerGroupOffsets(group, session.Claims())
	if err != nil {
		return fmt.Errorf("offsets of group %s: %w", group, err)
	}
	for topic, partitions := range session.Claims() {
		for _, partition := range partitions {
			if block := committed.GetBlock(topic, partition); block != nil && block.Offset >= 0 {
				continue
			}
			end, err := client.GetOffset(topic, partition, sarama.OffsetNewest)
			if err != nil {
				return fmt.Errorf("end of %s/%d: %w", topic, partition, err)
			}
			session.MarkOffset(topic, partition, end, "")
		}
	}
	session.Commit()
	return nil
}
