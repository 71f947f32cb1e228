//go:build race

package main

// The race detector makes the embedded store ten times slower.
const slow = true
