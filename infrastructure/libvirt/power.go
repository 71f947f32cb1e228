package libvirt

import (
	"fmt"

	rpc "github.com/digitalocean/go-libvirt"
)

// power is what libvirt says of a domain: its state, and the reason in numbers of
// that state.
type power struct {
	state  rpc.DomainState
	reason int32
}

// nothing is the power of what is not there.
var nothing = power{state: rpc.DomainShutoff}

func (p power) on() bool {
	switch p.state {
	case rpc.DomainShutoff, rpc.DomainCrashed, rpc.DomainNostate:
		return false
	}
	return true
}

// crashed: it went off by itself and not because anybody wanted it to.
func (p power) crashed() bool {
	return p.state == rpc.DomainCrashed || p.state == rpc.DomainShutoff && p.reason == int32(rpc.DomainShutoffCrashed)
}

// shuttingDown is the reason of a machine that is on and was asked to go off.
const shuttingDown = "ShuttingDown"

var stateNames = map[rpc.DomainState]string{
	rpc.DomainNostate: "NoState", rpc.DomainRunning: "Running", rpc.DomainBlocked: "Blocked", rpc.DomainPaused: "Paused",
	rpc.DomainShutdown: shuttingDown, rpc.DomainShutoff: "ShutOff", rpc.DomainCrashed: "Crashed", rpc.DomainPmsuspended: "Suspended",
}

func (s *session) power(m machine) (p power, err error) {
	err = s.look("state of machine", func() error {
		state, reason, err := s.rpc.DomainGetState(m.Domain, 0)
		p = power{rpc.DomainState(state), reason}
		return err
	})
	return p, err
}

// switchOn starts a machine, now and whenever its host starts. That it was prepared,
// and when, is noted before: the guest may be reached sooner than this returns.
func (h *Hypervisor) switchOn(s *session, m *machine) error {
	m.record.Powered, m.record.Off = stamp(h.options.Now()), ""
	if err := s.note(m); err != nil {
		return err
	}
	if err := s.withHost(m, 1); err != nil {
		return err
	}
	err := s.change("start machine", func() error { return s.rpc.DomainCreate(m.Domain) })
	if refusedByHost(err) {
		if now, lookErr := s.power(*m); lookErr == nil && now.on() {
			return nil // another caller was faster
		}
	}
	return err
}

// switchOff asks the guest to shut down, and cuts the power of one that did not in
// the time it was given. It does not wait: the time is up at a later call.
func (h *Hypervisor) switchOff(s *session, m *machine) error {
	if err := s.withHost(m, 0); err != nil {
		return err
	}
	asked := moment(m.record.Off)
	if h.options.PowerOff < 0 || !asked.IsZero() && h.options.Now().Sub(asked) >= h.options.PowerOff {
		return s.cut(*m)
	}
	if asked.IsZero() {
		m.record.Off = stamp(h.options.Now())
		if err := s.note(m); err != nil {
			return err
		}
	}
	err := s.change("shut machine down", func() error { return s.rpc.DomainShutdown(m.Domain) })
	if refusedByHost(err) {
		if now, lookErr := s.power(*m); lookErr == nil && !now.on() {
			return nil
		}
	}
	return err
}

// stayOff notes of a machine that went off by itself that it is to be off now: it does not start
// with its host, and that it crashed is nobody's trouble. What an emulator that crashed left behind is cut.
func (h *Hypervisor) stayOff(s *session, m *machine, was power) error {
	if err := s.withHost(m, 0); err != nil {
		return err
	}
	if was.state == rpc.DomainCrashed {
		if err := s.cut(*m); err != nil {
			return err
		}
	}
	m.record.Off = stamp(h.options.Now())
	return s.note(m)
}

// takeBack keeps a machine on that was asked to shut down. A guest that was asked cannot be told
// otherwise, so until the time it was given is over nothing is done: if it goes off, a later call
// starts it. If it is on after that, it did not obey, and the question is forgotten.
func (h *Hypervisor) takeBack(s *session, m *machine) error {
	if h.options.Now().Sub(moment(m.record.Off)) < h.options.PowerOff {
		return nil
	}
	if err := s.withHost(m, 1); err != nil {
		return err
	}
	m.record.Off = ""
	return s.note(m)
}

// cut cuts the power. A machine that is off, or gone, is success.
func (s *session) cut(m machine) error {
	err := s.change("cut power", func() error { return s.rpc.DomainDestroy(m.Domain) })
	if is(err, rpc.ErrNoDomain) {
		return nil
	}
	if refusedByHost(err) {
		now, lookErr := s.power(m)
		if is(lookErr, rpc.ErrNoDomain) || lookErr == nil && !now.on() {
			return nil
		}
	}
	return err
}

// withHost says whether a machine starts with its host.
func (s *session) withHost(m *machine, on int32) error {
	return s.change("start machine with its host", func() error { return s.rpc.DomainSetAutostart(m.Domain, on) })
}

// note writes the record of a machine anew.
func (s *session) note(m *machine) error {
	document, err := m.record.bare()
	if err != nil {
		return err
	}
	flags := rpc.DomainAffectConfig
	now, err := s.power(*m)
	if err != nil {
		return err
	}
	if now.on() {
		flags |= rpc.DomainAffectLive
	}
	const element = 2 // VIR_DOMAIN_METADATA_ELEMENT
	err = s.change("note state of machine", func() error {
		return s.rpc.DomainSetMetadata(m.Domain, element, rpc.OptString{document}, rpc.OptString{"kbnt"}, rpc.OptString{namespace}, flags)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", m.record.Name, err)
	}
	return nil
}
