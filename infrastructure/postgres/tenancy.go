package postgres

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// tenancies is what the admissions of a batch look at.
type tenancies struct {
	now      time.Time
	seqs     []int64
	existing map[pair]*application.Record // by tenant and request id
	targets  map[string]*target           // by uid
	byID     map[pair]string              // uids by tenant and virtual id
	byName   map[pair]string              // uids by tenant and the client's name
	networks map[string][]*domain.Resource
	usage    map[string]domain.Usage
	today    map[string]int // machines made by each tenant
	lanes    map[domain.Priority]int
	taken    []string // virtual ids, sorted

	touched map[touch]bool // by admissions of this batch
}

// target is a resource that admissions may work on.
type target struct {
	resource domain.Resource
	blocker  string
	users    []string
}

type pair struct{ tenant, id string }

// touch is something that an admission made or changed. Whatever looks at it must
// be in another batch; sums, ids and networks are kept account of here instead.
type touch struct {
	what string
	pair
}

// view implements [loaded].
func (t *tenancies) view(scope application.AdmitScope) (*tenancy, bool, error) {
	id := pair{scope.Tenant, scope.RequestID}
	if t.touched[touch{"request", id}] {
		return nil, true, nil
	}
	v := &tenancy{}
	if later := t.aim(scope, v); later {
		return nil, true, nil
	}
	if r := t.existing[id]; r != nil {
		v.Existing = &application.Record{Request: *r.Request.Clone(), Resource: *r.Resource.Clone(), Steps: copySteps(r.Steps)}
	}
	v.Now, v.Usage, v.Ahead, v.DisplayNo = t.now, t.usage[scope.Tenant], t.lanes[scope.Priority], t.today[scope.Tenant]+1
	for _, n := range t.networks[scope.Tenant] {
		v.Networks = append(v.Networks, n.Clone())
	}
	if scope.VirtualID != "" {
		i, _ := slices.BinarySearch(t.taken, scope.VirtualID)
		for ; i < len(t.taken) && strings.HasPrefix(t.taken[i], scope.VirtualID); i++ {
			v.Taken = append(v.Taken, t.taken[i])
		}
	}
	v.seq, t.seqs = t.seqs[0], t.seqs[1:]
	return v, false, nil
}

// aim finds the target of a scope. later: an admission before has touched it.
func (t *tenancies) aim(scope application.AdmitScope, v *tenancy) (later bool) {
	what, uids, value := "virtual id", t.byID, scope.TargetID
	if value == "" {
		what, uids, value = "name", t.byName, scope.Name
	}
	if value == "" {
		return false
	}
	key := pair{scope.Tenant, value}
	uid, found := uids[key]
	if t.touched[touch{what, key}] || found && t.touched[touch{"resource", pair{"", uid}}] {
		return true
	}
	if !found {
		return false
	}
	at := t.targets[uid]
	v.Target, v.Blocker, v.Users = at.resource.Clone(), at.blocker, slices.Clone(at.users)
	return false
}

// note implements [loaded].
func (t *tenancies) note(effect any) {
	e := effect.(admitted)
	t.touched[touch{"request", pair{e.tenant, e.requestID}}] = true
	t.touched[touch{"resource", pair{"", e.uid}}] = true
	t.touched[touch{"virtual id", pair{e.tenant, e.virtualID}}] = true
	if e.name != "" {
		t.touched[touch{"name", pair{e.tenant, e.name}}] = true
	}
	if e.network != "" {
		t.touched[touch{"resource", pair{"", e.network}}] = true // it has one user more
	}
	t.usage[e.tenant] = t.usage[e.tenant].Add(e.usage)
	if e.machineOf == dayOf(t.now) {
		t.today[e.tenant]++
	}
	if e.unfinished {
		t.lanes[e.lane]++
	}
	if i, known := slices.BinarySearch(t.taken, e.virtualID); !known {
		t.taken = slices.Insert(t.taken, i, e.virtualID)
	}
	if n := e.networkItself; n != nil {
		all := t.networks[e.tenant]
		if i := slices.IndexFunc(all, func(x *domain.Resource) bool { return x.UID == n.UID }); i >= 0 {
			all[i] = n
			return
		}
		all = append(all, n)
		slices.SortFunc(all, func(a, b *domain.Resource) int {
			return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.UID, b.UID))
		})
		t.networks[e.tenant] = all
	}
}

func copySteps(all []domain.Step) []domain.Step {
	c := slices.Clone(all)
	for i := range c {
		c[i].Detail = slices.Clone(c[i].Detail)
	}
	return c
}

const (
	makeTenants = "INSERT INTO tenants (id) SELECT id FROM unnest($1::text[]) AS x(id) ON CONFLICT DO NOTHING"
	lockTenants = "SELECT id FROM tenants WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE"
	numberQuery = "SELECT nextval('request_numbers') FROM generate_series(1, $1::integer)"

	// What the triggers have added up. The clock is read here, after the locks.
	sumsQuery = `WITH clock AS MATERIALIZED (SELECT coalesce($2::timestamptz, clock_timestamp()) AS now)
		SELECT x.id, clock.now, coalesce(u.machines, 0), coalesce(u.cores, 0), coalesce(u.memory, 0), coalesce(u.storage, 0),
			coalesce(u.networks, 0), coalesce(u.hourly, 0), coalesce(f.unfinished, 0), coalesce(d.machines, 0)
		FROM clock, unnest($1::text[]) AS x(id)
		LEFT JOIN LATERAL (SELECT sum(machines)::bigint AS machines, sum(cores)::bigint AS cores, sum(memory)::bigint AS memory,
			sum(storage)::bigint AS storage, sum(networks)::bigint AS networks, sum(hourly)::bigint AS hourly FROM usage WHERE tenant = x.id) u ON true
		LEFT JOIN LATERAL (SELECT sum(unfinished)::bigint AS unfinished FROM flights WHERE tenant = x.id) f ON true
		LEFT JOIN LATERAL (SELECT machines FROM days WHERE tenant = x.id AND day = day(clock.now)) d ON true`
	lanesQuery = "SELECT priority, sum(unfinished)::bigint FROM lanes GROUP BY priority"
	// With a limit it is a look into the index for each prefix. More names than that
	// would need a collision of as many hashes.
	takenQuery = `SELECT v.virtual_id FROM unnest($1::text[]) AS x(prefix) CROSS JOIN LATERAL (SELECT virtual_id FROM resources
		WHERE virtual_id >= x.prefix AND virtual_id < x.prefix || U&'\+10FFFF' ORDER BY virtual_id LIMIT 1000) v`

	existingIDs = "SELECT r.seq FROM unnest($1::text[], $2::text[]) AS x(tenant, id) JOIN requests r ON r.tenant = x.tenant AND r.id = x.id"
	targetUIDs  = `ARRAY(SELECT v.uid FROM unnest($1::text[], $2::text[]) AS x(tenant, id) JOIN resources v ON v.virtual_id = x.id AND v.tenant = x.tenant WHERE v.live
		UNION ALL SELECT v.uid FROM unnest($3::text[], $4::text[]) AS x(tenant, name) JOIN resources v
			ON v.tenant = x.tenant AND v.client_name = x.name AND v.live AND v.client_name <> '')`
	blockersQuery = "SELECT v.uid, r.id FROM resources v JOIN requests r ON r.message_id = v.busy WHERE v.uid = ANY(" + targetUIDs + ")"
	usersQuery    = `SELECT network_uid, virtual_id FROM resources
		WHERE network_uid = ANY(` + targetUIDs + `) AND network_uid <> '' AND live AND kind = 'virtual-machine' ORDER BY virtual_id`
)

var (
	existingQuery = storedQuery + "r.seq = ANY(ARRAY(" + existingIDs + "))"
	targetsQuery  = "SELECT " + resourceColumns + " FROM resources v WHERE v.uid = ANY(" + targetUIDs + ") ORDER BY v.uid FOR NO KEY UPDATE"
	networksQuery = "SELECT " + resourceColumns + " FROM resources v WHERE v.tenant = ANY($1) AND v.live AND v.kind = 'virtual-network' ORDER BY v.created_at, v.uid"
)

func (s *Store) loadTenancies(ctx context.Context, conn *pgx.Conn, scopes []application.AdmitScope) (loaded[application.AdmitScope, tenancy], error) {
	t := &tenancies{
		existing: map[pair]*application.Record{}, targets: map[string]*target{}, byID: map[pair]string{}, byName: map[pair]string{},
		networks: map[string][]*domain.Resource{}, usage: map[string]domain.Usage{}, today: map[string]int{},
		lanes: map[domain.Priority]int{}, touched: map[touch]bool{},
	}
	var tenants, prefixes []string
	var requests, ids, names pairs
	for _, scope := range scopes {
		tenants = append(tenants, scope.Tenant)
		requests.add(scope.Tenant, scope.RequestID)
		switch {
		case scope.TargetID != "":
			ids.add(scope.Tenant, scope.TargetID)
		case scope.Name != "":
			names.add(scope.Tenant, scope.Name)
		}
		if scope.VirtualID != "" {
			prefixes = append(prefixes, scope.VirtualID)
		}
	}
	slices.Sort(tenants)
	tenants = slices.Compact(tenants)

	var b pgx.Batch
	b.Queue(beginning)
	b.Queue(makeTenants, tenants)
	b.Queue(lockTenants, tenants)
	if len(ids.ids)+len(names.ids) > 0 {
		t.queueTargets(&b, []any{ids.tenants, ids.ids, names.tenants, names.ids})
	}
	known := map[int64]*application.Record{}
	b.Queue(existingQuery, requests.tenants, requests.ids).Query(func(rows pgx.Rows) error {
		return each(rows, scanStored, func(r *stored) {
			record := &application.Record{Request: r.request, Resource: r.resource}
			known[r.seq], t.existing[pair{r.request.Tenant, r.request.ID}] = record, record
		})
	})
	b.Queue(sumsQuery, tenants, s.instant()).Query(func(rows pgx.Rows) error { return each(rows, t.scanSums, func(*struct{}) {}) })
	b.Queue(lanesQuery).Query(func(rows pgx.Rows) error {
		return each(rows, scanTally, func(l *tally) { t.lanes[domain.Priority(l.what)] = l.n })
	})
	if len(prefixes) > 0 {
		b.Queue(takenQuery, prefixes).Query(func(rows pgx.Rows) error {
			return each(rows, text, func(id *string) { t.taken = append(t.taken, *id) })
		})
	}
	b.Queue(networksQuery, tenants).Query(func(rows pgx.Rows) error {
		return each(rows, scanResource, func(r *domain.Resource) { t.networks[r.Tenant] = append(t.networks[r.Tenant], r) })
	})
	b.Queue(numberQuery, len(scopes)).Query(func(rows pgx.Rows) error {
		return each(rows, func(scan scanner, n *int64) error { return scan(n) }, func(n *int64) { t.seqs = append(t.seqs, *n) })
	})
	if err := conn.SendBatch(ctx, &b).Close(); err != nil {
		return nil, err
	}
	slices.Sort(t.taken)
	t.taken = slices.Compact(t.taken)
	return t, t.loadSteps(ctx, conn, known)
}

// queueTargets locks and loads what admissions may work on.
func (t *tenancies) queueTargets(b *pgx.Batch, args []any) {
	b.Queue(targetsQuery, args...).Query(func(rows pgx.Rows) error {
		return each(rows, scanResource, func(r *domain.Resource) {
			if !r.Live { // it ended while we waited for its lock
				return
			}
			t.targets[r.UID] = &target{resource: *r}
			t.byID[pair{r.Tenant, r.VirtualID}], t.byName[pair{r.Tenant, r.ClientName}] = r.UID, r.UID
		})
	})
	of := func(note func(*target, string)) func(rows pgx.Rows) error {
		return func(rows pgx.Rows) error {
			return each(rows, func(scan scanner, p *pair) error { return scan(&p.tenant, &p.id) }, func(p *pair) {
				if at := t.targets[p.tenant]; at != nil {
					note(at, p.id)
				}
			})
		}
	}
	b.Queue(blockersQuery, args...).Query(of(func(at *target, id string) { at.blocker = id }))
	b.Queue(usersQuery, args...).Query(of(func(at *target, id string) { at.users = append(at.users, id) }))
}

// loadSteps loads the histories of requests that are posted again, which is rare
// enough for a round trip of its own.
func (t *tenancies) loadSteps(ctx context.Context, conn *pgx.Conn, known map[int64]*application.Record) error {
	if len(known) == 0 {
		return nil
	}
	var seqs []int64
	for seq := range known {
		seqs = append(seqs, seq)
	}
	rows, err := conn.Query(ctx, stepsQuery+"SELECT unnest($1::bigint[]))) ORDER BY request, n", seqs)
	if err != nil {
		return err
	}
	defer rows.Close()
	return each(rows, scanLine, func(l *line) { known[l.seq].Steps = append(known[l.seq].Steps, l.step) })
}

func (t *tenancies) scanSums(scan scanner, _ *struct{}) error {
	var tenant string
	var u domain.Usage
	var day int
	err := scan(&tenant, moment{&t.now}, &u.Machines, &u.Cores, (*int64)(&u.Memory), (*int64)(&u.Storage), &u.Networks, (*int64)(&u.Hourly), &u.InFlight, &day)
	t.usage[tenant], t.today[tenant] = u, day
	return err
}

// pairs are tenants and ids, as two parameters.
type pairs struct{ tenants, ids []string }

func (p *pairs) add(tenant, id string) {
	p.tenants, p.ids = append(p.tenants, tenant), append(p.ids, id)
}
