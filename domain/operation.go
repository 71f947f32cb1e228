package domain

// RequestType is what a client asks to be done.
type RequestType string

const (
	CreateMachine   RequestType = "CREATE_VIRTUAL_MACHINE"
	StartMachine    RequestType = "START_VIRTUAL_MACHINE"
	StopMachine     RequestType = "STOP_VIRTUAL_MACHINE"
	RestartMachine  RequestType = "RESTART_VIRTUAL_MACHINE"
	DeleteMachine   RequestType = "DELETE_VIRTUAL_MACHINE"
	AllocateStorage RequestType = "ALLOCATE_STORAGE"
	ReleaseStorage  RequestType = "RELEASE_STORAGE"
	CreateNetwork   RequestType = "CREATE_NETWORK"
	DeleteNetwork   RequestType = "DELETE_NETWORK"
)

// RequestTypes lists every type, in the order documents show them.
func RequestTypes() []RequestType {
	return []RequestType{
		CreateMachine, StartMachine, StopMachine, RestartMachine, DeleteMachine,
		AllocateStorage, ReleaseStorage, CreateNetwork, DeleteNetwork,
	}
}

// ResourceKind is what exists when a request is done.
type ResourceKind string

const (
	Machine ResourceKind = "virtual-machine"
	Volume  ResourceKind = "virtual-storage"
	Network ResourceKind = "virtual-network"
)

// ResourceKinds lists every kind.
func ResourceKinds() []ResourceKind { return []ResourceKind{Machine, Volume, Network} }

// State is where a resource is in its life. Provisioning and Deleting are on
// the way; Deleted, Released and Failed are the end.
type State string

const (
	Absent       State = "ABSENT" // never shown: what a request starts from or drives to when there is to be nothing
	Provisioning State = "PROVISIONING"
	Running      State = "RUNNING"
	Stopped      State = "STOPPED"
	Allocated    State = "ALLOCATED"
	Active       State = "ACTIVE"
	Deleting     State = "DELETING"
	Deleted      State = "DELETED"
	Released     State = "RELEASED"
	Failed       State = "FAILED"
)

// Known reports whether t is a request type.
func (t RequestType) Known() bool { return t.Kind() != "" }

// Kind returns the kind of resource that t is about, "" for an unknown type.
func (t RequestType) Kind() ResourceKind {
	switch t {
	case CreateMachine, StartMachine, StopMachine, RestartMachine, DeleteMachine:
		return Machine
	case AllocateStorage, ReleaseStorage:
		return Volume
	case CreateNetwork, DeleteNetwork:
		return Network
	}
	return ""
}

// Creates reports whether t makes a new resource.
func (t RequestType) Creates() bool {
	return t == CreateMachine || t == AllocateStorage || t == CreateNetwork
}

// Deletes reports whether t removes a resource.
func (t RequestType) Deletes() bool {
	return t == DeleteMachine || t == ReleaseStorage || t == DeleteNetwork
}

// Target is the state that t drives its resource to.
func (t RequestType) Target() State {
	switch t {
	case CreateMachine, StartMachine, RestartMachine:
		return Running
	case StopMachine:
		return Stopped
	case AllocateStorage:
		return Allocated
	case CreateNetwork:
		return Active
	}
	return Absent
}

// StartsFrom reports whether t may begin on a settled resource in state s. A
// type that creates starts from nothing, hence from no state of a resource.
func (t RequestType) StartsFrom(s State) bool {
	switch t {
	case StartMachine:
		return s == Stopped
	case StopMachine, RestartMachine:
		return s == Running
	case DeleteMachine:
		return s == Running || s == Stopped
	case ReleaseStorage:
		return s == Allocated
	case DeleteNetwork:
		return s == Active
	}
	return false
}

// Gone is the state shown for a resource of kind k that was removed.
func (k ResourceKind) Gone() State {
	if k == Volume {
		return Released
	}
	return Deleted
}

// Prefix begins the virtualResourceId of kind k.
func (k ResourceKind) Prefix() string {
	return map[ResourceKind]string{Machine: "VM-", Volume: "STOR-", Network: "NET-"}[k]
}
