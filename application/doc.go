// Package application holds the use cases, one file each: submit, provision,
// notify, track, cancel, sweep, resume. ports.go shows on one page what they need of
// the world.
//
// It knows the order of the transactions that make one accepted request have
// one resource and one completion event, whatever crashes (docs/protocol.md),
// and nothing of HTTP, topics, Avro, SQL or any hypervisor. It does no I/O of its
// own: everything that can fail or take time comes in through a port.
package application
