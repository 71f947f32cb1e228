// Package kubevirt makes machines, volumes and networks on a Kubernetes cluster with
// KubeVirt: the hypervisor of a cluster. It speaks HTTP and JSON to the API server and
// keeps nothing: no watch, no cache of objects, no client library, so that a cold start
// pays for none.
//
// It is not an operator. Nothing runs between calls, no finalizer is ours, and what the
// cluster lacks (KubeVirt, CDI, Multus, a bridge on the nodes, storage classes,
// policies) it does not install. docs/hypervisors/kubevirt.md says what it needs, with
// the permissions.
//
// # Configuration
//
// [Options] name the cluster ([InCluster], [Kubeconfig]), the one namespace in which
// everything is made, and what images, classes of disk, segments and security groups
// are there. One namespace, because a [domain.Key] tells no tenant, and a thing must be
// found by its key alone; tenants never reach the API server, so that a namespace each
// would keep nobody apart.
//
// # Guarantees
//
// A machine is a VirtualMachine and a Secret with its cloud-init, which the cluster takes
// away with it. A volume is a PersistentVolumeClaim, or a DataVolume where an image is
// imported. A network is a NetworkAttachmentDefinition of the CNI plugin "bridge" with
// its VLAN. All are named by [domain.Key.Name] and carry labels of ours, the hash of what
// was asked, and nothing that a client wrote but for the Secret.
//
// Objects are made by POST with strict validation, and adopted only if labels and hash are
// those wanted. Changes and deletions name the uid that was seen. So twelve calls at once
// make one thing, and another's thing of the same name is never touched.
//
// What exists is found in one round trip: a network by one call, a volume and a machine by
// two at a time, the latter also by connecting to its ports once it runs. To make a volume
// or a network takes two round trips, a machine four.
//
// A machine is Ready when all of its five checks pass that can be made. Those that cannot,
// because this process has no way to the guest's network and the image no agent, are not
// passed, and say so. Addresses that a tenant chose are not connected to, unless
// [Options.DialTenants] allows it.
//
// # Errors
//
// Besides those of the port: Unavailable with the codes "try-again" (nothing that was sent
// can still take effect: it was a look, no connection was made, or the server said that
// it did nothing), "deleting" (the name is not free yet), and none when a change was sent
// and its answer was lost or the server was in trouble. Conflict with "spec-differs" and
// "foreign". NotFound with "no-volume", "no-network", "no-image", "no-security-group",
// "no-namespace", "no-api" (KubeVirt, CDI or Multus is missing). Invalid with
// "invalid-spec" and "no-security-groups" (nothing would filter). Exhausted, "cluster-quota". Forbidden with "denied" and
// "unauthenticated". A look that cannot find the namespace's API is Unavailable: nothing
// is known of the thing.
//
// # Limits
//
// Addresses and VLANs are guarded by nobody but the claims of our store. IOPS are what
// the class of storage gives. There are no baselines and no console. Changes of a
// machine's or a volume's size are not made. Volumes other than the root volume are made
// and not attached.
package kubevirt
