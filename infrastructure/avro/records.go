package avro

import (
	"maps"
	"math"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
)

// The Go shapes of the Avro schemas; the fields are explained there. Those with
// JSON names are part of public events too.

type message struct {
	MessageID              string         `avro:"messageId"`
	MessageType            string         `avro:"messageType"`
	CorrelationID          string         `avro:"correlationId"`
	Timestamp              time.Time      `avro:"timestamp"`
	VirtualResourceID      string         `avro:"virtualResourceId"`
	ResourceType           string         `avro:"resourceType"`
	Specification          any            `avro:"specification"`
	EstimatedProvisionTime int64          `avro:"estimatedProvisionTime"`
	Metadata               metadata       `avro:"metadata"`
	ProcessingHistory      []historyEntry `avro:"processingHistory"`
	Domain                 string         `avro:"domain"`
}

type result struct {
	ResultID          string             `avro:"resultId"`
	MessageID         string             `avro:"messageId"`
	CorrelationID     string             `avro:"correlationId"`
	Timestamp         time.Time          `avro:"timestamp"`
	MessageType       string             `avro:"messageType"`
	Outcome           string             `avro:"outcome"`
	Reason            *string            `avro:"reason"`
	VirtualResourceID string             `avro:"virtualResourceId"`
	ResourceType      string             `avro:"resourceType"`
	VMID              *string            `avro:"vmId"`
	ResourceID        *string            `avro:"resourceId"`
	Metadata          metadata           `avro:"metadata"`
	Specification     any                `avro:"specification"`
	Host              string             `avro:"host"`
	Address           *string            `avro:"address"`
	Driver            string             `avro:"driver"`
	Endpoints         map[string]string  `avro:"endpoints"`
	Baselines         map[string]float64 `avro:"baselines"`
	Timings           timings            `avro:"timings"`
	HealthChecks      []healthCheck      `avro:"healthChecks"`
	ProcessingHistory []historyEntry     `avro:"processingHistory"`
	Domain            string             `avro:"domain"`
}

type metadata struct {
	RequestID  string            `avro:"requestId"`
	UserID     string            `avro:"userId"`
	TenantID   string            `avro:"tenantId"`
	Priority   string            `avro:"priority"`
	ResourceID *string           `avro:"resourceId"`
	Labels     map[string]string `avro:"labels"`
}

type historyEntry struct {
	Service   string    `avro:"service"`
	Operation string    `avro:"operation"`
	Status    string    `avro:"status"`
	Timestamp time.Time `avro:"timestamp"`
}

type timings struct {
	ProvisioningMs *int64 `avro:"provisioningMs" json:"provisioningMs,omitempty"`
	BootMs         *int64 `avro:"bootMs" json:"bootMs,omitempty"`
	StartupMs      *int64 `avro:"startupMs" json:"startupMs,omitempty"`
}

type healthCheck struct {
	Name      string `avro:"name"`
	Status    string `avro:"status"`
	Detail    string `avro:"detail"`
	Simulated bool   `avro:"simulated"`
}

type machineSpec struct {
	CPU            int        `avro:"cpu"`
	MemoryMiB      int64      `avro:"memoryMiB"`
	DiskMiB        int64      `avro:"diskMiB"`
	DiskType       string     `avro:"diskType"`
	Network        attachment `avro:"network"`
	Image          string     `avro:"image"`
	SSHKeys        []string   `avro:"sshKeys"`
	UserData       string     `avro:"userData"`
	SecurityGroups []string   `avro:"securityGroups"`
}

type attachment struct {
	Mode string `avro:"mode" json:"mode"`
	Name string `avro:"name" json:"name,omitempty"`
	VLAN int    `avro:"vlan" json:"vlan,omitempty"`
}

type volumeSpec struct {
	SizeMiB int64  `avro:"sizeMiB" json:"sizeMiB"`
	Type    string `avro:"type" json:"type"`
	IOPS    int    `avro:"iops" json:"iops,omitempty"`
}

type networkSpec struct {
	Subnet  string `avro:"subnet" json:"subnet"`
	VLAN    int    `avro:"vlan" json:"vlan"`
	Gateway string `avro:"gateway" json:"gateway,omitempty"`
}

func messageOf(r application.Record, at time.Time) message {
	return message{
		MessageID: r.Request.MessageID, MessageType: string(r.Request.Type), CorrelationID: r.Request.CorrelationID, Timestamp: at,
		VirtualResourceID: r.Resource.VirtualID, ResourceType: string(r.Request.Type.Kind()),
		Specification: branch(r.Request.Spec), EstimatedProvisionTime: r.Request.Estimate.Milliseconds(),
		Metadata: metadataOf(r), ProcessingHistory: historyOf(r.Steps), Domain: eventing.Domain,
	}
}

// resultOf tells of the resource only what is left of it: nothing after a
// deletion, or after a creation that was undone.
func resultOf(r application.Record, at time.Time) result {
	res := result{
		ResultID: domain.ResultID(r.Request.MessageID), MessageID: r.Request.MessageID, CorrelationID: r.Request.CorrelationID, Timestamp: at,
		MessageType: string(r.Request.Type), Outcome: string(r.Request.Decided), Reason: reasonOf(r),
		VirtualResourceID: r.Resource.VirtualID, ResourceType: string(r.Request.Type.Kind()),
		VMID: optional(r.Resource.DisplayID), ResourceID: optional(r.Resource.ClientName),
		Metadata: metadataOf(r), ProcessingHistory: historyOf(r.Steps), Domain: eventing.Domain,
	}
	if r.Resource.Live {
		f := r.Resource.Facts
		res.Specification, res.Host, res.Address, res.Driver = branch(r.Resource.Spec), f.Host, optional(f.Address), f.Driver
		res.Endpoints, res.Baselines, res.Timings = f.Endpoints, finite(f.Baselines), timingsOf(f.Timings)
		for _, c := range f.Checks {
			status := "FAILED"
			if c.Passed {
				status = "PASSED"
			}
			res.HealthChecks = append(res.HealthChecks, healthCheck{c.Name, status, c.Detail, c.Simulated})
		}
	}
	return res
}

func metadataOf(r application.Record) metadata {
	return metadata{
		RequestID: r.Request.ID, UserID: r.Request.User, TenantID: r.Request.Tenant, Priority: string(r.Request.Priority),
		ResourceID: optional(r.Resource.ClientName), Labels: r.Request.Labels,
	}
}

// historyOf lists the steps under the names of the services that took them.
func historyOf(steps []domain.Step) []historyEntry {
	entries := make([]historyEntry, len(steps))
	for i, s := range steps {
		service := eventing.ServiceConsumer
		if s.Name.Position().Function == "intake" {
			service = eventing.ServiceProducer
		}
		entries[i] = historyEntry{service, string(s.Name), string(s.Status), stamp(s.At)}
	}
	return entries
}

// branch wraps a specification with the name of its branch of the union, so
// that the encoder need not guess; nil for none.
func branch(s domain.Specification) any {
	const space = "dev.kbnt.virtualization."
	switch v := specOf(s).(type) {
	case machineSpec:
		return map[string]any{space + "MachineSpecification": v}
	case volumeSpec:
		return map[string]any{space + "VolumeSpecification": v}
	case networkSpec:
		return map[string]any{space + "NetworkSpecification": v}
	}
	return nil
}

func specOf(s domain.Specification) any {
	switch {
	case s.Machine != nil:
		m := s.Machine
		return machineSpec{
			CPU: m.Cores, MemoryMiB: int64(m.Memory), DiskMiB: int64(m.Disk), DiskType: string(m.DiskType), Network: attachment(m.Network),
			Image: m.Image, SSHKeys: m.SSHKeys, UserData: m.UserData, SecurityGroups: m.SecurityGroups,
		}
	case s.Volume != nil:
		return volumeSpec{SizeMiB: int64(s.Volume.Size), Type: string(s.Volume.Type), IOPS: s.Volume.IOPS}
	case s.Network != nil:
		n := networkSpec{Subnet: s.Network.Subnet.String(), VLAN: s.Network.VLAN}
		if s.Network.Gateway.IsValid() {
			n.Gateway = s.Network.Gateway.String()
		}
		return n
	}
	return nil
}

// reasonOf is nil exactly when the request is COMPLETED.
func reasonOf(r application.Record) *string {
	if r.Request.Decided == domain.Completed {
		return nil
	}
	return &r.Request.Reason
}

func timingsOf(t domain.Timings) timings {
	return timings{ms(t.Provisioning), ms(t.Boot), ms(t.Startup)}
}

// ms is nil for a part that does not apply.
func ms(d time.Duration) *int64 {
	if d == 0 {
		return nil
	}
	n := d.Milliseconds()
	return &n
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// finite leaves out what a driver could not measure: JSON has no NaN, and one
// must not keep an outcome from being announced.
func finite(m map[string]float64) map[string]float64 {
	m = maps.Clone(m)
	maps.DeleteFunc(m, func(_ string, v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	return m
}
