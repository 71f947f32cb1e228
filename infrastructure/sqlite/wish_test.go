package sqlite_test

import (
	"context"
	"testing"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/sqlite"
)

// wished is a request to be admitted. Its times are filled in then.
type wished struct {
	scope     application.AdmitScope
	admission application.Admission
}

// wish asks for a machine.
func wish(tenant, id string) wished {
	message := domain.MessageID(tenant, id)
	uid := domain.ResourceUID(message)
	spec := domain.Specification{Machine: &domain.MachineSpec{Cores: 4, Memory: 8 * domain.GiB, Disk: 100 * domain.GiB, DiskType: domain.SSD,
		Network: domain.Attachment{Mode: domain.ModeBridged}, Image: domain.DefaultImage}}
	return wished{
		scope: application.AdmitScope{Tenant: tenant, RequestID: id, Kind: domain.Machine, Priority: domain.Normal,
			VirtualID: domain.VirtualID(domain.Machine, tenant, id, 8)},
		admission: application.Admission{
			Request: &domain.Request{Tenant: tenant, ID: id, MessageID: message, Type: domain.CreateMachine, User: "ada", Priority: domain.Normal,
				Spec: spec, ResourceUID: uid, From: domain.Absent, To: domain.Running, Goal: domain.ToTarget, Status: domain.Processing,
				Phase: domain.PhaseValidated, Cost: 45_000},
			Resource: &domain.Resource{UID: uid, VirtualID: domain.VirtualID(domain.Machine, tenant, id, 16), Tenant: tenant, Owner: "ada", Kind: domain.Machine,
				CreatedBy: message, Spec: spec, State: domain.Provisioning, Live: true, Cost: 45_000, Busy: message},
			New:   true,
			Steps: []domain.Step{{Name: domain.RequestReceived}, {Name: domain.DomainValidated}, {Name: domain.UseCaseProcessed}},
			Event: application.Event{ID: domain.RequestedID(message), Type: "requested", Source: "/bench", Topic: "requests", Data: make([]byte, 800),
				Extensions: map[string]string{"partitionkey": message, "tenantid": tenant}},
		},
	}
}

func (w wished) admit(ctx context.Context, s *sqlite.Store) error {
	return s.Admit(ctx, w.scope, func(y *application.Tenancy) error {
		r, v := w.admission.Request, w.admission.Resource
		r.AcceptedAt, r.TouchedAt, r.DeadlineAt, v.CreatedAt, v.UpdatedAt = y.Now, y.Now, y.Now.Add(10*time.Minute), y.Now, y.Now
		y.Admitted = &w.admission
		return nil
	})
}

func admitting(ctx context.Context, s *sqlite.Store, tenant, id string) error {
	return wish(tenant, id).admit(ctx, s)
}

func admit(t testing.TB, s *sqlite.Store, tenant, id string) {
	t.Helper()
	if err := admitting(t.Context(), s, tenant, id); err != nil {
		t.Fatalf("Admit(%s, %s): %v, want no error", tenant, id, err)
	}
}
