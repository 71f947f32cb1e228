-- Times are microseconds since 1970 in UTC, NULL where there is none; durations
-- are nanoseconds. Columns are what is queried or read by people; what nothing
-- looks into is JSON.

CREATE TABLE resources (
    uid         TEXT    NOT NULL PRIMARY KEY,
    virtual_id  TEXT    NOT NULL UNIQUE,
    display_id  TEXT    NOT NULL,
    tenant      TEXT    NOT NULL,
    owner       TEXT    NOT NULL,
    client_name TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    created_by  TEXT    NOT NULL,
    spec        TEXT    NOT NULL, -- JSON
    labels      TEXT,             -- JSON
    network_uid TEXT    NOT NULL,
    cost        INTEGER NOT NULL, -- millionths of a dollar per hour
    created_at  INTEGER,
    machines    INTEGER NOT NULL, -- what it counts for, from here
    cores       INTEGER NOT NULL,
    memory      INTEGER NOT NULL, -- MiB
    storage     INTEGER NOT NULL, -- MiB
    networks    INTEGER NOT NULL, -- to here
    state       TEXT    NOT NULL,
    live        INTEGER NOT NULL,
    busy        TEXT    NOT NULL, -- message_id of the request that works on it
    holder      TEXT    NOT NULL, -- of the lease
    epoch       INTEGER NOT NULL,
    lease_until INTEGER,
    placement   TEXT    NOT NULL, -- JSON
    facts       TEXT    NOT NULL, -- JSON
    updated_at  INTEGER
) STRICT;

CREATE UNIQUE INDEX resources_name ON resources (tenant, client_name) WHERE live AND client_name <> '';
CREATE INDEX resources_page      ON resources (tenant, created_at, uid);
CREATE INDEX resources_kind_page ON resources (tenant, kind, created_at, uid);
CREATE INDEX resources_live      ON resources (tenant, created_at, uid) WHERE live;
CREATE INDEX resources_live_kind ON resources (tenant, kind, created_at, uid) WHERE live;
CREATE INDEX resources_network   ON resources (network_uid, virtual_id) WHERE live AND network_uid <> '';
CREATE INDEX resources_census    ON resources (kind, state, cost, created_at) WHERE live;

-- A request has a number, so that all that belongs to it lies together and new
-- rows are appended: rows keyed by random ids would touch a page each.
CREATE TABLE requests (
    seq            INTEGER PRIMARY KEY,
    tenant         TEXT    NOT NULL,
    id             TEXT    NOT NULL,
    message_id     TEXT    NOT NULL UNIQUE,
    body_hash      TEXT    NOT NULL,
    type           TEXT    NOT NULL,
    user           TEXT    NOT NULL,
    correlation_id TEXT    NOT NULL,
    causation_id   TEXT    NOT NULL,
    priority       TEXT    NOT NULL,
    transport      TEXT    NOT NULL,
    trace_parent   TEXT    NOT NULL,
    labels         TEXT,             -- JSON
    spec           TEXT    NOT NULL, -- JSON
    decision       TEXT,             -- JSON
    resource_uid   TEXT    NOT NULL, -- of resources; not declared, because every new resource would look for its requests
    from_state     TEXT    NOT NULL,
    to_state       TEXT    NOT NULL,
    queue_position INTEGER NOT NULL,
    cost           INTEGER NOT NULL,
    accepted_at    INTEGER,
    estimate       INTEGER NOT NULL,
    response_time  INTEGER NOT NULL,
    goal           TEXT    NOT NULL,
    verdict        TEXT    NOT NULL,
    reason         TEXT    NOT NULL,
    decided        TEXT    NOT NULL,
    status         TEXT    NOT NULL,
    phase          TEXT    NOT NULL,
    begun          INTEGER NOT NULL,
    attempts       INTEGER NOT NULL,
    not_ready      INTEGER NOT NULL,
    deadline_at    INTEGER,
    touched_at     INTEGER,
    begun_at       INTEGER,
    decided_at     INTEGER,
    finished_at    INTEGER,
    turns_at       INTEGER, -- the deadline, while passing it can turn the goal
    UNIQUE (tenant, id)
) STRICT;

CREATE INDEX requests_page        ON requests (tenant, accepted_at, message_id);
CREATE INDEX requests_status_page ON requests (tenant, status, accepted_at, message_id);
CREATE INDEX requests_type_page   ON requests (tenant, type, accepted_at, message_id);
CREATE INDEX requests_both_page   ON requests (tenant, type, status, accepted_at, message_id);
CREATE INDEX requests_overdue     ON requests (turns_at, message_id) WHERE turns_at IS NOT NULL;
CREATE INDEX requests_unfinished  ON requests (touched_at, message_id) WHERE status = 'PROCESSING';
CREATE INDEX requests_waiting     ON requests (accepted_at, status, phase) WHERE status = 'PROCESSING' AND phase IN ('VALIDATED', 'PUBLISHED');
CREATE INDEX requests_undecided   ON requests (deadline_at) WHERE decided = '';
CREATE INDEX requests_completed   ON requests (type, decided_at, message_id, accepted_at) WHERE decided = 'COMPLETED';

CREATE TABLE steps (
    request  INTEGER NOT NULL REFERENCES requests (seq) DEFERRABLE INITIALLY DEFERRED,
    name     TEXT    NOT NULL,
    n        INTEGER NOT NULL, -- in the order they were recorded
    at       INTEGER,
    duration INTEGER NOT NULL,
    status   TEXT    NOT NULL,
    detail   TEXT, -- JSON
    PRIMARY KEY (request, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
    request     INTEGER REFERENCES requests (seq) DEFERRABLE INITIALLY DEFERRED, -- NULL: of a dead letter of none
    event_id    TEXT    NOT NULL,
    wire_id     TEXT    NOT NULL,
    type        TEXT    NOT NULL,
    source      TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    time        INTEGER,
    dataschema  TEXT    NOT NULL,
    contenttype TEXT    NOT NULL,
    extensions  TEXT, -- JSON
    data        BLOB,
    topic       TEXT    NOT NULL,
    armed_at    INTEGER, -- NULL: nothing to send
    acked_at    INTEGER,
    sends       INTEGER NOT NULL DEFAULT 0,
    UNIQUE (request, event_id)
) STRICT;

CREATE UNIQUE INDEX outbox_of_none ON outbox (event_id) WHERE request IS NULL;
CREATE INDEX outbox_armed ON outbox (armed_at, event_id) WHERE armed_at IS NOT NULL;

CREATE TABLE inbox (
    request    INTEGER NOT NULL REFERENCES requests (seq) DEFERRABLE INITIALLY DEFERRED,
    function   TEXT    NOT NULL,
    event_id   TEXT    NOT NULL,
    first_at   INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    deliveries INTEGER NOT NULL,
    partition  INTEGER NOT NULL,
    offset     INTEGER NOT NULL,
    sent_at    INTEGER,
    PRIMARY KEY (request, function, event_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE claims (
    pool     TEXT    NOT NULL,
    value    TEXT    NOT NULL,
    resource TEXT    NOT NULL,
    amount   INTEGER NOT NULL,
    "group"  TEXT    NOT NULL,
    until    INTEGER, -- NULL: held
    PRIMARY KEY (pool, value)
) STRICT, WITHOUT ROWID;

CREATE INDEX claims_held    ON claims (resource) WHERE until IS NULL;
CREATE INDEX claims_cooling ON claims (until) WHERE until IS NOT NULL;

CREATE TABLE dead_letters (
    id          TEXT    NOT NULL PRIMARY KEY,
    tenant      TEXT    NOT NULL,
    message_id  TEXT    NOT NULL,
    request_id  TEXT    NOT NULL,
    function    TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    detail      TEXT    NOT NULL,
    event_id    TEXT    NOT NULL,
    wire_id     TEXT    NOT NULL,
    type        TEXT    NOT NULL,
    source      TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    time        INTEGER,
    dataschema  TEXT    NOT NULL,
    contenttype TEXT    NOT NULL,
    extensions  TEXT, -- JSON
    data        BLOB,
    topic       TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    resumed_as  TEXT    NOT NULL,
    at          INTEGER
) STRICT;

CREATE INDEX dead_letters_page        ON dead_letters (at, id);
CREATE INDEX dead_letters_tenant_page ON dead_letters (tenant, at, id);
CREATE INDEX dead_letters_open        ON dead_letters (reason, message_id) WHERE state = 'OPEN';

CREATE TABLE documents (
    name       TEXT    NOT NULL PRIMARY KEY,
    generation INTEGER NOT NULL,
    data       BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

-- Sums that admission needs at every request, and would otherwise add up over
-- all rows of a tenant. Nobody counts along: the triggers below derive them from the
-- rows, in the statement that changes a row.

CREATE TABLE usage (
    tenant    TEXT    NOT NULL PRIMARY KEY,
    machines  INTEGER NOT NULL DEFAULT 0,
    cores     INTEGER NOT NULL DEFAULT 0,
    memory    INTEGER NOT NULL DEFAULT 0,
    storage   INTEGER NOT NULL DEFAULT 0,
    networks  INTEGER NOT NULL DEFAULT 0,
    hourly    INTEGER NOT NULL DEFAULT 0,
    in_flight INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE lanes (
    priority   TEXT    NOT NULL PRIMARY KEY,
    unfinished INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE days (
    tenant   TEXT    NOT NULL,
    day      INTEGER NOT NULL, -- since 1970
    machines INTEGER NOT NULL, -- created then
    PRIMARY KEY (tenant, day)
) STRICT, WITHOUT ROWID;

CREATE TABLE totals (
    name  TEXT    NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO totals VALUES
    ('spent', 0),      -- on resources that are no more
    ('generation', 0); -- of the last document written

-- No trigger uses an upsert: with one, every insert would keep a copy of each page
-- it touches, for the case that the upsert fails.

CREATE TRIGGER resources_added AFTER INSERT ON resources BEGIN
    INSERT INTO usage (tenant) SELECT NEW.tenant WHERE NOT EXISTS (SELECT 1 FROM usage WHERE tenant = NEW.tenant);
    UPDATE usage SET machines = machines + NEW.machines, cores = cores + NEW.cores, memory = memory + NEW.memory,
            storage = storage + NEW.storage, networks = networks + NEW.networks, hourly = hourly + NEW.cost
        WHERE tenant = NEW.tenant AND NEW.live;
END;

CREATE TRIGGER machines_added AFTER INSERT ON resources WHEN NEW.kind = 'virtual-machine' BEGIN
    INSERT INTO days (tenant, day, machines) SELECT NEW.tenant, coalesce(NEW.created_at, 0) / 86400000000, 0
        WHERE NOT EXISTS (SELECT 1 FROM days WHERE tenant = NEW.tenant AND day = coalesce(NEW.created_at, 0) / 86400000000);
    UPDATE days SET machines = machines + 1 WHERE tenant = NEW.tenant AND day = coalesce(NEW.created_at, 0) / 86400000000;
END;

CREATE TRIGGER resources_changed
    AFTER UPDATE OF live, tenant, machines, cores, memory, storage, networks, cost, created_at, updated_at ON resources
    WHEN NOT (OLD.live AND NEW.live) OR OLD.tenant <> NEW.tenant OR OLD.machines <> NEW.machines OR OLD.cores <> NEW.cores
        OR OLD.memory <> NEW.memory OR OLD.storage <> NEW.storage OR OLD.networks <> NEW.networks OR OLD.cost <> NEW.cost
BEGIN
    UPDATE usage SET machines = machines - OLD.machines, cores = cores - OLD.cores, memory = memory - OLD.memory,
            storage = storage - OLD.storage, networks = networks - OLD.networks, hourly = hourly - OLD.cost
        WHERE tenant = OLD.tenant AND OLD.live;
    INSERT INTO usage (tenant) SELECT NEW.tenant WHERE NOT EXISTS (SELECT 1 FROM usage WHERE tenant = NEW.tenant);
    UPDATE usage SET machines = machines + NEW.machines, cores = cores + NEW.cores, memory = memory + NEW.memory,
            storage = storage + NEW.storage, networks = networks + NEW.networks, hourly = hourly + NEW.cost
        WHERE tenant = NEW.tenant AND NEW.live;
    UPDATE totals SET value = value
            - iif(OLD.live, 0, OLD.cost * (1 + max(coalesce(OLD.updated_at - OLD.created_at, 0), 0) / 3600000000))
            + iif(NEW.live, 0, NEW.cost * (1 + max(coalesce(NEW.updated_at - NEW.created_at, 0), 0) / 3600000000))
        WHERE name = 'spent';
END;

CREATE TRIGGER requests_added AFTER INSERT ON requests WHEN NEW.status = 'PROCESSING' BEGIN
    INSERT INTO usage (tenant) SELECT NEW.tenant WHERE NOT EXISTS (SELECT 1 FROM usage WHERE tenant = NEW.tenant);
    UPDATE usage SET in_flight = in_flight + 1 WHERE tenant = NEW.tenant;
    INSERT INTO lanes (priority, unfinished) SELECT NEW.priority, 0 WHERE NOT EXISTS (SELECT 1 FROM lanes WHERE priority = NEW.priority);
    UPDATE lanes SET unfinished = unfinished + 1 WHERE priority = NEW.priority;
END;

CREATE TRIGGER requests_changed AFTER UPDATE OF status, tenant, priority ON requests
    WHEN (OLD.status = 'PROCESSING') <> (NEW.status = 'PROCESSING') OR OLD.tenant <> NEW.tenant OR OLD.priority <> NEW.priority
BEGIN
    UPDATE usage SET in_flight = in_flight - 1 WHERE tenant = OLD.tenant AND OLD.status = 'PROCESSING';
    UPDATE lanes SET unfinished = unfinished - 1 WHERE priority = OLD.priority AND OLD.status = 'PROCESSING';
    INSERT INTO usage (tenant) SELECT NEW.tenant WHERE NOT EXISTS (SELECT 1 FROM usage WHERE tenant = NEW.tenant);
    UPDATE usage SET in_flight = in_flight + 1 WHERE tenant = NEW.tenant AND NEW.status = 'PROCESSING';
    INSERT INTO lanes (priority, unfinished) SELECT NEW.priority, 0 WHERE NOT EXISTS (SELECT 1 FROM lanes WHERE priority = NEW.priority);
    UPDATE lanes SET unfinished = unfinished + 1 WHERE priority = NEW.priority AND NEW.status = 'PROCESSING';
END;
