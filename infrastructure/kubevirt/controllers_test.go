package kubevirt_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// controllers stand in for what acts on the objects of one namespace: KubeVirt, CDI, the
// scheduler, the binding and protection of claims, and the garbage collector. They speak to the
// API server like everybody, so that they work on a real one, too. Each step takes
// everything one stage further, and a guest comes up only with the Secret that its
// machine names: its address is what cloud-init was told there.
type controllers struct {
	kube
	ns   string
	now  func() time.Time
	room int // MiB of memory that one host has

	mu     sync.Mutex
	guests map[netip.Addr]bool // up, and accepting connections
}

// up reports whether a guest accepts connections.
func (c *controllers) up(a netip.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.guests[a]
}

func (c *controllers) in(path string) string { return strings.ReplaceAll(path, "{ns}", c.ns) }

const (
	vmisPath   = "/apis/kubevirt.io/v1/namespaces/{ns}/virtualmachineinstances"
	dvsPath    = "/apis/cdi.kubevirt.io/v1beta1/namespaces/{ns}/datavolumes"
	vmGuard    = "kubevirt.io/virtualMachineControllerFinalize"
	vmiGuard   = "foregroundDeleteVirtualMachine"
	claimGuard = "kubernetes.io/pvc-protection"
)

func meta(o fields, key string) string { return text(o, "metadata", key) }

func (c *controllers) step(t testing.TB) {
	t.Helper()
	vms := byName(c.items(t, c.in(vmsPath)))
	vmis := byName(c.items(t, c.in(vmisPath)))
	claims := byName(c.items(t, c.in(claimsPath)))
	imports := byName(c.items(t, c.in(dvsPath)))
	secrets := byName(c.items(t, c.in(secretsPath)))

	for name, d := range imports {
		c.load(t, name, d, claims)
	}
	used := map[string]bool{}
	for _, vmi := range vmis {
		used[root(at(vmi, "spec"))] = true
	}
	for name, p := range claims {
		c.bind(t, name, p, used[name])
	}
	for name, vm := range vms {
		if text(vm, "metadata", "labels", "app.kubernetes.io/managed-by") != "" {
			c.manage(t, name, vm, vmis[name])
		}
	}
	c.mu.Lock()
	c.guests = map[netip.Addr]bool{}
	c.mu.Unlock()
	for name, vmi := range vmis {
		c.run(t, name, vmi, claims[root(at(vmi, "spec"))], secrets)
	}

	alive := map[string]bool{}
	for _, path := range []string{vmsPath, dvsPath} {
		for _, o := range c.items(t, c.in(path)) {
			alive[meta(o, "uid")] = true
		}
	}
	for _, path := range []string{secretsPath, vmisPath, claimsPath} {
		for _, o := range c.items(t, c.in(path)) {
			owners, _ := at(o, "metadata", "ownerReferences").([]any)
			if len(owners) > 0 && !alive[text(owners[0], "uid")] {
				c.remove(t, path, meta(o, "name"))
			}
		}
	}
}

func byName(all []fields) map[string]fields {
	out := map[string]fields{}
	for _, o := range all {
		out[meta(o, "name")] = o
	}
	return out
}

// root is the claim that a machine boots from; a DataVolume's has its name.
func root(spec any) string {
	volumes, _ := at(spec, "volumes").([]any)
	for _, v := range volumes {
		if s := text(v, "persistentVolumeClaim", "claimName") + text(v, "dataVolume", "name"); s != "" {
			return s
		}
	}
	return ""
}

func (c *controllers) remove(t testing.TB, path, name string) {
	t.Helper()
	c.do(t, http.MethodDelete, c.in(path)+"/"+name, "application/json", fields{}, http.StatusNotFound)
}

func (c *controllers) status(t testing.TB, path, name string, status fields) {
	t.Helper()
	c.patch(t, c.in(path)+"/"+name+"/status", fields{"status": status})
}

func (c *controllers) guard(t testing.TB, path, name string, finalizers any) {
	t.Helper()
	c.patch(t, c.in(path)+"/"+name, fields{"metadata": fields{"finalizers": finalizers}})
}

func ownedBy(o fields) []fields {
	return []fields{{"apiVersion": o["apiVersion"], "kind": o["kind"], "name": meta(o, "name"), "uid": meta(o, "uid"), "controller": true}}
}

// load is CDI: it makes a claim of the DataVolume's name and fills it.
func (c *controllers) load(t testing.TB, name string, d fields, claims map[string]fields) {
	t.Helper()
	switch {
	case claims[name] == nil:
		c.create(t, c.in(claimsPath), fields{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": at(d, "spec", "pvc"),
			"metadata": fields{"name": name, "labels": at(d, "metadata", "labels"), "annotations": at(d, "metadata", "annotations"), "ownerReferences": ownedBy(d)}}, http.StatusConflict)
		c.status(t, dvsPath, name, fields{"phase": "ImportScheduled"})
	case text(d, "status", "phase") == "ImportScheduled":
		c.status(t, dvsPath, name, fields{"phase": "ImportInProgress", "progress": "50.0%"})
	case text(d, "status", "phase") == "ImportInProgress":
		c.status(t, dvsPath, name, fields{"phase": "Succeeded"})
	}
}

// bind is the volume controller. A claim in use stays when it is deleted.
func (c *controllers) bind(t testing.TB, name string, p fields, used bool) {
	t.Helper()
	switch {
	case meta(p, "deletionTimestamp") != "" && !used:
		c.guard(t, claimsPath, name, nil)
	case text(p, "status", "phase") == "Pending" && (used || text(p, "spec", "storageClassName") == atOnce):
		c.status(t, claimsPath, name, fields{"phase": "Bound"})
	}
}

// manage is virt-controller: from VirtualMachine to VirtualMachineInstance.
func (c *controllers) manage(t testing.TB, name string, vm, vmi fields) {
	t.Helper()
	halted := text(vm, "spec", "runStrategy") == "Halted"
	switch {
	case meta(vm, "deletionTimestamp") != "" && vmi == nil:
		c.guard(t, vmsPath, name, nil)
	case meta(vm, "deletionTimestamp") != "":
		c.remove(t, vmisPath, name)
	case at(vm, "metadata", "finalizers") == nil:
		c.guard(t, vmsPath, name, []string{vmGuard})
	case halted && vmi != nil:
		c.remove(t, vmisPath, name)
		c.status(t, vmsPath, name, fields{"printableStatus": "Stopping"})
	case halted:
		c.status(t, vmsPath, name, fields{"printableStatus": "Stopped"})
	case vmi == nil:
		template := at(vm, "spec", "template")
		c.create(t, c.in(vmisPath), fields{"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "spec": at(template, "spec"),
			"metadata": fields{"name": name, "labels": at(template, "metadata", "labels"), "annotations": at(template, "metadata", "annotations"), "finalizers": []string{vmiGuard}, "ownerReferences": ownedBy(vm)}}, http.StatusConflict)
		c.status(t, vmsPath, name, fields{"printableStatus": "Starting", "created": true})
	default:
		word := "Starting"
		switch conditions, _ := at(vmi, "status", "conditions").([]any); {
		case text(vmi, "status", "phase") == "Running":
			word = "Running"
		case len(conditions) > 0:
			word = "ErrorUnschedulable"
		}
		c.status(t, vmsPath, name, fields{"printableStatus": word})
	}
}

// run is the scheduler, virt-handler and the guest.
func (c *controllers) run(t testing.TB, name string, vmi, claim fields, secrets map[string]fields) {
	t.Helper()
	at3339 := c.now().UTC().Format(time.RFC3339)
	transitions, _ := at(vmi, "status", "phaseTransitionTimestamps").([]any)
	phase := func(p string, more fields) {
		s := fields{"phase": p, "phaseTransitionTimestamps": append(slices.Clone(transitions), fields{"phase": p, "phaseTransitionTimestamp": at3339})}
		for k, v := range more {
			s[k] = v
		}
		c.status(t, vmisPath, name, s)
	}
	if meta(vmi, "deletionTimestamp") != "" {
		c.guard(t, vmisPath, name, nil)
		return
	}
	switch text(vmi, "status", "phase") {
	case "":
		phase("Pending", nil)
	case "Pending":
		if n, _ := strconv.Atoi(strings.TrimSuffix(text(vmi, "spec", "domain", "memory", "guest"), "Mi")); n > c.room {
			c.status(t, vmisPath, name, fields{"conditions": []fields{{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available: 1 Insufficient memory."}}})
			return
		}
		phase("Scheduling", nil)
	case "Scheduling":
		if claim == nil || text(claim, "status", "phase") != "Bound" {
			return
		}
		phase("Scheduled", fields{"nodeName": "node-1"})
	case "Scheduled":
		if _, _, ok := told(vmi, secrets); !ok {
			return // the pod waits for its Secret
		}
		phase("Running", fields{"volumeStatus": []fields{{"name": "root", "target": "vda"}, {"name": "cloudinit", "target": "vdb"}}})
	case "Running":
		address, mac, ok := told(vmi, secrets)
		if !ok {
			return
		}
		c.mu.Lock()
		c.guests[address] = true
		c.mu.Unlock()
		if at(vmi, "status", "interfaces") == nil && installs(secrets[name], "qemu-guest-agent") {
			c.status(t, vmisPath, name, fields{
				"interfaces": []fields{{"name": "nic0", "mac": mac, "ipAddress": address.String(), "ipAddresses": []string{address.String()}, "infoSource": "domain, guest-agent"}},
				"conditions": []fields{{"type": "AgentConnected", "status": "True", "lastTransitionTime": at3339}}})
		}
	}
}

// installs reports whether cloud-init is told to install a package.
func installs(secret fields, name string) bool {
	data, err := base64.StdEncoding.DecodeString(text(secret, "data", "userdata"))
	return err == nil && strings.Contains(string(data), `"`+name+`"`)
}

// told reads the address and the card that cloud-init is to set up, from the Secret that
// the machine names.
func told(vmi fields, secrets map[string]fields) (address netip.Addr, mac string, ok bool) {
	volumes, _ := at(vmi, "spec", "volumes").([]any)
	for _, v := range volumes {
		secret := secrets[text(v, "cloudInitNoCloud", "networkDataSecretRef", "name")]
		data, err := base64.StdEncoding.DecodeString(text(secret, "data", "networkdata"))
		if secret == nil || err != nil {
			continue
		}
		var config struct {
			Ethernets map[string]struct {
				Match     struct{ MACAddress string }
				Addresses []netip.Prefix
			}
		}
		if json.Unmarshal(data, &config) != nil {
			continue
		}
		for _, e := range config.Ethernets {
			if cards, _ := at(vmi, "spec", "domain", "devices", "interfaces").([]any); len(cards) == 1 && len(e.Addresses) == 1 {
				return e.Addresses[0].Addr(), e.Match.MACAddress, text(cards[0], "macAddress") == e.Match.MACAddress
			}
		}
	}
	return address, "", false
}
