package kubevirt

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/cloudinit"
)

// Run strategies of a VirtualMachine.
const (
	always = "Always"
	halted = "Halted"
)

// ensureMachine finds the machine and gives it the power wanted, or makes it: the
// VirtualMachine first, whose uid the Secret with its cloud-init then names as owner, so
// that the cluster takes the Secret away with the machine, whoever deletes that. The
// machine's pod waits for the Secret.
func (h *Hypervisor) ensureMachine(ctx context.Context, want domain.Desired) (domain.Observation, error) {
	vm, vmi, err := h.machine(ctx, want.Key)
	if err != nil {
		return domain.Observation{}, err
	}
	if vm == nil && vmi != nil { // what ran before it, or somebody else's
		if !h.ours(vmi.Meta, want.Key) {
			return domain.Observation{}, foreign()
		}
		return domain.Observation{}, deleting()
	}
	if vm != nil {
		if err := h.adopt(vm.Meta, want); err != nil {
			return domain.Observation{}, err
		}
		if vm, err = h.power(ctx, vm, want.On); err != nil {
			return domain.Observation{}, err
		}
		seen := h.seeMachine(ctx, want.Key, vm, vmi)
		if seen.Phase != domain.ThingReady { // else it has booted, with its Secret
			err = h.ensureSecret(ctx, want, vm.Meta)
		}
		return seen, err
	}

	if _, err := h.cloudInit(want); err != nil { // before anything is made
		return domain.Observation{}, err
	}
	if err := h.filters(want.Spec.Machine.SecurityGroups); err != nil {
		return domain.Observation{}, err
	}
	root, err := h.needs(ctx, want)
	if err != nil {
		return domain.Observation{}, err
	}
	vm = new(virtualMachine)
	if err := h.create(ctx, machines(), h.machineObject(want, root), vm); err != nil {
		return domain.Observation{}, err
	}
	if err := h.createSecret(ctx, want, vm.Meta); err != nil {
		return domain.Observation{}, err
	}
	return h.seeMachine(ctx, want.Key, vm, nil), nil
}

// needs looks for everything that a machine depends on, at a time.
func (h *Hypervisor) needs(ctx context.Context, want domain.Desired) (root map[string]any, err error) {
	err = both(
		func() (err error) { root, err = h.needsVolume(ctx, want.Root); return err },
		func() error {
			return both(
				func() error { return h.needsNetwork(ctx, want) },
				func() error { return h.needsGroups(ctx, want.Spec.Machine.SecurityGroups) })
		})
	return root, err
}

// filters returns nil when something filters for the security groups. A machine has one
// card, on a bridge, and none on the pod network, which is all that NetworkPolicies
// reach. It is asked of a new machine only: one that is there can be switched.
func (h *Hypervisor) filters(groups []string) error {
	if len(groups) == 0 || h.groups == MultiNetworkPolicies {
		return nil
	}
	return &domain.Error{Kind: domain.Invalid, Code: "no-security-groups",
		Detail: "the cluster filters nothing for security groups: NetworkPolicies do not reach a machine's bridge; the operator can set securityGroups to MultiNetworkPolicies, where their controller is installed"}
}

// needsGroups returns nil when each security group is an object of the operator. Without
// this look, a name that nobody defined would protect nothing.
func (h *Hypervisor) needsGroups(ctx context.Context, groups []string) error {
	if len(groups) == 0 {
		return nil
	}
	at := strings.LastIndexByte(string(h.groups), '/')
	k := kind{api: string(h.groups)[:at], plural: string(h.groups)[at+1:]}
	var have struct {
		Items []struct {
			Meta meta `json:"metadata"`
		} `json:"items"`
	}
	query := url.Values{"labelSelector": {inGroup + " in (" + strings.Join(groups, ",") + ")"}}
	if err := h.client.do(ctx, call{method: http.MethodGet, path: path(k, h.namespace, ""), query: query}, &have); err != nil {
		return err
	}
	defined := map[string]bool{}
	for _, item := range have.Items {
		defined[item.Meta.Labels[inGroup]] = true
	}
	for _, g := range groups {
		if !defined[g] {
			return missing("security-group")
		}
	}
	return nil
}

// power sets the run strategy. The uid is part of the change, so that it cannot hit
// another machine of that name. What it changed is returned without a status: the answer
// has that of before, and a word such as CrashLoopBackOff there is not about this start.
func (h *Hypervisor) power(ctx context.Context, vm *virtualMachine, on bool) (*virtualMachine, error) {
	want := halted
	if on {
		want = always
	}
	if vm.Spec.Run == want {
		return vm, nil
	}
	change := map[string]any{"metadata": map[string]any{"uid": vm.Meta.UID}, "spec": map[string]any{"runStrategy": want}}
	changed := new(virtualMachine)
	err := h.client.do(ctx, call{method: http.MethodPatch, path: path(machines(), h.namespace, vm.Meta.Name), query: strict(), body: change, kind: mergePatch}, changed)
	if errors.Is(err, errAbsent) {
		return nil, &domain.Error{Kind: domain.Unavailable, Code: application.CodeTryAgain, Detail: "it was deleted meanwhile", Err: err}
	}
	changed.Seen = machineSeen{}
	return changed, err
}

// ensureSecret sees to it that a machine which was found has its Secret. It is made only
// if it is not there: the image may have left the catalogue since.
func (h *Hypervisor) ensureSecret(ctx context.Context, want domain.Desired, owner meta) error {
	found, err := h.findSecret(ctx, want.Key, owner)
	if err != nil || found {
		return err
	}
	return h.createSecret(ctx, want, owner)
}

// createSecret makes the Secret of a machine, or finds it made meanwhile.
func (h *Hypervisor) createSecret(ctx context.Context, want domain.Desired, owner meta) error {
	files, err := h.cloudInit(want)
	if err != nil {
		return err
	}
	m := h.metaOf(want)
	m.Owners = []reference{{API: machines().api, Kind: machines().name, Name: owner.Name, UID: owner.UID}}
	err = h.create(ctx, secrets(), object{Meta: m, Data: files}, nil)
	if !errors.Is(err, errExists) {
		return err
	}
	found, err := h.findSecret(ctx, want.Key, owner)
	if err == nil && !found {
		return deleting()
	}
	return err
}

// findSecret looks for the Secret of a machine. That of a machine of the same name which
// has gone is waited for: the cluster is about to take it away.
func (h *Hypervisor) findSecret(ctx context.Context, key domain.Key, owner meta) (bool, error) {
	var have struct {
		Meta meta `json:"metadata"`
	}
	found, err := h.get(ctx, secrets(), h.namespace, key.Name(), &have)
	if err != nil || !found {
		return false, err
	}
	switch uid, owned := have.Meta.ownedBy(machines()); {
	case have.Meta.Deleting != nil, owned && uid != owner.UID:
		return false, deleting()
	case !owned || !h.ours(have.Meta, key):
		return false, foreign()
	}
	return true, nil
}

// cloudInit makes the data of the Secret, under the names that KubeVirt looks for.
func (h *Hypervisor) cloudInit(want domain.Desired) (map[string][]byte, error) {
	image, known := h.images[want.Spec.Machine.Image]
	if !known {
		return nil, missing("image")
	}
	m := cloudinit.Machine{
		InstanceID: want.Key.UUID(), Hostname: cloudinit.Hostname(want.VirtualID), User: image.User,
		SSHKeys: want.Spec.Machine.SSHKeys, UserData: want.Spec.Machine.UserData,
		NICs: []cloudinit.NIC{{MAC: want.Key.MAC(), Address: want.Address, Gateway: want.Gateway, DNS: h.dns}},
	}
	for _, p := range image.Install {
		m.Agents = append(m.Agents, cloudinit.Agent{Package: p, Unit: p})
	}
	d, err := cloudinit.New(m)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{"userdata": d.UserData, "networkdata": d.NetworkConfig}, nil
}
