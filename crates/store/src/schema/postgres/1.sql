CREATE TABLE schema_version (version BIGINT NOT NULL);
INSERT INTO schema_version VALUES (0);
CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
CREATE TABLE keys (
    id UUID PRIMARY KEY,
    hash BYTEA NOT NULL UNIQUE,
    name TEXT NOT NULL,
    models TEXT NOT NULL,
    scope TEXT NOT NULL,
    hint TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    expires_us BIGINT,
    revoked_us BIGINT
);
CREATE UNIQUE INDEX keys_by_name ON keys (name) WHERE revoked_us IS NULL;
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
