// Package simulated is a hypervisor that makes nothing real: the default on a
// laptop, where it lets everything else be tried and measured. It behaves like a
// small fleet of hosts. Things take time to be made, hosts fill up, addresses and
// VLANs are unique, and everything can be made to fail on request.
//
// It is not a mock, and it does not pretend: the driver calls itself
// "simulated", each health check is marked so, there is no console, and nothing
// answers on the addresses it reports.
//
// # Configuration
//
// [Options] name the store of its world, the clock, the hosts, the latencies and
// how much to speed them up, and the rates of faults.
//
// # Guarantees
//
// The world lives in documents of [application.Documents], so it outlives the
// process, which scales to zero. There are no goroutines: a document holds the
// times at which its thing reaches each phase, drawn by a hash of the key, and
// the phase is a function of these and of now. Several processes may share one
// world.
//
// There is one document per thing ("sim/thing/", JSON) and a small ledger per host
// ("sim/host/", lines of text) of what each thing holds there, because room on a
// host is what many callers compete for, and a thing's own document is not. VLANs
// and subnets of networks share one ledger ("sim/networks"); an address is a
// document of its own ("sim/address/"), so that a segment with thousands of them is
// never rewritten as a whole. Documents are written by compare and swap, and read
// again on a conflict. Callers of one process queue up for a ledger instead, and the
// first of them takes the changes of all along in one write.
//
// To make a volume on a given host takes 2 reads and 2 writes, a machine 4 and 3;
// to find either made takes 1 read. Each host that may be chosen adds a read.
//
// There is no transaction over documents, so the order matters. Ensure claims
// first and writes the thing last; Delete gives back first and forgets the thing
// last. What is cut short leaves claims under the thing's name, which the next
// Ensure adopts and the next Delete gives back, even when the thing itself was
// never written. A Delete that was cut short must be called again.
//
// # Errors
//
// Besides those of the port: Unavailable with the codes "no-capacity" (no room on
// the host), "host-down", "deleting" (the name is not free yet), "address-busy"
// and "vlan-busy" (its last user is just being deleted), "try-again" and "no-answer" (injected,
// or ctx ended), "contention" (too many processes write the same ledger); Conflict with "spec-differs", "foreign", "address-taken", "vlan-taken",
// "subnet-overlap". NotFound with "no-volume", "no-network": a machine's root volume
// or its tenant network is not there. Invalid, "invalid-spec": a specification out of range, or more IOPS than the class has.
// Subnets of one tenant may not overlap; those of different tenants may, because
// VLANs keep them apart. What the store reports keeps its Kind.
//
// # Limits
//
// Volumes may be used from another host than their own. Operator segments
// ("bridged", "vlan-100") exist by definition. A network may be deleted under its
// machines, as with libvirt. About 400 things per host keep its ledger below
// 50 KB, which is rewritten with each change.
//
// # Faults
//
// The label "kbnt.dev/fault" of a request lists faults, separated by commas:
//
//	transient=3         the first 3 calls of Ensure are Unavailable and do nothing
//	lost=2              2 calls of Ensure take effect and are answered Unavailable
//	capacity            Unavailable ("no-capacity"), for ever
//	host-down           Unavailable ("host-down"), for ever
//	terminal            Invalid
//	terminal-at=volume  the same as terminal@volume
//	denied              Forbidden
//	quota               Exhausted
//	stuck               made, but never ready
//	slow=5s             takes that much longer to make or to switch, at any speed
//	partial             a machine is made and fails when it is switched on
//	delete-transient=2  the first 2 calls of Delete are Unavailable and do nothing
//
// A number left out is 1, a duration 5s. "@machine", "@volume" or "@network"
// behind a fault limits it to that kind; without one it hits each thing of the
// request. [Options.Faults] gives the same words a rate. A key that is hit once is
// always hit: the draw is a hash of it.
//
// Faults that forbid the making apply while the thing does not exist, and never to
// Observe and Delete, so that undoing works. Counts are kept in the thing's
// document. Words that are not known are logged and ignored.
package simulated
