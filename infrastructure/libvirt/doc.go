// Package libvirt makes machines, volumes and networks on hosts with KVM, through
// the libvirt daemon of each. It is for hosts without Kubernetes; with it, see
// package kubevirt. What a host needs is in docs/hypervisors/libvirt.md.
//
// It is no scheduler: where things go, and which address they get, the platform
// decides by its own claims. It manages no hosts, pools or images: the operator does.
//
// # Configuration
//
// [Options] name the hosts with their pools, the images, the operator's networks, how
// those of tenants are made, and how guests are reached for the health checks.
//
// # Guarantees
//
// Each operation has one connection to a host, which is closed when its context
// ends. There is no state here and none that outlives an operation: what there is,
// the hosts say.
//
// A name belongs to one thing for ever. A domain or a network is ours if its
// metadata says so; all others are left alone. A volume has no metadata, so its
// name is its record: names that begin with "kbnt-" are ours. The name has the
// hash of what was wanted, so two callers that want the same compete for one name.
//
// What a call that was cut short left is found by the next one. A machine's
// definition is made first and taken away last: as long as something else is left
// of it (its seed, its address, its filter), the definition says what. A network
// that was defined and did not start is started by the next Ensure, or taken away by
// Delete.
//
// An error has the code "no-answer" when something may still come of the call, and
// another when not: the caller goes by it.
//
// With opening and closing, a new machine takes some 16 calls on one connection, and
// with a reservation and a seed 10 more; to look at one that runs 9, to delete it 14 to 18; a
// new volume 7, a new network 8. On a host nearby that is milliseconds. Where a
// thing is, a key does not say: all hosts are asked at the same time.
//
// # Errors
//
// Besides those of the port: Unavailable with "no-answer"; "host-down" (no
// connection: nothing was done), "try-again" (answered, or only a look was lost) and
// "no-capacity" (the host has no memory or disk left). Conflict with "foreign",
// "spec-differs", "address-taken", "subnet-overlap". NotFound with "no-volume",
// "no-network", "no-image"; "missing" (a pool). Invalid with "invalid-spec", "unsupported" (the host
// can never make it), "unknown-security-group", "no-security-groups". Forbidden,
// "host-denies": our certificate or our user does not suffice, or the host is not
// the one it should be.
//
// # Limits
//
// Pools are of files, and root volumes are layers over their image's volume in
// qcow2: an image must never change in place. A pool holds at most some 16 000
// volumes: the protocol lists no more. Networks of tenants are per host with NAT
// or isolated; only with Open vSwitch do they span hosts and carry their VLAN. Nothing moves between hosts. There
// is no console. The time a guest became ready is when this was first seen.
package libvirt
