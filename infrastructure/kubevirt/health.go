package kubevirt

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"kbnt.dev/virtualization/domain"
)

// dialTimeout is how long a guest may take to accept a connection, and to greet: one that
// is up does within a round trip or two of its network.
const dialTimeout = 1 * time.Second

// health makes the five checks of a machine that runs, and calls it Ready when all pass
// that can be made. One that cannot be made is not passed, and says why.
func (h *Hypervisor) health(ctx context.Context, o *domain.Observation, vm *virtualMachine, vmi *instance) {
	image := h.images[vm.Meta.Annotations[ofImage]]
	ports := image.ports()
	dial := h.dial
	if strings.HasPrefix(vm.Meta.Annotations[onNetwork], tenantNetwork) && !h.tenants {
		dial = nil
	}
	wanted, _ := netip.ParsePrefix(vm.Meta.Annotations[atAddress])
	address := wanted.Addr()

	ready := true
	check := func(name string, passed bool, detail string) {
		ready = ready && passed
		o.Checks = append(o.Checks, domain.HealthCheck{Name: name, Passed: passed, Detail: detail})
	}
	unasked := func(name, why string) {
		o.Checks = append(o.Checks, domain.HealthCheck{Name: name, Detail: "not asked: " + why})
	}

	_, paused := has(vmi.Seen.Conditions, "Paused", "True")
	if paused {
		o.Reason = "Paused"
	}
	check(domain.CheckHypervisor, !paused && vmi.Seen.Node != "", "running on "+vmi.Seen.Node)
	target := vmi.target(rootDisk)
	check(domain.CheckDisk, target != "", "root volume is "+target)

	reported := vmi.addresses(o.Key.MAC())
	connected, agent := has(vmi.Seen.Conditions, "AgentConnected", "True")
	service, port := image.service()
	ssh, web := reach(ctx, dial, address, ports["ssh"], port, image.Agent)

	o.Addresses = reported
	switch {
	case slices.Contains(reported, address):
		check(domain.CheckAddress, true, address.String()+", reported")
	case ssh || web:
		o.Addresses = append(o.Addresses, address)
		check(domain.CheckAddress, true, address.String()+", answers")
	case image.Agent || dial != nil:
		check(domain.CheckAddress, false, address.String()+" is not seen yet")
	default:
		unasked(domain.CheckAddress, "the image has no guest agent, and there is no way from here to its network")
	}
	if dial == nil {
		unasked(domain.CheckSSH, "there is no way from here to its network")
	} else {
		check(domain.CheckSSH, ssh, "port "+strconv.Itoa(ports["ssh"]))
	}
	switch {
	case image.Agent:
		check(domain.CheckGuest, agent, "guest agent")
		if agent && connected.At != nil {
			o.GuestAt, o.ReadyAt = *connected.At, *connected.At
		}
	case dial == nil:
		unasked(domain.CheckGuest, "the image has no guest agent, and there is no way from here to its network")
	default:
		check(domain.CheckGuest, web, service+", port "+strconv.Itoa(port))
	}
	if !ready {
		o.GuestAt, o.ReadyAt = time.Time{}, time.Time{}
		return
	}
	o.Phase, o.Ports = domain.ThingReady, ports
	if o.GuestAt.Before(o.PoweredAt) { // clocks of two hosts
		o.GuestAt, o.ReadyAt = time.Time{}, time.Time{}
	}
}

// service is what is asked of a guest without an agent: "http" if it is offered, else
// the first by name, else SSH.
func (i Image) service() (name string, port int) {
	if port, ok := i.Ports["http"]; ok {
		return "http", port
	}
	for n, p := range i.ports() {
		if n != "ssh" && (name == "" || n < name) {
			name, port = n, p
		}
	}
	if name == "" {
		return "ssh", i.ports()["ssh"]
	}
	return name, port
}

type dialer = func(ctx context.Context, network, address string) (net.Conn, error)

// reach connects to a guest's two ports at a time; the second only when nothing else
// tells of its service. ssh says that its port accepts. So does service, but where SSH is
// the service, the guest has to greet as SSH does.
func reach(ctx context.Context, dial dialer, address netip.Addr, sshPort, servicePort int, agent bool) (ssh, service bool) {
	if dial == nil || !address.IsValid() {
		return false, false
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	try := func(port int) (accepts, greets bool) {
		c, err := dial(ctx, "tcp", net.JoinHostPort(address.String(), strconv.Itoa(port)))
		if err != nil {
			return false, false
		}
		defer c.Close()
		return true, !agent && servicePort == sshPort && greeting(ctx, c)
	}
	if agent || servicePort == sshPort {
		return try(sshPort)
	}
	_ = both(
		func() error { ssh, _ = try(sshPort); return nil },
		func() error { service, _ = try(servicePort); return nil })
	return ssh, service
}

// greeting reads the line by which an SSH server begins (RFC 4253, 4.2). It closes the
// connection when ctx ends.
func greeting(ctx context.Context, c net.Conn) bool {
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	line, err := bufio.NewReaderSize(c, 256).ReadSlice('\n')
	return err == nil && bytes.HasPrefix(line, []byte("SSH-"))
}

// target is the device by which a guest sees a volume, empty while it is not attached.
func (i *instance) target(name string) string {
	for _, v := range i.Seen.Volumes {
		if v.Name == name {
			return v.Target
		}
	}
	return ""
}

// addresses are those that the cluster knows of our network card.
func (i *instance) addresses(mac string) []netip.Addr {
	var all []netip.Addr
	for _, n := range i.Seen.Interfaces {
		if n.Name != onlyNIC && !strings.EqualFold(n.MAC, mac) {
			continue
		}
		for _, s := range append([]string{n.IP}, n.IPs...) {
			if a, err := netip.ParseAddr(s); err == nil && !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
	}
	return all
}
