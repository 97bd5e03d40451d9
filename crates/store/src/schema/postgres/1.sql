CREATE TABLE schema_version (version BIGINT NOT NULL);
INSERT INTO schema_version VALUES (0);
CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
-- Objects of every kind, each with its history.
CREATE TABLE objects (
    id UUID PRIMARY KEY,
    kind TEXT NOT NULL,
    organization UUID,
    parent UUID,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    version BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    created_us BIGINT NOT NULL,
    updated_us BIGINT NOT NULL,
    deleted_us BIGINT
);
-- No organization counts as one.
CREATE UNIQUE INDEX objects_by_name
    ON objects (kind, coalesce(organization, '00000000-0000-0000-0000-000000000000'), name) WHERE deleted_us IS NULL;
CREATE INDEX objects_by_seq ON objects (seq);
CREATE INDEX objects_by_parent ON objects (parent);
CREATE TABLE object_versions (
    id UUID NOT NULL,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    name TEXT NOT NULL,
    parent UUID,
    changed_us BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    deleted BOOLEAN NOT NULL,
    PRIMARY KEY (id, version)
);
-- A key may have several while it is changed for another.
CREATE TABLE key_hashes (
    hash BYTEA PRIMARY KEY,
    key_id UUID NOT NULL,
    created_us BIGINT NOT NULL,
    until_us BIGINT,
    -- Of the key itself, or of the SHA-256 by which another gateway knew it.
    made_of TEXT NOT NULL DEFAULT 'key'
);
-- Every entry holds the hash of the one before it.
CREATE TABLE audit (
    seq BIGINT PRIMARY KEY,
    at_us BIGINT NOT NULL,
    actor TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    address TEXT,
    request_id UUID,
    action TEXT NOT NULL,
    kind TEXT,
    object_id UUID,
    object_name TEXT,
    organization UUID,
    before TEXT,
    after TEXT,
    previous BYTEA NOT NULL,
    hash BYTEA NOT NULL
);
-- One row. Whoever writes objects or the audit holds it, so that numbers have no gaps and follow the order of commits.
CREATE TABLE clock (
    seq BIGINT NOT NULL,
    audited BIGINT NOT NULL,
    audit_hash BYTEA NOT NULL
);
INSERT INTO clock VALUES (1, 0, decode(repeat('00', 32), 'hex'));
-- What was used, by bucket and slot of time.
CREATE TABLE ledger (
    bucket UUID NOT NULL,
    slot_us BIGINT NOT NULL,
    amount BIGINT NOT NULL,
    -- Until when the slot counts.
    until_us BIGINT NOT NULL,
    PRIMARY KEY (bucket, slot_us)
);
CREATE INDEX ledger_by_end ON ledger (until_us);

-- What of the ledger was counted by other gateways.
CREATE TABLE imported (
    bucket UUID NOT NULL,
    slot_us BIGINT NOT NULL,
    amount BIGINT NOT NULL,
    PRIMARY KEY (bucket, slot_us)
);

-- What budgets are given beside what is configured; entries are added and never changed.
CREATE TABLE adjustments (
    id UUID PRIMARY KEY,
    bucket UUID NOT NULL,
    slot_us BIGINT NOT NULL,
    until_us BIGINT NOT NULL,
    kind TEXT NOT NULL,
    amount BIGINT NOT NULL,
    of_limit TEXT NOT NULL,
    note TEXT,
    at_us BIGINT NOT NULL
);
CREATE INDEX adjustments_by_end ON adjustments (until_us);
CREATE TABLE calls (
    id UUID NOT NULL,
    started_us BIGINT NOT NULL,
    key_id UUID NOT NULL,
    key_name TEXT NOT NULL,
    dialect TEXT NOT NULL,
    model_asked TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    stream BOOLEAN NOT NULL,
    outcome TEXT NOT NULL,
    status BIGINT NOT NULL,
    fault TEXT,
    stop TEXT,
    input_tokens BIGINT NOT NULL,
    cache_read_tokens BIGINT NOT NULL,
    cache_write_tokens BIGINT NOT NULL,
    cache_write_1h_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    counted TEXT NOT NULL,
    cost_picodollars BIGINT,
    price TEXT,
    first_byte_us BIGINT,
    total_us BIGINT NOT NULL,
    losses TEXT NOT NULL,
    attempts TEXT NOT NULL,
    operation TEXT NOT NULL DEFAULT 'chat',
    units TEXT,
    routed TEXT,
    experiment TEXT,
    PRIMARY KEY (id, started_us)
) PARTITION BY RANGE (started_us);
-- For clocks that are wrong by years.
CREATE TABLE calls_other PARTITION OF calls DEFAULT;
-- How far each spool file was read; changed in the transaction that takes in its records.
CREATE TABLE spool (
    file TEXT PRIMARY KEY,
    position BIGINT NOT NULL
);
-- How far rollouts are. `design` tells definitions apart; `state` is JSON.
CREATE TABLE rollouts (
    name TEXT PRIMARY KEY,
    design BIGINT NOT NULL,
    state TEXT NOT NULL,
    updated_us BIGINT NOT NULL
);
-- What callers thought of answers.
CREATE TABLE feedback (
    call_id UUID PRIMARY KEY,
    score DOUBLE PRECISION NOT NULL,
    comment TEXT,
    given_us BIGINT NOT NULL
);
