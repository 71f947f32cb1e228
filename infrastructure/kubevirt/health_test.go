package kubevirt_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/kubevirt"
)

// withoutClass sells NVMe disks of whatever class is the cluster's default.
func withoutClass(o *kubevirt.Options) { o.Storage[domain.NVME] = kubevirt.Storage{} }

func image(change func(*kubevirt.Image)) func(*kubevirt.Options) {
	return func(o *kubevirt.Options) {
		i := o.Images[domain.DefaultImage]
		change(&i)
		o.Images = map[string]kubevirt.Image{domain.DefaultImage: i}
	}
}

func mute(o *kubevirt.Options) { o.Dial = nil }

// TestHealth shows the five checks in each kind of world: what can be asked is, and what
// cannot is said.
func TestHealth(t *testing.T) {
	t.Parallel()
	agentless := image(func(i *kubevirt.Image) { i.Agent, i.Install = false, nil })
	for name, c := range map[string]struct {
		reason  string
		change  []func(*kubevirt.Options)
		want    string // + passed, - not, ? not asked, in the order of the names
		service string // in the detail of the last check
	}{
		"agent and a way":     {"everything is asked", nil, "+++++", "guest agent"},
		"agent and no way":    {"nobody can connect", []func(*kubevirt.Options){mute}, "+++?+", "guest agent"},
		"a way and no agent":  {"the port stands for the address and the service", []func(*kubevirt.Options){agentless}, "+++++", "http, port 80"},
		"neither":             {"the cluster's word alone", []func(*kubevirt.Options){agentless, mute}, "++???", "not asked"},
		"no agent, only SSH":  {"SSH is the service", []func(*kubevirt.Options){agentless, image(func(i *kubevirt.Image) { i.Ports = nil })}, "+++++", "ssh, port 22"},
		"no agent, by name":   {"the first by name", []func(*kubevirt.Options){agentless, image(func(i *kubevirt.Image) { i.Ports = map[string]int{"web": 443, "alt": 80} })}, "+++++", "alt, port 80"},
		"SSH at another port": {"what the image says", []func(*kubevirt.Options){image(func(i *kubevirt.Image) { i.Ports = map[string]int{"ssh": 80} })}, "+++++", "guest agent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := bare(t, c.change...)
			w.ready(t, w.volume("a"))
			o := w.ready(t, w.machine("a"))
			if got := checks(o); got != c.want {
				t.Errorf("checks: got %s, want %s: %s: %+v", got, c.want, c.reason, o.Checks)
			}
			if d := o.Checks[4].Detail; !strings.Contains(d, c.service) {
				t.Errorf("guest service: got %q, want %q in it", d, c.service)
			}
			if o.Host != "node-1" || o.Ports["ssh"] == 0 || o.PoweredAt.IsZero() {
				t.Errorf("ready: got host %q, ports %v, powered at %s", o.Host, o.Ports, o.PoweredAt)
			}
		})
	}
}

// TestGreetingOfSSH holds that a port 22 which is open is no guest that serves: where SSH
// is all that an image offers, and it has no agent, SSH has to say something.
func TestGreetingOfSSH(t *testing.T) {
	t.Parallel()
	onlySSH := image(func(i *kubevirt.Image) { i.Agent, i.Install, i.Ports = false, nil, nil })
	for name, c := range map[string]struct {
		reason, greeting, want string
	}{
		"speaks SSH":        {"RFC 4253, 4.2", "SSH-2.0-OpenSSH_9.6\r\n", "+++++"},
		"no line end":       {"it hung up in the middle", "SSH-2.0-Open", "++++-"},
		"says nothing":      {"it hung up", "", "++++-"},
		"another protocol":  {"the guest has something else there", "220 mail ESMTP\r\n", "++++-"},
		"a line of no end":  {"it is not read for ever", "SSH-" + strings.Repeat("a", 1<<12), "++++-"},
		"a word before SSH": {"this is not sshd's way", "not SSH-2.0\n", "++++-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := bare(t, onlySSH)
			w.ready(t, w.volume("a"))
			machine := w.machine("a")
			w.ready(t, machine)
			w.greeting = c.greeting
			o, err := w.Observe(t.Context(), machine.Key)
			if want := map[bool]domain.ThingPhase{true: domain.ThingReady, false: domain.ThingStarting}[c.want == "+++++"]; err != nil || o.Phase != want || checks(o) != c.want {
				t.Errorf("greeting %.20q: got %s with %s, %v, want %s with %s: %s", c.greeting, o.Phase, checks(o), err, want, c.want, c.reason)
			}
		})
	}
}

// TestSilentSSH holds that a port which accepts and says nothing keeps no look waiting: it
// ends with the context.
func TestSilentSSH(t *testing.T) {
	t.Parallel()
	var silent atomic.Bool
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w, _ := bare(t, image(func(i *kubevirt.Image) { i.Agent, i.Install, i.Ports = false, nil, nil }), func(o *kubevirt.Options) {
		dial := o.Dial
		o.Dial = func(dialCtx context.Context, network, address string) (net.Conn, error) {
			if !silent.Load() {
				return dial(dialCtx, network, address)
			}
			here, there := net.Pipe()
			t.Cleanup(func() { _ = there.Close() })
			cancel() // when it is connected
			return here, nil
		}
	})
	w.ready(t, w.volume("a"))
	machine := w.machine("a")
	w.ready(t, machine)
	silent.Store(true)
	if o, err := w.Observe(ctx, machine.Key); err != nil || o.Phase != domain.ThingStarting || checks(o) != "++++-" {
		t.Errorf("got %s with %s, %v, want Starting with ++++-", o.Phase, checks(o), err)
	}
}

func checks(o domain.Observation) (s string) {
	for i, name := range []string{domain.CheckHypervisor, domain.CheckDisk, domain.CheckAddress, domain.CheckSSH, domain.CheckGuest} {
		switch {
		case i >= len(o.Checks) || o.Checks[i].Name != name:
			return s + "!"
		case o.Checks[i].Passed:
			s += "+"
		case strings.HasPrefix(o.Checks[i].Detail, "not asked"):
			s += "?"
		default:
			s += "-"
		}
	}
	return s
}

// TestTenantsNetworksAreNotDialled holds that an address that a tenant chose is not connected
// to, unless the operator says that there is a way to it.
func TestTenantsNetworksAreNotDialled(t *testing.T) {
	t.Parallel()
	for _, may := range []bool{false, true} {
		dialled := atomic.Bool{}
		w, _ := bare(t, func(o *kubevirt.Options) {
			dial := o.Dial
			o.DialTenants = may
			o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				dialled.Store(true)
				return dial(ctx, network, address)
			}
		})
		network := w.network("n")
		w.ready(t, network)
		w.ready(t, w.volume("a"))
		machine := w.machine("a")
		machine.Network, machine.Address, machine.Gateway = network.Key.Name(), netip.MustParsePrefix("10.0.1.2/24"), netip.Addr{}
		want := map[bool]string{false: "+++?+", true: "+++++"}[may]
		if o := w.ready(t, machine); checks(o) != want || dialled.Load() != may {
			t.Errorf("tenants may be dialled %v: got %s, dialled %v, want %s", may, checks(o), dialled.Load(), want)
		}
	}
}

// TestNotHealthy takes one thing away from a machine that was ready.
func TestNotHealthy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change fields // of the instance's status
		want   string
	}{
		"paused":          {fields{"conditions": []any{fields{"type": "Paused", "status": "True"}, fields{"type": "AgentConnected", "status": "True"}}}, "-++++"},
		"no node":         {fields{"nodeName": ""}, "-++++"},
		"no disk":         {fields{"volumeStatus": []any{fields{"name": "root", "target": ""}}}, "+-+++"},
		"agent is silent": {fields{"conditions": []any{fields{"type": "AgentConnected", "status": "False"}}}, "++++-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := bare(t)
			w.ready(t, w.volume("a"))
			machine := w.machine("a")
			w.ready(t, machine)
			w.controllers.status(t, vmisPath, machine.Key.Name(), c.change)
			o, err := w.Observe(t.Context(), machine.Key)
			if err != nil || o.Phase != domain.ThingStarting || checks(o) != c.want || !o.ReadyAt.IsZero() || len(o.Ports) > 0 {
				t.Errorf("got %s with %s, ready at %s, ports %v, %v, want Starting with %s", o.Phase, checks(o), o.ReadyAt, o.Ports, err, c.want)
			}
		})
	}

	w, _ := bare(t)
	w.ready(t, w.volume("a"))
	machine := w.machine("a")
	w.ready(t, machine)
	w.controllers.guests = nil // it does not accept connections any more
	if o, err := w.Observe(t.Context(), machine.Key); err != nil || o.Phase != domain.ThingStarting || checks(o) != "+++-+" {
		t.Errorf("without SSH: got %s with %s, %v, want Starting with +++-+", o.Phase, checks(o), err)
	}
}

// TestSecurityGroupsThatFilterNothing holds that a machine is never made without the
// protection that was asked for: no NetworkPolicy reaches its one card, a bridge's.
func TestSecurityGroupsThatFilterNothing(t *testing.T) {
	t.Parallel()
	for _, groups := range []kubevirt.Groups{"", kubevirt.NetworkPolicies} {
		w, s := bare(t, func(o *kubevirt.Options) { o.Groups = groups })
		w.ready(t, w.volume("a"))
		machine := w.machine("a", func(m *domain.MachineSpec) { m.SecurityGroups = []string{"web"} })
		_, err := w.Ensure(t.Context(), machine)
		if e, ok := errors.AsType[*domain.Error](err); verdict(err) != "invalid/no-security-groups" || !ok || !strings.Contains(e.Detail, "MultiNetworkPolicies") {
			t.Errorf("groups %q: got %v, want invalid/no-security-groups with the remedy MultiNetworkPolicies", groups, err)
		}
		if vm := s.objects[w.controllers.in(vmsPath)+"/"+machine.Key.Name()]; vm != nil {
			t.Errorf("groups %q: got %v, want no machine", groups, vm)
		}
	}
}

// TestMachineOfUnfilteredGroups holds that a machine which was made with security groups
// can still be switched off when the cluster has none any more.
func TestMachineOfUnfilteredGroups(t *testing.T) {
	t.Parallel()
	w, _ := bare(t, multi)
	w.ready(t, w.volume("a"))
	policy(t, w, "web", "web")
	machine := w.machine("a", func(m *domain.MachineSpec) { m.SecurityGroups = []string{"web"} })
	w.ready(t, machine)
	w.options.Groups = kubevirt.NetworkPolicies
	machine.On = false
	if o, err := w.client(t, w.controllers.transport).Ensure(t.Context(), machine); err != nil || o.Phase != domain.ThingPending {
		t.Errorf("off: got %s, %v, want Pending while it stops", o.Phase, err)
	}
}

func multi(o *kubevirt.Options) { o.Groups = kubevirt.MultiNetworkPolicies }

// policy is what an operator makes for a security group.
func policy(t *testing.T, w *world, name, group string) {
	t.Helper()
	w.controllers.create(t, w.controllers.in("/apis/k8s.cni.cncf.io/v1beta1/namespaces/{ns}/multi-networkpolicies"), fields{"apiVersion": "k8s.cni.cncf.io/v1beta1", "kind": "MultiNetworkPolicy",
		"metadata": fields{"name": name, "labels": fields{"kbnt.dev/security-group": group}}, "spec": fields{"podSelector": fields{}}})
}

func TestSecurityGroups(t *testing.T) {
	t.Parallel()
	w, s := bare(t, multi)
	w.ready(t, w.volume("a"))
	machine := w.machine("a", func(m *domain.MachineSpec) { m.SecurityGroups = []string{"web", "Db_1"} })
	policy(t, w, "web", "web")
	if _, err := w.Ensure(t.Context(), machine); verdict(err) != "not-found/no-security-group" {
		t.Errorf("with a group that nobody defined: got %v, want not-found/no-security-group", err)
	}
	if o, _ := w.Observe(t.Context(), machine.Key); o.Phase != domain.ThingAbsent {
		t.Errorf("with a group that nobody defined: got %s, want nothing made", o.Phase)
	}
	policy(t, w, "db", "Db_1")
	w.ready(t, machine)
	labels, _ := below(s.objects[w.controllers.in(vmsPath)+"/"+machine.Key.Name()], "spec", "template", "metadata", "labels")
	for _, group := range []string{"web", "Db_1"} {
		if v, is := labels["security-group.kbnt.dev/"+group]; !is || v != "" {
			t.Errorf("labels of the pod: got %v, want the group %s", labels, group)
		}
	}
	bad := w.machine("b", func(m *domain.MachineSpec) { m.SecurityGroups = []string{"-web"} })
	bad.Root = machine.Root
	if _, err := w.Ensure(t.Context(), bad); verdict(err) != "invalid/invalid-spec" {
		t.Errorf("with a group that is no label: got %v, want invalid", err)
	}
}
