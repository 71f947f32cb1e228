package applicationtest

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"sync"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

type guard struct{ mu sync.Mutex }

// Hypervisor makes everything at once, unless a test says otherwise. It is not
// one of the product's drivers: it knows no rule and no capacity, so that a test
// can do to it what a driver would never allow.
type Hypervisor struct {
	guard
	things map[domain.Key]domain.ThingPhase
	late   []func() // calls whose client gave up and that have not landed yet

	// Before is called with the operation ("ensure", "off", "delete", "observe")
	// before it takes effect. An error that it returns is the answer: errLate
	// loses the answer and lets the call land later, any other prevents the
	// effect. It may do what a test wants to happen meanwhile.
	Before func(op string, k domain.Key) error

	// Wait is how many looks at a new thing find it under way.
	Wait int

	Made, Offs int                   // things made, machines that were on switched off
	Filled     map[domain.Key]string // images of the volumes that were wanted
}

var _ application.Hypervisor = (*Hypervisor)(nil)

// errLate: the client hears nothing, and the call takes effect when it lands.
var errLate = errors.New("no answer")

// NewHypervisor returns one without things.
func NewHypervisor() *Hypervisor {
	return &Hypervisor{things: map[domain.Key]domain.ThingPhase{}, Filled: map[domain.Key]string{}}
}

// Has reports whether anything of a resource exists.
func (h *Hypervisor) Has(uid string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for k := range h.things {
		if k.Resource == uid {
			return true
		}
	}
	return false
}

// Land lets the calls without an answer take effect.
func (h *Hypervisor) Land() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, effect := range h.late {
		effect()
	}
	h.late = nil
}

func (h *Hypervisor) act(op string, k domain.Key, effect func()) error {
	h.mu.Lock()
	before := h.Before
	h.mu.Unlock()
	var err error
	if before != nil {
		err = before(op, k)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case errors.Is(err, errLate):
		h.late = append(h.late, effect)
		return &domain.Error{Op: op, Kind: domain.Unavailable, Code: "no-answer", Err: err}
	case err != nil:
		return err
	}
	effect()
	return nil
}

// Capabilities implements the port: it places by itself.
func (h *Hypervisor) Capabilities(context.Context) (application.Capabilities, error) {
	return application.Capabilities{Driver: "test", Simulated: true}, nil
}

// Ensure implements the port.
func (h *Hypervisor) Ensure(_ context.Context, want domain.Desired) (domain.Observation, error) {
	op, phase := "ensure", domain.ThingReady
	if want.Key.Kind == domain.ThingMachine && !want.On {
		op, phase = "off", domain.ThingStopped
	}
	err := h.act(op, want.Key, func() {
		was, exists := h.things[want.Key]
		if !exists {
			h.Made++
		}
		if want.Key.Kind == domain.ThingVolume {
			h.Filled[want.Key] = want.Image
		}
		if phase == domain.ThingStopped && was != domain.ThingStopped {
			h.Offs++
		}
		h.things[want.Key] = phase
	})
	if err != nil {
		return domain.Observation{}, err
	}
	return h.seen(want.Key), nil
}

// Observe implements the port.
func (h *Hypervisor) Observe(_ context.Context, k domain.Key) (domain.Observation, error) {
	if err := h.act("observe", k, func() {}); err != nil {
		return domain.Observation{}, err
	}
	return h.seen(k), nil
}

// Delete implements the port.
func (h *Hypervisor) Delete(_ context.Context, k domain.Key) (domain.Observation, error) {
	if err := h.act("delete", k, func() { delete(h.things, k) }); err != nil {
		return domain.Observation{}, err
	}
	return h.seen(k), nil
}

// List implements the port.
func (h *Hypervisor) List(context.Context) iter.Seq2[domain.Observation, error] {
	h.mu.Lock()
	var keys []domain.Key
	for k := range h.things {
		keys = append(keys, k)
	}
	h.mu.Unlock()
	return func(yield func(domain.Observation, error) bool) {
		for _, k := range keys {
			if !yield(h.seen(k), nil) {
				return
			}
		}
	}
}

func (h *Hypervisor) seen(k domain.Key) domain.Observation {
	h.mu.Lock()
	defer h.mu.Unlock()
	phase, ok := h.things[k]
	switch {
	case !ok:
		return domain.Observation{Key: k, Phase: domain.ThingAbsent}
	case phase == domain.ThingReady && k.Kind == domain.ThingMachine && h.Wait > 0:
		h.Wait--
		return domain.Observation{Key: k, Phase: domain.ThingStarting}
	}
	return domain.Observation{Key: k, Phase: phase, ProviderID: k.UUID(), CreatedAt: time.Unix(0, 0),
		Addresses: []netip.Addr{netip.MustParseAddr("198.18.100.2")}, Ports: map[string]int{"ssh": 22}}
}
