package provision

import (
	"context"
	"encoding/json"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/eventing"
)

// hint has the machine looked at that an ApiServerSource saw change. However the
// look ends, the hint has done what it can: it is never redelivered, and what is
// not about a machine of ours is passed over.
func (f *Function) hint(ctx context.Context, e application.Event) {
	tenant, virtualID := machineOf(e.Data)
	if virtualID == "" {
		f.ports.Log.DebugContext(ctx, "a hint about nothing of ours", "eventId", e.ID, "type", e.Type, "subject", e.Subject)
		return
	}
	if err := f.ports.Provision.Hint(ctx, tenant, virtualID); err != nil {
		f.ports.Log.DebugContext(ctx, "a hint changed nothing", "eventId", e.ID, "virtualResourceId", virtualID, "error", err)
	}
}

// machineOf reads whose machine a Kubernetes object is part of, from its labels
// or, as not every tenant's name is a label's value, from its annotations.
// Nothing else of the object matters: it is old when it arrives.
func machineOf(object []byte) (tenant, virtualID string) {
	var o struct {
		Metadata struct {
			Labels      map[string]string `json:"labels"`
			Annotations map[string]string `json:"annotations"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(object, &o); err != nil {
		return "", ""
	}
	read := func(key string) string {
		if v := o.Metadata.Labels[key]; v != "" {
			return v
		}
		return o.Metadata.Annotations[key]
	}
	return read(eventing.KeyTenant), read(eventing.KeyVirtualID)
}
