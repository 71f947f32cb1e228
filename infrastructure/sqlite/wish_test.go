package sqlite_test

import (
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/sqlite"
)

// admitting admits a request for a machine.
func admitting(t testing.TB, s *sqlite.Store, tenant, id string) error {
	message := domain.MessageID(tenant, id)
	uid := domain.ResourceUID(message)
	spec := domain.Specification{Machine: &domain.MachineSpec{Cores: 4, Memory: 8 * domain.GiB, Disk: 100 * domain.GiB, DiskType: domain.SSD,
		Network: domain.Attachment{Mode: domain.ModeBridged}, Image: domain.DefaultImage}}
	scope := application.AdmitScope{Tenant: tenant, RequestID: id, Kind: domain.Machine, Priority: domain.Normal,
		VirtualID: domain.VirtualID(domain.Machine, tenant, id, 8)}
	return s.Admit(t.Context(), scope, func(y *application.Tenancy) error {
		now := y.Now
		y.Admitted = &application.Admission{
			Request: &domain.Request{Tenant: tenant, ID: id, MessageID: message, Type: domain.CreateMachine, User: "ada", Priority: domain.Normal,
				Spec: spec, ResourceUID: uid, From: domain.Absent, To: domain.Running, Goal: domain.ToTarget, Status: domain.Processing,
				Phase: domain.PhaseValidated, AcceptedAt: now, TouchedAt: now, DeadlineAt: now.Add(10 * time.Minute), Cost: 45_000},
			Resource: &domain.Resource{UID: uid, VirtualID: domain.VirtualID(domain.Machine, tenant, id, 16), Tenant: tenant, Owner: "ada", Kind: domain.Machine,
				CreatedBy: message, Spec: spec, State: domain.Provisioning, Live: true, Cost: 45_000, Busy: message, CreatedAt: now, UpdatedAt: now},
			New:   true,
			Steps: []domain.Step{domain.NewStep(domain.RequestReceived, now, 0, nil), domain.NewStep(domain.DomainValidated, now, 0, nil), domain.NewStep(domain.UseCaseProcessed, now, 0, nil)},
			Event: application.Event{ID: domain.RequestedID(message), Type: "requested", Source: "/bench", Topic: "requests", Data: make([]byte, 800),
				Extensions: map[string]string{"partitionkey": message, "tenantid": tenant}},
		}
		return nil
	})
}

func admit(t testing.TB, s *sqlite.Store, tenant, id string) {
	t.Helper()
	if err := admitting(t, s, tenant, id); err != nil {
		t.Fatalf("Admit(%s, %s): %v, want no error", tenant, id, err)
	}
}
