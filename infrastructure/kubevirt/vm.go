package kubevirt

import (
	"time"

	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/cloudinit"
)

// virtualMachine is what is read of a VirtualMachine.
type virtualMachine struct {
	Meta meta `json:"metadata"`
	Spec struct {
		Run string `json:"runStrategy"`
	} `json:"spec"`
	Seen machineSeen `json:"status"`
}

// machineSeen is what KubeVirt saw of a machine.
type machineSeen struct {
	Printable  string      `json:"printableStatus"`
	Conditions []condition `json:"conditions"`

	// Generation of the machine at that look. KubeVirt notes it only while there is an
	// instance; 0: it never did.
	Generation int64 `json:"desiredGeneration"`
}

// stale reports whether the status is of a specification before this one: a machine
// that was started since may be well by now.
func (vm *virtualMachine) stale() bool {
	return vm.Seen.Generation > 0 && vm.Seen.Generation < vm.Meta.Generation
}

// instance is what is read of a VirtualMachineInstance: a machine while it runs.
type instance struct {
	Meta meta `json:"metadata"`
	Seen struct {
		Phase      string      `json:"phase"`
		Node       string      `json:"nodeName"`
		Conditions []condition `json:"conditions"`
		Interfaces []struct {
			Name string   `json:"name"`
			MAC  string   `json:"mac"`
			IP   string   `json:"ipAddress"`
			IPs  []string `json:"ipAddresses"`
		} `json:"interfaces"`
		Volumes []struct {
			Name   string `json:"name"`
			Target string `json:"target"`
		} `json:"volumeStatus"`
		Transitions []struct {
			Phase string    `json:"phase"`
			At    time.Time `json:"phaseTransitionTimestamp"`
		} `json:"phaseTransitionTimestamps"`
	} `json:"status"`
}

type condition struct {
	Type    string     `json:"type"`
	Status  string     `json:"status"`
	Reason  string     `json:"reason"`
	Message string     `json:"message"`
	At      *time.Time `json:"lastTransitionTime"`
}

// has finds a condition with that status.
func has(all []condition, kind, status string) (condition, bool) {
	for _, c := range all {
		if c.Type == kind && c.Status == status {
			return c, true
		}
	}
	return condition{}, false
}

// Names inside a machine.
const (
	rootDisk  = "root"
	initDisk  = "cloudinit"
	onlyNIC   = "nic0"
	stopGrace = 60 // seconds that a guest has to shut down
)

// machineObject is the VirtualMachine that is wanted. root says by which source the
// root volume comes.
func (h *Hypervisor) machineObject(want domain.Desired, root map[string]any) object {
	type fields = map[string]any
	spec := want.Spec.Machine
	m := h.metaOf(want)
	m.Annotations[ofImage], m.Annotations[atAddress], m.Annotations[onNetwork] = spec.Image, want.Address.String(), want.Network
	labels := fields{} // of the pod: security groups select by them
	for k, v := range m.Labels {
		labels[k] = v
	}
	for _, g := range spec.SecurityGroups {
		labels[groupOf+g] = ""
	}
	run := halted
	if want.On {
		run = always
	}
	namespace, name := h.segment(want)
	if namespace != h.namespace {
		name = namespace + "/" + name
	}
	boot := fields{"name": rootDisk}
	for k, v := range root {
		boot[k] = v
	}
	secret := fields{"name": m.Name}
	return object{Meta: m, Spec: fields{
		"runStrategy": run,
		"template": fields{
			// KubeVirt gives the instance what the template has: by these its changes are known as ours.
			"metadata": fields{"labels": labels, "annotations": fields{ofTenant: want.Tenant, virtualID: want.VirtualID}},
			"spec": fields{
				"hostname":                      cloudinit.Hostname(want.VirtualID),
				"terminationGracePeriodSeconds": stopGrace,
				"domain": fields{
					"cpu":      fields{"cores": spec.Cores},
					"memory":   fields{"guest": quantity(spec.Memory)},
					"firmware": fields{"uuid": want.Key.UUID()},
					"devices": fields{
						"rng": fields{},
						"disks": []fields{
							{"name": rootDisk, "bootOrder": 1, "disk": fields{"bus": "virtio"}},
							{"name": initDisk, "disk": fields{"bus": "virtio"}},
						},
						"interfaces": []fields{{"name": onlyNIC, "bridge": fields{}, "macAddress": want.Key.MAC()}},
					},
				},
				"networks": []fields{{"name": onlyNIC, "multus": fields{"networkName": name}}},
				"volumes": []fields{boot,
					{"name": initDisk, "cloudInitNoCloud": fields{"secretRef": secret, "networkDataSecretRef": secret}}},
			},
		},
	}}
}
