-- Times are timestamptz, NULL where there is none; durations are nanoseconds, money
-- millionths of a dollar per hour. Columns are what is queried or read by people; what
-- nothing looks into is JSON, kept as it was written. Ids sort by their bytes.
--
-- Foreign keys are left out: rows of the other tables are only ever written beside
-- their request, and checking that costs as much as writing them.

-- One row per tenant and per pool, to be locked.
CREATE TABLE tenants (id   text COLLATE "C" PRIMARY KEY);
CREATE TABLE pools   (name text COLLATE "C" PRIMARY KEY);

CREATE TABLE resources (
    uid         text COLLATE "C" PRIMARY KEY,
    virtual_id  text COLLATE "C" NOT NULL UNIQUE,
    display_id  text        NOT NULL,
    tenant      text COLLATE "C" NOT NULL,
    owner       text        NOT NULL,
    client_name text COLLATE "C" NOT NULL,
    kind        text COLLATE "C" NOT NULL,
    created_by  text        NOT NULL,
    spec        json        NOT NULL,
    labels      json,
    network_uid text COLLATE "C" NOT NULL,
    cost        bigint      NOT NULL,
    created_at  timestamptz,
    machines    bigint      NOT NULL, -- what it counts for, from here
    cores       bigint      NOT NULL,
    memory      bigint      NOT NULL, -- MiB
    storage     bigint      NOT NULL, -- MiB
    networks    bigint      NOT NULL, -- to here
    state       text        NOT NULL,
    live        boolean     NOT NULL,
    busy        text        NOT NULL, -- message_id of the request that works on it
    holder      text        NOT NULL, -- of the lease
    epoch       bigint      NOT NULL,
    lease_until timestamptz,
    placement   json        NOT NULL,
    facts       json        NOT NULL,
    updated_at  timestamptz
) WITH (fillfactor = 70); -- leases come and go without touching an index

CREATE UNIQUE INDEX resources_name ON resources (tenant, client_name) WHERE live AND client_name <> '';
CREATE INDEX resources_page      ON resources (tenant, created_at, uid);
CREATE INDEX resources_kind_page ON resources (tenant, kind, created_at, uid);
CREATE INDEX resources_live      ON resources (tenant, created_at, uid) WHERE live;
CREATE INDEX resources_live_kind ON resources (tenant, kind, created_at, uid) WHERE live;
CREATE INDEX resources_network   ON resources (network_uid, virtual_id) WHERE live AND network_uid <> '';
CREATE INDEX resources_census    ON resources (kind, state, cost, created_at) WHERE live;

-- A request has a number, so that all that belongs to it lies together and new
-- rows are appended: rows keyed by random ids would touch a page each.
CREATE SEQUENCE request_numbers AS bigint;

CREATE TABLE requests (
    seq            bigint      PRIMARY KEY,
    tenant         text COLLATE "C" NOT NULL,
    id             text COLLATE "C" NOT NULL,
    message_id     text COLLATE "C" NOT NULL UNIQUE,
    body_hash      text        NOT NULL,
    type           text COLLATE "C" NOT NULL,
    "user"         text        NOT NULL,
    correlation_id text        NOT NULL,
    causation_id   text        NOT NULL,
    priority       text        NOT NULL,
    transport      text        NOT NULL,
    trace_parent   text        NOT NULL,
    labels         json,
    spec           json        NOT NULL,
    decision       json,
    resource_uid   text COLLATE "C" NOT NULL,
    from_state     text        NOT NULL,
    to_state       text        NOT NULL,
    queue_position bigint      NOT NULL,
    cost           bigint      NOT NULL,
    accepted_at    timestamptz,
    estimate       bigint      NOT NULL,
    response_time  bigint      NOT NULL,
    goal           text        NOT NULL,
    verdict        text        NOT NULL,
    reason         text        NOT NULL,
    decided        text COLLATE "C" NOT NULL,
    status         text COLLATE "C" NOT NULL,
    phase          text        NOT NULL,
    begun          boolean     NOT NULL,
    attempts       bigint      NOT NULL,
    not_ready      bigint      NOT NULL,
    deadline_at    timestamptz,
    touched_at     timestamptz,
    begun_at       timestamptz,
    decided_at     timestamptz,
    finished_at    timestamptz,
    turns_at       timestamptz, -- the deadline, while passing it can turn the goal
    UNIQUE (tenant, id)
) WITH (fillfactor = 70);

-- No index has touched_at or phase: they change at every step, and a row whose
-- indexed columns stay is rewritten in its page alone.
CREATE INDEX requests_page        ON requests (tenant, accepted_at, message_id);
CREATE INDEX requests_status_page ON requests (tenant, status, accepted_at, message_id);
CREATE INDEX requests_type_page   ON requests (tenant, type, accepted_at, message_id);
CREATE INDEX requests_both_page   ON requests (tenant, type, status, accepted_at, message_id);
CREATE INDEX requests_overdue     ON requests (turns_at, message_id) WHERE turns_at IS NOT NULL;
CREATE INDEX requests_unfinished  ON requests (accepted_at) WHERE status = 'PROCESSING';
CREATE INDEX requests_completed   ON requests (type, decided_at, message_id) INCLUDE (accepted_at) WHERE decided = 'COMPLETED';

CREATE TABLE steps (
    request  bigint NOT NULL,
    name     text COLLATE "C" NOT NULL,
    n        bigint NOT NULL, -- in the order they were recorded
    at       timestamptz,
    duration bigint NOT NULL,
    status   text   NOT NULL,
    detail   json,
    PRIMARY KEY (request, name)
);

CREATE TABLE outbox (
    request     bigint NOT NULL, -- 0: of a dead letter of none
    event_id    text COLLATE "C" NOT NULL,
    wire_id     text NOT NULL,
    type        text   NOT NULL,
    source      text   NOT NULL,
    subject     text   NOT NULL,
    time        timestamptz,
    dataschema  text   NOT NULL,
    contenttype text   NOT NULL,
    extensions  json,
    data        bytea,
    topic       text   NOT NULL,
    armed_at    timestamptz, -- NULL: nothing to send
    acked_at    timestamptz,
    sends       bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (request, event_id)
);

CREATE INDEX outbox_armed ON outbox (armed_at, event_id) WHERE armed_at IS NOT NULL;

CREATE TABLE inbox (
    request    bigint NOT NULL,
    function   text COLLATE "C" NOT NULL,
    event_id   text COLLATE "C" NOT NULL,
    first_at   timestamptz NOT NULL,
    last_at    timestamptz NOT NULL,
    deliveries bigint NOT NULL,
    partition  bigint NOT NULL,
    "offset"   bigint NOT NULL,
    sent_at    timestamptz,
    PRIMARY KEY (request, function, event_id)
);

CREATE TABLE claims (
    pool     text COLLATE "C" NOT NULL,
    value    text COLLATE "C" NOT NULL,
    resource text COLLATE "C" NOT NULL,
    amount   bigint NOT NULL,
    "group"  text   NOT NULL,
    until    timestamptz, -- NULL: held
    PRIMARY KEY (pool, value)
);

CREATE INDEX claims_held    ON claims (resource) WHERE until IS NULL;
CREATE INDEX claims_cooling ON claims (until) WHERE until IS NOT NULL;

CREATE TABLE dead_letters (
    id          text COLLATE "C" PRIMARY KEY,
    tenant      text COLLATE "C" NOT NULL,
    message_id  text COLLATE "C" NOT NULL,
    request_id  text NOT NULL,
    function    text NOT NULL,
    reason      text NOT NULL,
    detail      text NOT NULL,
    event_id    text NOT NULL,
    wire_id     text NOT NULL,
    type        text NOT NULL,
    source      text NOT NULL,
    subject     text NOT NULL,
    time        timestamptz,
    dataschema  text NOT NULL,
    contenttype text NOT NULL,
    extensions  json,
    data        bytea,
    topic       text NOT NULL,
    state       text NOT NULL,
    resumed_as  text NOT NULL,
    at          timestamptz
);

CREATE INDEX dead_letters_page        ON dead_letters (at, id);
CREATE INDEX dead_letters_tenant_page ON dead_letters (tenant, at, id);
CREATE INDEX dead_letters_open        ON dead_letters (reason, message_id) WHERE state = 'OPEN';

-- Generations grow over all documents, so one that was deleted and written again
-- is not taken for what it was.
CREATE SEQUENCE generations AS bigint;

CREATE TABLE documents (
    name       text COLLATE "C" PRIMARY KEY,
    generation bigint NOT NULL,
    data       bytea  NOT NULL
);

-- Sums that admission needs at every request, and would otherwise add up over
-- all rows of a tenant. Nobody counts along: triggers derive them from the rows, once a
-- statement. A sum is spread over slots, one per connection as far as they go,
-- so that transactions seldom wait for each other's; where they do, they take
-- the tables in the order they have here and the rows in the order of their keys.
CREATE TABLE usage (
    tenant   text COLLATE "C" NOT NULL,
    slot     integer NOT NULL,
    machines bigint  NOT NULL,
    cores    bigint  NOT NULL,
    memory   bigint  NOT NULL,
    storage  bigint  NOT NULL,
    networks bigint  NOT NULL,
    hourly   bigint  NOT NULL,
    PRIMARY KEY (tenant, slot)
) WITH (fillfactor = 50);

CREATE TABLE days (
    tenant   text COLLATE "C" NOT NULL,
    day      bigint NOT NULL, -- since 1970
    machines bigint NOT NULL, -- created then
    PRIMARY KEY (tenant, day)
) WITH (fillfactor = 50);

CREATE TABLE spent ( -- on resources that are no more
    slot   integer PRIMARY KEY,
    amount bigint  NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE flights (
    tenant     text COLLATE "C" NOT NULL,
    slot       integer NOT NULL,
    unfinished bigint  NOT NULL,
    PRIMARY KEY (tenant, slot)
) WITH (fillfactor = 50);

CREATE TABLE lanes (
    priority   text COLLATE "C" NOT NULL,
    slot       integer NOT NULL,
    unfinished bigint  NOT NULL,
    PRIMARY KEY (priority, slot)
) WITH (fillfactor = 50);

CREATE FUNCTION slot() RETURNS integer LANGUAGE sql STABLE AS 'SELECT pg_backend_pid() % 16';

-- day is the number of a day in UTC, from 0 on 1 January 1970.
CREATE FUNCTION day(t timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE AS
    'SELECT floor(extract(epoch FROM coalesce(t, ''epoch'')) / 86400)::bigint';

-- accrued is what a resource has cost: each hour that has begun.
CREATE FUNCTION accrued(cost bigint, since timestamptz, until timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE AS
    'SELECT cost * (1 + floor(coalesce(greatest(extract(epoch FROM until - since), 0), 0) / 3600)::bigint)';

CREATE FUNCTION count_added_resources() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO usage AS u (tenant, slot, machines, cores, memory, storage, networks, hourly)
        SELECT tenant, slot(), sum(machines), sum(cores), sum(memory), sum(storage), sum(networks), sum(cost)
        FROM added WHERE live GROUP BY tenant ORDER BY tenant
        ON CONFLICT (tenant, slot) DO UPDATE SET machines = u.machines + excluded.machines, cores = u.cores + excluded.cores,
            memory = u.memory + excluded.memory, storage = u.storage + excluded.storage,
            networks = u.networks + excluded.networks, hourly = u.hourly + excluded.hourly;
    INSERT INTO days AS d (tenant, day, machines)
        SELECT tenant, day(created_at), count(*) FROM added WHERE kind = 'virtual-machine' GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (tenant, day) DO UPDATE SET machines = d.machines + excluded.machines;
    INSERT INTO spent AS s (slot, amount)
        SELECT slot(), sum(accrued(cost, created_at, updated_at)) FROM added WHERE NOT live HAVING count(*) > 0
        ON CONFLICT (slot) DO UPDATE SET amount = s.amount + excluded.amount;
    RETURN NULL;
END $$;

CREATE FUNCTION count_changed_resources() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM gone g JOIN added a USING (uid) WHERE NOT (g.live AND a.live)
        OR (g.tenant, g.machines, g.cores, g.memory, g.storage, g.networks, g.cost) <> (a.tenant, a.machines, a.cores, a.memory, a.storage, a.networks, a.cost)) THEN
        RETURN NULL;
    END IF;
    INSERT INTO usage AS u (tenant, slot, machines, cores, memory, storage, networks, hourly)
        SELECT tenant, slot(), sum(by * machines), sum(by * cores), sum(by * memory), sum(by * storage), sum(by * networks), sum(by * cost)
        FROM (SELECT -1 AS by, * FROM gone UNION ALL SELECT 1, * FROM added) r WHERE live GROUP BY tenant ORDER BY tenant
        ON CONFLICT (tenant, slot) DO UPDATE SET machines = u.machines + excluded.machines, cores = u.cores + excluded.cores,
            memory = u.memory + excluded.memory, storage = u.storage + excluded.storage,
            networks = u.networks + excluded.networks, hourly = u.hourly + excluded.hourly;
    INSERT INTO spent AS s (slot, amount)
        SELECT slot(), sum(by * accrued(cost, created_at, updated_at))
        FROM (SELECT -1 AS by, * FROM gone UNION ALL SELECT 1, * FROM added) r WHERE NOT live HAVING count(*) > 0
        ON CONFLICT (slot) DO UPDATE SET amount = s.amount + excluded.amount;
    RETURN NULL;
END $$;

CREATE FUNCTION count_added_requests() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO flights AS f (tenant, slot, unfinished)
        SELECT tenant, slot(), count(*) FROM added WHERE status = 'PROCESSING' GROUP BY tenant ORDER BY tenant
        ON CONFLICT (tenant, slot) DO UPDATE SET unfinished = f.unfinished + excluded.unfinished;
    INSERT INTO lanes AS l (priority, slot, unfinished)
        SELECT priority, slot(), count(*) FROM added WHERE status = 'PROCESSING' GROUP BY priority ORDER BY priority
        ON CONFLICT (priority, slot) DO UPDATE SET unfinished = l.unfinished + excluded.unfinished;
    RETURN NULL;
END $$;

CREATE FUNCTION count_changed_requests() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM gone g JOIN added a USING (seq)
        WHERE (g.status = 'PROCESSING', g.tenant, g.priority) <> (a.status = 'PROCESSING', a.tenant, a.priority)) THEN
        RETURN NULL;
    END IF;
    INSERT INTO flights AS f (tenant, slot, unfinished)
        SELECT tenant, slot(), sum(by) FROM (SELECT -1 AS by, * FROM gone UNION ALL SELECT 1, * FROM added) r
        WHERE status = 'PROCESSING' GROUP BY tenant ORDER BY tenant
        ON CONFLICT (tenant, slot) DO UPDATE SET unfinished = f.unfinished + excluded.unfinished;
    INSERT INTO lanes AS l (priority, slot, unfinished)
        SELECT priority, slot(), sum(by) FROM (SELECT -1 AS by, * FROM gone UNION ALL SELECT 1, * FROM added) r
        WHERE status = 'PROCESSING' GROUP BY priority ORDER BY priority
        ON CONFLICT (priority, slot) DO UPDATE SET unfinished = l.unfinished + excluded.unfinished;
    RETURN NULL;
END $$;

CREATE TRIGGER resources_added AFTER INSERT ON resources
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_added_resources();
CREATE TRIGGER resources_changed AFTER UPDATE ON resources
    REFERENCING OLD TABLE AS gone NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_changed_resources();
CREATE TRIGGER requests_added AFTER INSERT ON requests
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_added_requests();
CREATE TRIGGER requests_changed AFTER UPDATE ON requests
    REFERENCING OLD TABLE AS gone NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_changed_requests();
