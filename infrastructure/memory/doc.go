// Package memory keeps the world in memory: the twin of a durable store that
// tests use, and the first to pass every contract.
//
// It is not for production: what it holds is gone when the process ends.
package memory
