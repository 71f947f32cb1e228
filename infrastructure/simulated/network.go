package simulated

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"kbnt.dev/virtualization/domain"
)

// tenantNetwork is how the name of a tenant's network thing begins. Other names
// are segments of the operator, which exist by definition.
const tenantNetwork = "kbnt-" + string(domain.ThingNetwork) + "-"

// network reads the document of a tenant's network by its name. Names that are
// none of ours are of no thing.
func (h *Hypervisor) network(ctx context.Context, name string) (thing, error) {
	number, resource, ok := strings.Cut(strings.TrimPrefix(name, tenantNetwork), "-")
	item, err := strconv.Atoi(number)
	if !ok || err != nil {
		return thing{}, nil
	}
	t, _, err := h.thing(ctx, domain.Key{Resource: resource, Kind: domain.ThingNetwork, Item: item})
	return t, err
}

// claimNetwork holds the VLAN, of which there is one for all, and the subnet,
// which must not overlap another of the same tenant.
func (h *Hypervisor) claimNetwork(ctx context.Context, want domain.Desired) error {
	spec := want.Spec.Network
	mine := line{Name: want.Key.Name(), Tenant: want.Tenant, VLAN: spec.VLAN, Subnet: spec.Subnet.String()}
	return h.hold(ctx, networksLedger, mine, func(others []line) error {
		for _, x := range others {
			if x.VLAN == spec.VLAN {
				if !x.Until.IsZero() {
					return busy("vlan-busy", "VLAN %d is being given back", spec.VLAN)
				}
				return taken("vlan-taken", "VLAN %d is taken by another network", spec.VLAN)
			}
			subnet, err := netip.ParsePrefix(x.Subnet)
			if err == nil && x.Tenant == want.Tenant && x.Until.IsZero() && subnet.Overlaps(spec.Subnet) {
				return taken("subnet-overlap", "%s overlaps %s", spec.Subnet, subnet)
			}
		}
		return nil
	})
}

// address is the document of one address on one network. It stays when the
// address is given back, which takes effect only later, when nobody comes by to
// delete it. There are no more of them than addresses; those of a tenant's network
// go with the network.
type address struct {
	Holder string    `json:"holder,omitempty"` // domain.Key.Name of the machine
	Until  time.Time `json:"until,omitzero"`   // given back, and free from then on
}

func addressDocument(network string, a netip.Addr) string {
	return "sim/address/" + network + "/" + a.String()
}

// claimAddress makes a machine the holder of an address.
func (h *Hypervisor) claimAddress(ctx context.Context, document, holder string) error {
	return retry(ctx, func() error {
		var a address
		generation, err := h.read(ctx, document, &a)
		if err != nil {
			return err
		}
		given := !a.Until.IsZero()
		switch {
		case a.Holder == holder && !given:
			return nil
		case a.Holder != "" && a.Holder != holder && !given:
			return taken("address-taken", "the address is taken by another machine")
		case a.Holder != "" && a.Holder != holder && h.now().Before(a.Until):
			return busy("address-busy", "the address is being given back")
		}
		return h.write(ctx, document, address{Holder: holder}, generation)
	})
}

// releaseAddress gives an address back as of a time, if that machine holds it.
func (h *Hypervisor) releaseAddress(ctx context.Context, document, holder string, until time.Time) error {
	if document == "" {
		return nil
	}
	return retry(ctx, func() error {
		var a address
		generation, err := h.read(ctx, document, &a)
		if err != nil || a.Holder != holder {
			return err
		}
		return h.write(ctx, document, address{Holder: holder, Until: until}, generation)
	})
}

// forgetAddresses deletes the documents of all addresses of a tenant's network
// that goes. No network has that name again.
func (h *Hypervisor) forgetAddresses(ctx context.Context, network string) error {
	if !strings.HasPrefix(network, tenantNetwork) {
		return nil
	}
	names, err := h.documents.Names(ctx, "sim/address/"+network+"/")
	if err != nil {
		return unanswered(ctx, err)
	}
	for _, name := range names {
		err := retry(ctx, func() error {
			var a address
			generation, err := h.read(ctx, name, &a)
			if err != nil || generation == 0 {
				return err
			}
			return h.write(ctx, name, nil, generation)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func taken(code, format string, args ...any) error {
	return &domain.Error{Kind: domain.Conflict, Code: code, Detail: fmt.Sprintf(format, args...)}
}

func busy(code, format string, args ...any) error {
	return &domain.Error{Kind: domain.Unavailable, Code: code, Detail: fmt.Sprintf(format, args...)}
}
