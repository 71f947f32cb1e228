package avro

import (
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
)

// The Go shapes of the JSON schema VirtualizationEvent; the fields are explained
// there. What does not apply is left out, never null.

type publicEvent struct {
	EventID           string    `json:"eventId"`
	EventType         string    `json:"eventType"`
	OriginalMessageID string    `json:"originalMessageId"`
	CorrelationID     string    `json:"correlationId"`
	Service           string    `json:"service"`
	Timestamp         time.Time `json:"timestamp"`
	Version           string    `json:"version"`
	Payload           payload   `json:"payload"`
}

type payload struct {
	MessageType       string            `json:"messageType"`
	ResourceType      string            `json:"resourceType"`
	VMID              string            `json:"vmId,omitempty"`
	ResourceID        string            `json:"resourceId,omitempty"`
	VirtualResourceID string            `json:"virtualResourceId"`
	RequestID         string            `json:"requestId"`
	UserID            string            `json:"userId"`
	Status            string            `json:"status"`
	ResourceSpecs     any               `json:"resourceSpecs,omitempty"`
	Endpoints         map[string]string `json:"endpoints,omitempty"`
	Metrics           *metrics          `json:"metrics,omitempty"`
	Cost              *cost             `json:"cost,omitempty"`
	Reason            *string           `json:"reason,omitempty"`
}

type metrics struct {
	Baselines map[string]float64 `json:"baselines,omitempty"`
	Timings   timings            `json:"timings,omitzero"`
}

type cost struct {
	HourlyUSD float64 `json:"hourlyUsd"`
	Currency  string  `json:"currency"`
}

// publicMachine has neither SSH keys nor user data: those may hold secrets, and
// everybody reads this topic.
type publicMachine struct {
	CPU            int        `json:"cpu"`
	MemoryMiB      int64      `json:"memoryMiB"`
	DiskMiB        int64      `json:"diskMiB"`
	DiskType       string     `json:"diskType,omitempty"`
	Image          string     `json:"image,omitempty"`
	Network        attachment `json:"network"`
	Address        string     `json:"address,omitempty"`
	SecurityGroups []string   `json:"securityGroups,omitempty"`
}

// publicOf tells of the resource only what is left of it, as [resultOf] does.
func publicOf(r application.Record, end ending, version string, at time.Time) publicEvent {
	p := payload{
		MessageType: string(r.Request.Type), ResourceType: string(r.Request.Type.Kind()),
		VMID: r.Resource.DisplayID, ResourceID: r.Resource.ClientName, VirtualResourceID: r.Resource.VirtualID,
		RequestID: r.Request.ID, UserID: r.Request.User, Status: end.status, Reason: reasonOf(r),
	}
	if r.Resource.Live {
		f := r.Resource.Facts
		p.ResourceSpecs = publicSpec(r.Resource)
		p.Cost = &cost{HourlyUSD: r.Resource.Cost.USD(), Currency: domain.Currency}
		if r.Resource.State == domain.Stopped { // nothing answers, and nothing was measured
			f.Endpoints, f.Baselines, f.Timings = nil, nil, domain.Timings{}
		}
		p.Endpoints = f.Endpoints
		if m := (metrics{Baselines: finite(f.Baselines), Timings: timingsOf(f.Timings)}); len(m.Baselines) > 0 || m.Timings != (timings{}) {
			p.Metrics = &m
		}
	}
	return publicEvent{
		EventID: domain.TerminalID(r.Request.MessageID), EventType: end.eventType, OriginalMessageID: r.Request.MessageID,
		CorrelationID: r.Request.CorrelationID, Service: eventing.ServiceConsumer, Timestamp: at, Version: version, Payload: p,
	}
}

func publicSpec(r domain.Resource) any {
	spec := specOf(r.Spec)
	if m, ok := spec.(machineSpec); ok {
		return publicMachine{m.CPU, m.MemoryMiB, m.DiskMiB, m.DiskType, m.Image, m.Network, r.Facts.Address, m.SecurityGroups}
	}
	return spec
}
