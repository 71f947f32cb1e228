// Package integration tries the platform with programs that others wrote: what
// they understand is what a subscriber will understand. Its tests have the build
// tag integration and run by make integration; one whose program is not
// installed is skipped, and says how to get it.
//
// Apache Kafka is fetched with Maven and runs on java, see integration/kafka, or
// is the one that KAFKA_BROKERS names, for example that of compose.yaml.
//
// It is not the place for flows through the platform: those are scripts of cmd/kbnt.
package integration
