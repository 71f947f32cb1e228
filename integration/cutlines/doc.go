// Package cutlines proves that an accepted request has its effect exactly once
// although any answer on any line may be lost. It runs the three functions behind
// real HTTP servers, on a real PostgreSQL, and follows one request through its
// life; then it lives that life again for every answer of the database and of
// HTTP, and cuts the line there: before the call, after it, and in the middle of
// the answer's bytes.
//
// Its tests have the build tag integration. Without PostgreSQL they are skipped.
//
// It is not about Kafka: a topic is a list in here, and what delivers from it does
// what a KafkaSource does. It is not about processes that end, and not about what
// the hypervisor loses, which simulated's faults and the protocol's tests are for.
package cutlines
