package kubevirt

import (
	"context"
	"encoding/json"
	"strings"

	"kbnt.dev/virtualization/domain"
)

// attachment is a NetworkAttachmentDefinition. It has no status: one that exists is usable.
type attachment struct {
	Meta meta `json:"metadata"`
}

// bridge is the configuration of the CNI plugin "bridge", one per VLAN.
type bridge struct {
	Version     string   `json:"cniVersion"`
	Name        string   `json:"name"`
	Type        string   `json:"type"`
	Bridge      string   `json:"bridge"`
	VLAN        int      `json:"vlan"`
	KeepDefault bool     `json:"preserveDefaultVlan"` // false: the port carries this VLAN alone
	SpoofCheck  bool     `json:"macspoofchk"`         // a guest sends from its own MAC only
	IPAM        struct{} `json:"ipam"`                // addresses are ours, by cloud-init
}

func (h *Hypervisor) ensureNetwork(ctx context.Context, want domain.Desired) (domain.Observation, error) {
	var have attachment
	found, err := h.get(ctx, networks(), h.namespace, want.Key.Name(), &have)
	if err != nil {
		return domain.Observation{}, err
	}
	if found {
		return h.seeNetwork(want.Key, have), h.adopt(have.Meta, want)
	}
	config, err := json.Marshal(bridge{Version: "0.3.1", Name: want.Key.Name(), Type: "bridge", Bridge: h.bridge, VLAN: want.Spec.Network.VLAN, SpoofCheck: true})
	if err != nil {
		return domain.Observation{}, err
	}
	err = h.create(ctx, networks(), object{Meta: h.metaOf(want), Spec: map[string]string{"config": string(config)}}, &have)
	return h.seeNetwork(want.Key, have), err
}

func (h *Hypervisor) seeNetwork(key domain.Key, a attachment) domain.Observation {
	o := observed(key, a.Meta)
	o.Phase = domain.ThingReady
	if a.Meta.Deleting != nil {
		o.Phase = domain.ThingDeleting
	}
	return o
}

// segment finds the NetworkAttachmentDefinition of a machine's network.
func (h *Hypervisor) segment(want domain.Desired) (namespace, name string) {
	name = want.Network
	if mapped, ok := h.segments[name]; ok {
		name = mapped
	}
	if namespace, name, ok := strings.Cut(name, "/"); ok {
		return namespace, name
	}
	return h.namespace, name
}

// tenantNetwork is how names of our networks begin.
const tenantNetwork = "kbnt-" + string(domain.ThingNetwork) + "-"

// needsNetwork returns nil when a machine's network exists. NotFound: it does not, or
// goes; one with the name of ours must be ours.
func (h *Hypervisor) needsNetwork(ctx context.Context, want domain.Desired) error {
	namespace, name := h.segment(want)
	if !subdomain().MatchString(name) {
		return missing("network")
	}
	var have attachment
	found, err := h.get(ctx, networks(), namespace, name, &have)
	switch {
	case err != nil:
		return err
	case !found || have.Meta.Deleting != nil:
		return missing("network")
	case strings.HasPrefix(want.Network, tenantNetwork):
		if key, ok := h.keyOf(have.Meta); !ok || key.Name() != want.Network {
			return missing("network")
		}
	}
	return nil
}
