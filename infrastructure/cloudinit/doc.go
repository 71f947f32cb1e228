// Package cloudinit writes the documents by which a guest sets itself up at its
// first boot: user-data, meta-data and network-config, as the data source NoCloud
// reads them. The drivers of hypervisors share it; how a document gets into the
// guest (a Secret, a disk) is theirs.
//
// It knows no hypervisor, does no I/O, and is no template: every document is
// marshalled as a whole from a value.
//
// # Configuration
//
// None. What an image needs (its user, its packages) comes with [Machine].
//
// # Guarantees
//
// What a client gave stays data. Documents are JSON, which is YAML, too, with
// everything escaped that could end a string or that a reader may refuse: no text
// can begin a tag or bring along a key. A client's own user data is a second part, in base64,
// which nothing of the first can be mistaken for. The same input gives the same
// bytes, so a document can be compared.
//
// No password is ever set, and logging in with one is off. A client's own user data
// is merged into ours so that lists grow and what both set stays ours, unless it
// brings merge settings of its own: the guest is the client's, in the end.
//
// # Errors
//
// Invalid: an input that no guest could use; see [Machine] and [NIC].
//
// # Limits
//
// Packages are fetched by the guest, which needs a way to its distribution's
// servers for that. A guest without one boots all the same.
package cloudinit
