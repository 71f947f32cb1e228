package postgres

import "kbnt.dev/virtualization/domain"

// Columns of resources: those written when one is made, of which the last are only
// for counting, and those that change.
var (
	resourceFixed = columnsOf(`uid text, virtual_id text, display_id text, tenant text, owner text, client_name text, kind text, created_by text,
		spec json, labels json, network_uid text, cost bigint, created_at timestamptz`)
	resourceCounts = columnsOf("machines bigint, cores bigint, memory bigint, storage bigint, networks bigint")
	resourceMoving = columnsOf(`state text, live boolean, busy text, holder text, epoch bigint, lease_until timestamptz, placement json, facts json,
		updated_at timestamptz`)
	resourceKey = columnsOf("uid text")
)

// resourceColumns is what resourceDest reads, of the table v.
var resourceColumns = resourceFixed.and(resourceMoving).names("v.")

func resourceRow(r *domain.Resource) row {
	counts := domain.UsageOf(r.Spec, r.Cost)
	return row{[]any{
		r.UID, r.VirtualID, r.DisplayID, r.Tenant, r.Owner, r.ClientName, string(r.Kind), r.CreatedBy,
		document(r.Spec), document(r.Labels), r.NetworkUID, int64(r.Cost), stamp(r.CreatedAt),
		int64(counts.Machines), int64(counts.Cores), int64(counts.Memory), int64(counts.Storage), int64(counts.Networks),
	}, []any{
		string(r.State), r.Live, r.Busy, r.Lease.Holder, r.Lease.Epoch, stamp(r.Lease.Until),
		document(r.Placement), document(r.Facts), stamp(r.UpdatedAt),
	}}
}

func resourceDest(r *domain.Resource) []any {
	return []any{
		&r.UID, &r.VirtualID, &r.DisplayID, &r.Tenant, &r.Owner, &r.ClientName, (*string)(&r.Kind), &r.CreatedBy,
		structure{&r.Spec}, structure{&r.Labels}, &r.NetworkUID, (*int64)(&r.Cost), moment{&r.CreatedAt},
		(*string)(&r.State), &r.Live, &r.Busy, &r.Lease.Holder, &r.Lease.Epoch, moment{&r.Lease.Until},
		structure{&r.Placement}, structure{&r.Facts}, moment{&r.UpdatedAt},
	}
}

func scanResource(scan scanner, r *domain.Resource) error { return scan(resourceDest(r)...) }

// row is what a row has in its columns.
type row struct{ fixed, moving []any }

// all is every value, and a key where there is one.
func (r row) all(key ...any) []any {
	return append(append(append([]any{}, r.fixed...), r.moving...), key...)
}
