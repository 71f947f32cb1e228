package sqlite

import "kbnt.dev/virtualization/domain"

// Columns of resources: those written when one is made, and those that change.
var (
	resourceFixed = names(`uid virtual_id display_id tenant owner client_name kind created_by spec labels network_uid cost created_at
		machines cores memory storage networks`)
	resourceMoving = names(`state live busy holder epoch lease_until placement facts updated_at`)
)

// resourceColumns is what scanResource reads, of the table v.
const resourceColumns = `v.uid, v.virtual_id, v.display_id, v.tenant, v.owner, v.client_name, v.kind, v.created_by, v.spec, v.labels, v.network_uid, v.cost, v.created_at,
	v.state, v.live, v.busy, v.holder, v.epoch, v.lease_until, v.placement, v.facts, v.updated_at`

func resourceRow(r *domain.Resource) (fixed, moving []any) {
	counts := domain.UsageOf(r.Spec, r.Cost)
	return []any{
			r.UID, r.VirtualID, r.DisplayID, r.Tenant, r.Owner, r.ClientName, string(r.Kind), r.CreatedBy,
			document(r.Spec), document(r.Labels), r.NetworkUID, int64(r.Cost), stamp(r.CreatedAt),
			int64(counts.Machines), int64(counts.Cores), int64(counts.Memory), int64(counts.Storage), int64(counts.Networks),
		}, []any{
			string(r.State), number(r.Live), r.Busy, r.Lease.Holder, r.Lease.Epoch, stamp(r.Lease.Until),
			document(r.Placement), document(r.Facts), stamp(r.UpdatedAt),
		}
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
