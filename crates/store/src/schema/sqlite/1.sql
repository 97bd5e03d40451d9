CREATE TABLE keys (
    id BLOB PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    models TEXT NOT NULL,
    scope TEXT NOT NULL,
    hint TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    expires_us INTEGER,
    revoked_us INTEGER
) STRICT;

CREATE UNIQUE INDEX keys_by_name ON keys (name) WHERE revoked_us IS NULL;

CREATE TABLE calls (
    id BLOB PRIMARY KEY,
    started_us INTEGER NOT NULL,
    key_id BLOB NOT NULL,
    key_name TEXT NOT NULL,
    dialect TEXT NOT NULL,
    model_asked TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    stream INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    status INTEGER NOT NULL,
    fault TEXT,
    stop TEXT,
    input_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    cache_write_1h_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    counted TEXT NOT NULL,
    cost_picodollars INTEGER,
    price TEXT,
    first_byte_us INTEGER,
    total_us INTEGER NOT NULL,
    losses TEXT NOT NULL,
    attempts TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX calls_by_time ON calls (started_us);
CREATE INDEX calls_by_key ON calls (key_id, started_us);

-- How far each spool file was read; changed in the transaction that takes in its records.
CREATE TABLE spool (
    file TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
