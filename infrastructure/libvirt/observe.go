package libvirt

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	rpc "github.com/digitalocean/go-libvirt"

	"kbnt.dev/virtualization/domain"
)

// soon is when looking again at a machine that is being started makes sense.
const soon = 500 * time.Millisecond

func (h *Hypervisor) observeMachine(ctx context.Context, s *session, key domain.Key) (domain.Observation, error) {
	gone := domain.Observation{Key: key, Phase: domain.ThingAbsent}
	m, found, err := s.machine(key)
	switch {
	case err != nil || !found:
		return gone, err
	case !m.ours:
		gone.Reason = "Foreign"
		return gone, nil
	}
	now, err := s.power(m)
	if is(err, rpc.ErrNoDomain) {
		return gone, nil
	}
	if err != nil {
		return gone, err
	}
	o := h.seenMachine(s.host, key, m, now)
	if examinable(o) {
		h.examine(ctx, s, &o, m, now)
	}
	return o, nil
}

// seenMachine is what libvirt says of a machine. Whether one that runs is Ready only its
// guest can say.
func (h *Hypervisor) seenMachine(host Host, key domain.Key, m machine, now power) domain.Observation {
	o := domain.Observation{
		Key: key, Phase: domain.ThingStopped, Reason: stateNames[now.state], ProviderID: key.UUID(), SpecHash: m.record.Hash, Host: host.Name,
		CreatedAt: m.record.Created, PoweredAt: moment(m.record.Powered),
	}
	switch {
	case now.crashed() && m.record.Off == "": // of one that was to go off, how does not matter
		o.Phase, o.Reason, o.Message = domain.ThingFailed, "Crashed", "the guest or its emulator crashed"
	case now.on():
		o.Phase, o.RetryAfter = domain.ThingStarting, soon
		if m.record.Off != "" {
			o.Reason, o.Message = shuttingDown, "the guest was asked to shut down and may still do it"
		}
	default:
		o.PoweredAt = time.Time{}
	}
	return o
}

// examinable reports whether looking at the guest can show that it is ready. One that was asked to
// shut down is not, however well it answers: it may go off at any moment.
func examinable(o domain.Observation) bool {
	return o.Phase == domain.ThingStarting && o.Reason != shuttingDown
}

// examine makes the five health checks of a machine that is on. One that passes
// them all is Ready.
func (h *Hypervisor) examine(ctx context.Context, s *session, o *domain.Observation, m machine, now power) {
	entry := h.options.Images[m.record.Image] // one that left the catalogue is asked for ssh
	guest := h.ask(ctx, m.record.Address, entry)
	check := func(name string, err error, detail string) {
		c := domain.HealthCheck{Name: name, Passed: err == nil, Detail: detail}
		if err != nil {
			c.Detail = err.Error()
		}
		o.Checks = append(o.Checks, c)
	}
	state := error(nil)
	if now.state != rpc.DomainRunning && now.state != rpc.DomainBlocked {
		state = fmt.Errorf("it is %s", stateNames[now.state])
	}
	check(domain.CheckHypervisor, state, "running on "+s.host.Name)
	size, err := s.attached(m)
	check(domain.CheckDisk, err, fmt.Sprintf("root volume of %s", size))
	leased := s.leased(m, entry)
	how, err := assigned(m.record.Address, leased, guest)
	check(domain.CheckAddress, err, how)
	check(domain.CheckSSH, guest.ssh, guest.sshAt)
	if entry.Agent {
		check(domain.CheckGuest, s.agent(m), "the guest agent answers")
	} else {
		check(domain.CheckGuest, guest.service, guest.serviceAt)
	}
	if err == nil {
		o.Addresses = []netip.Addr{m.record.Address}
	}
	for _, a := range leased {
		if !slices.Contains(o.Addresses, a) {
			o.Addresses = append(o.Addresses, a)
		}
	}
	if slices.ContainsFunc(o.Checks, func(c domain.HealthCheck) bool { return !c.Passed }) {
		return
	}
	// Nothing remembers when the guest was ready first: it was so by now.
	o.Phase, o.RetryAfter, o.ReadyAt, o.Ports = domain.ThingReady, 0, h.options.Now().UTC().Round(0), portsOf(entry)
	o.Baselines = s.baselines(m)
}

// attached asks for the size of the root volume of a domain that runs.
func (s *session) attached(m machine) (domain.MiB, error) {
	if m.xml.Devices == nil || len(m.xml.Devices.Disks) == 0 {
		return 0, fmt.Errorf("it has no disk")
	}
	var size uint64
	err := s.look("size of disk", func() (err error) {
		_, size, _, err = s.rpc.DomainGetBlockInfo(m.Domain, rootDisk, 0)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("the root volume is not attached")
	}
	return domain.MiB(size >> 20), nil
}

// leased is what the host, or the agent in the guest, says of the machine's addresses.
func (s *session) leased(m machine, entry Image) []netip.Addr {
	const byLease, byAgent = 0, 1 // VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_*
	sources := []uint32{byLease}
	if entry.Agent {
		sources = append(sources, byAgent)
	}
	var all []netip.Addr
	for _, source := range sources {
		var cards []rpc.DomainInterface
		err := s.look("addresses of machine", func() (err error) {
			cards, err = s.rpc.DomainInterfaceAddresses(m.Domain, source, 0)
			return err
		})
		if err != nil {
			continue // a driver without leases, or an agent that is not there yet
		}
		for _, card := range cards {
			for _, a := range card.Addrs {
				if ip, err := netip.ParseAddr(a.Addr); err == nil && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() && !slices.Contains(all, ip) {
					all = append(all, ip)
				}
			}
		}
	}
	return all
}

// assigned says how it is known that the guest has its address.
func assigned(address netip.Addr, leased []netip.Addr, guest guest) (string, error) {
	switch {
	case slices.Contains(leased, address):
		return address.String(), nil
	case guest.ssh == nil:
		return address.String() + " answers", nil
	}
	return "", fmt.Errorf("%s is not in use yet", address)
}

// agent asks the agent in the guest whether it is there.
func (s *session) agent(m machine) error {
	err := s.look("ask agent", func() error {
		_, err := s.rpc.QEMUDomainAgentCommand(m.Domain, `{"execute":"guest-ping"}`, 1, 0)
		return err
	})
	if err != nil {
		return fmt.Errorf("the guest agent does not answer")
	}
	return nil
}

// baselines are what the guest takes of its host when it is ready. A driver
// that does not measure gives none.
func (s *session) baselines(m machine) map[string]float64 {
	const resident = 7 // VIR_DOMAIN_MEMORY_STAT_RSS, in KiB
	all := map[string]float64{}
	_ = s.look("memory of machine", func() error {
		stats, err := s.rpc.DomainMemoryStats(m.Domain, 16, 0)
		for _, stat := range stats {
			if stat.Tag == resident {
				all["memory_bytes"] = float64(stat.Val << 10)
			}
		}
		return err
	})
	if len(all) == 0 {
		return nil
	}
	return all
}
