// Package domain is the language of the product and its rules: requests,
// resources, specifications, quota, cost, the three state machines and the ids
// that are derived from one another.
//
// It is pure: standard library only, no I/O, no clock, no randomness, no
// goroutines. Time and ids come in as arguments, decisions go out as values.
// It knows nothing of HTTP, Kafka, Avro or SQL.
//
// Read request.go first: a request is a move of one resource from a state to a
// state. Then resource.go, rules.go and claims.go.
package domain
