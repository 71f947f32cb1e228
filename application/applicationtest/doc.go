// Package applicationtest holds the executable contracts of the ports: each
// TestX runs on any adapter of X, and an adapter is done when it passes.
//
// It is not a collection of fakes. An adapter that cannot do a part says so, with
// the reason, and the skip prints it.
package applicationtest
