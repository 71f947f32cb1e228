package sqlite

import (
	"context"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// Admit implements [application.Store].
func (s *Store) Admit(ctx context.Context, scope application.AdmitScope, decide func(*application.Tenancy) error) error {
	var t application.Tenancy
	var seq int64
	return s.writer.transact(ctx, "Admit", func(ctx context.Context, q querier) (err error) {
		t.Now = s.now()
		seq, err = loadTenancy(ctx, q, scope, &t)
		return err
	}, func() ([]write, error) {
		now := t.Now
		if err := decide(&t); err != nil || t.Admitted == nil {
			return nil, err
		}
		return admission(t.Admitted, seq, now)
	})
}

// sums is what the triggers have added up.
type sums struct {
	usage      domain.Usage
	seq        int64 // number of the next request
	ahead, day int
}

const sumsQuery = `SELECT coalesce(u.machines, 0), coalesce(u.cores, 0), coalesce(u.memory, 0), coalesce(u.storage, 0),
		coalesce(u.networks, 0), coalesce(u.hourly, 0), coalesce(u.in_flight, 0),
		coalesce((SELECT max(seq) FROM requests), 0) + 1,
		coalesce((SELECT unfinished FROM lanes WHERE priority = ?2), 0),
		coalesce((SELECT machines FROM days WHERE tenant = ?1 AND day = ?3), 0)
	FROM (SELECT 1) LEFT JOIN usage u ON u.tenant = ?1`

func scanSums(scan scanner, s *sums) error {
	u := &s.usage
	return scan(&u.Machines, &u.Cores, (*int64)(&u.Memory), (*int64)(&u.Storage), &u.Networks, (*int64)(&u.Hourly), &u.InFlight, &s.seq, &s.ahead, &s.day)
}

// loadTenancy loads what admission looks at, and the number of a new request.
func loadTenancy(ctx context.Context, q querier, scope application.AdmitScope, t *application.Tenancy) (seq int64, err error) {
	known, ok, err := one(ctx, q, scanStored, storedQuery+"r.tenant = ? AND r.id = ?", scope.Tenant, scope.RequestID)
	if err != nil {
		return 0, err
	}
	if ok {
		t.Existing = &known.Record
	}
	today := t.Now.UnixMicro() / (24 * time.Hour).Microseconds()
	sum, _, err := one(ctx, q, scanSums, sumsQuery, scope.Tenant, string(scope.Priority), today)
	if err != nil {
		return 0, err
	}
	t.Usage, t.Ahead, t.DisplayNo = sum.usage, sum.ahead, sum.day+1
	if scope.VirtualID != "" {
		t.Taken, err = all(ctx, q, text, "SELECT virtual_id FROM resources WHERE virtual_id >= ? AND virtual_id < ? ORDER BY virtual_id",
			scope.VirtualID, scope.VirtualID+"\U0010ffff")
		if err != nil {
			return 0, err
		}
	}
	networks, err := all(ctx, q, scanResource, "SELECT "+resourceColumns+" FROM resources v WHERE tenant = ? AND live AND kind = ? ORDER BY created_at, uid",
		scope.Tenant, string(domain.Network))
	if err != nil {
		return 0, err
	}
	for i := range networks {
		t.Networks = append(t.Networks, &networks[i])
	}
	return sum.seq, loadTarget(ctx, q, scope, t)
}

func loadTarget(ctx context.Context, q querier, scope application.AdmitScope, t *application.Tenancy) error {
	column, value := "virtual_id", scope.TargetID
	if value == "" {
		column, value = "client_name", scope.Name
	}
	if value == "" {
		return nil
	}
	target, ok, err := one(ctx, q, scanResource, "SELECT "+resourceColumns+" FROM resources v WHERE tenant = ? AND live AND client_name <> '' AND client_name = ?",
		scope.Tenant, value)
	if column == "virtual_id" {
		target, ok, err = one(ctx, q, scanResource, "SELECT "+resourceColumns+" FROM resources v WHERE virtual_id = ? AND tenant = ? AND live", value, scope.Tenant)
	}
	if err != nil || !ok {
		return err
	}
	t.Target = &target
	if target.Busy != "" {
		if t.Blocker, _, err = one(ctx, q, text, "SELECT id FROM requests WHERE message_id = ?", target.Busy); err != nil {
			return err
		}
	}
	t.Users, err = all(ctx, q, text, "SELECT virtual_id FROM resources WHERE network_uid = ? AND network_uid <> '' AND live AND kind = ? ORDER BY virtual_id",
		target.UID, string(domain.Machine))
	return err
}

var (
	insertRequest  = insert("requests", append(append([]string{"seq"}, requestFixed...), requestMoving...))
	insertResource = insert("resources", append(append([]string{}, resourceFixed...), resourceMoving...))
	updateResource = update("resources", append(append([]string{}, resourceFixed...), resourceMoving...), "uid")
)

// admission is what an admission adds to the store.
func admission(a *application.Admission, seq int64, now time.Time) ([]write, error) {
	if a.Request == nil || a.Resource == nil {
		return nil, refuse("Admit", domain.Internal, "an admission needs a request and a resource")
	}
	if a.Request.ResourceUID != a.Resource.UID {
		return nil, refuse("Admit", domain.Internal, "an admission must name its resource")
	}
	fixed, moving := resourceRow(a.Resource)
	resource := write{query: insertResource, args: append(fixed, moving...)}
	if !a.New {
		resource = write{query: updateResource, args: append(append(fixed, moving...), a.Resource.UID),
			missed: refuse("Admit", domain.Conflict, "the resource "+a.Resource.UID+" is not stored")}
	}
	fixed, moving = requestRow(a.Request)
	writes := []write{resource, {query: insertRequest, args: append(append([]any{seq}, fixed...), moving...)}}
	for n, step := range a.Steps {
		writes = append(writes, writeStep(seq, n, step))
	}
	return append(writes, writeEvent(seq, a.Event, stamp(now))), nil
}
