package avro

import (
	"encoding/json"
	"net/netip"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// Records as the store holds them when an event is written. The values are the
// product's reference requests.

var accepted = time.Date(2025, 8, 30, 10, 30, 0, 123456789, time.UTC)

const decidedAfter = 45789 * time.Millisecond

// machineRecord is the creation of the reference machine, with every field set.
func machineRecord() application.Record {
	messageID := domain.MessageID("acme", "req-abc123")
	spec := domain.Specification{Machine: &domain.MachineSpec{
		Cores: 4, Memory: 8 * domain.GiB, Disk: 100 * domain.GiB, DiskType: domain.SSD,
		Network: domain.Attachment{Mode: domain.ModeVLAN, Name: "vlan-100", VLAN: 100}, Image: domain.DefaultImage,
		SSHKeys: []string{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ user-789@laptop"}, UserData: "#cloud-config\npackages: [nginx]\n",
		SecurityGroups: []string{"default", "web"},
	}}
	return application.Record{
		Request: domain.Request{
			Tenant: "acme", ID: "req-abc123", MessageID: messageID, Type: domain.CreateMachine, User: "user-789",
			CorrelationID: "corr-456", CausationID: "order-7", Priority: domain.High, Transport: "JSON",
			TraceParent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
			Labels:      domain.Labels{"team": "billing", "env": "größe"}, Spec: spec,
			ResourceUID: domain.ResourceUID(messageID), From: domain.Absent, To: domain.Running,
			Estimate: 30 * time.Second, Cost: 45000, Status: domain.Processing, Goal: domain.ToTarget, AcceptedAt: accepted,
		},
		Resource: domain.Resource{
			UID: domain.ResourceUID(messageID), VirtualID: "VM-0909A693", DisplayID: "VM-KBNT-20250830-001", Tenant: "acme", Owner: "user-789",
			ClientName: "vm-12345", Kind: domain.Machine, CreatedBy: messageID, Spec: spec, State: domain.Provisioning, Live: true, Cost: 45000,
		},
		Steps: []domain.Step{
			domain.NewStep(domain.RequestReceived, accepted, 0, nil),
			domain.NewStep(domain.DomainValidated, accepted.Add(time.Millisecond), time.Millisecond, nil),
			domain.NewStep(domain.UseCaseProcessed, accepted.Add(45*time.Millisecond), 44*time.Millisecond, nil),
		},
	}
}

// decided is the record after provision wrote the outcome, with what a driver
// observes of a ready machine if something is left of the resource.
func decided(r application.Record, o domain.Outcome, reason string, left bool) application.Record {
	at := accepted.Add(decidedAfter)
	r.Request.Decided, r.Request.Reason, r.Request.DecidedAt = o, reason, at
	r.Resource.Live = left
	if left && r.Resource.Kind == domain.Machine {
		r.Resource.State = domain.Running
		r.Resource.Facts = domain.Facts{
			Driver: "simulated", Host: "sim-1", Address: "10.10.1.45/24",
			Endpoints: map[string]string{"ssh": "10.10.1.45:22", "http": "10.10.1.45:80", "management": "https://vm-001.kbnt.local"},
			Baselines: map[string]float64{"cpu_ratio": 0.02, "memory_bytes": 1288490188, "disk_iops": 150},
			Checks: []domain.HealthCheck{
				{Name: domain.CheckHypervisor, Passed: true, Detail: "running", Simulated: true},
				{Name: domain.CheckDisk, Passed: true, Simulated: true}, {Name: domain.CheckAddress, Passed: true, Simulated: true},
				{Name: domain.CheckSSH, Passed: true, Simulated: true}, {Name: domain.CheckGuest, Passed: false, Simulated: true},
			},
			Timings: domain.Timings{Provisioning: 18500 * time.Millisecond, Boot: 27 * time.Second, Startup: 12 * time.Second},
		}
	}
	status := domain.StepSuccess
	if o != domain.Completed {
		status = domain.StepCompensated
	}
	r.Steps = append(r.Steps,
		domain.Step{Name: domain.MessageConsumed, At: accepted.Add(time.Second), Status: domain.StepSuccess},
		domain.Step{Name: domain.InPlan("volume-created"), At: accepted.Add(2 * time.Second), Status: status, Detail: json.RawMessage(`{"n":1}`)},
		domain.Step{Name: domain.ResourceProvisioned, At: at, Status: status},
	)
	return r
}

func volumeRecord() application.Record {
	messageID := domain.MessageID("acme", "req-abc124")
	spec := domain.Specification{Volume: &domain.VolumeSpec{Size: 500 * domain.GiB, Type: domain.SSD, IOPS: 3000}}
	return application.Record{
		Request: domain.Request{
			Tenant: "acme", ID: "req-abc124", MessageID: messageID, Type: domain.AllocateStorage, User: "user-789",
			CorrelationID: "corr-457", Priority: domain.Normal, Spec: spec, From: domain.Absent, To: domain.Allocated, AcceptedAt: accepted,
		},
		Resource: domain.Resource{
			VirtualID: "STOR-64DE90EF", Tenant: "acme", Owner: "user-789", Kind: domain.Volume, CreatedBy: messageID, Spec: spec, Live: true, Cost: 71000,
		},
	}
}

func networkRecord() application.Record {
	messageID := domain.MessageID("acme", "req-abc125")
	spec := domain.Specification{Network: &domain.NetworkSpec{
		Subnet: netip.MustParsePrefix("10.0.1.0/24"), VLAN: 200, Gateway: netip.MustParseAddr("10.0.1.1"),
	}}
	return application.Record{
		Request: domain.Request{
			Tenant: "acme", ID: "req-abc125", MessageID: messageID, Type: domain.CreateNetwork, User: "user-789",
			CorrelationID: "corr-458", Priority: domain.Low, Spec: spec, From: domain.Absent, To: domain.Active, AcceptedAt: accepted,
		},
		Resource: domain.Resource{
			VirtualID: "NET-7AE8FF2D", Tenant: "acme", Owner: "user-789", Kind: domain.Network, CreatedBy: messageID, Spec: spec, Live: true, Cost: 1000,
		},
	}
}

// stopRecord works on the reference machine, which another request created.
func stopRecord() application.Record {
	r := machineRecord()
	created := r.Resource.CreatedBy
	r.Request.ID, r.Request.MessageID = "req-stop", domain.MessageID("acme", "req-stop")
	r.Request.Type, r.Request.Spec, r.Request.From, r.Request.To = domain.StopMachine, domain.Specification{}, domain.Running, domain.Stopped
	r.Request.CausationID, r.Request.TraceParent, r.Request.Labels = "", "", nil
	r.Resource.CreatedBy = created
	return r
}
