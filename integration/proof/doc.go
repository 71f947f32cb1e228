// Package proof holds the platform to "exactly once in effect": whatever dies,
// whenever, each accepted request ends with one outcome, one resource or none,
// and one public event.
package proof
