-- Objects of every kind, each with its history, in place of a table for keys.
CREATE TABLE objects (
    id BLOB PRIMARY KEY,
    kind TEXT NOT NULL,
    organization BLOB,
    parent BLOB,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    version INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    deleted_us INTEGER
) STRICT, WITHOUT ROWID;

-- No organization counts as one.
CREATE UNIQUE INDEX objects_by_name ON objects (kind, coalesce(organization, x'00'), name) WHERE deleted_us IS NULL;
CREATE INDEX objects_by_seq ON objects (seq);
CREATE INDEX objects_by_parent ON objects (parent);

CREATE TABLE object_versions (
    id BLOB NOT NULL,
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    name TEXT NOT NULL,
    parent BLOB,
    changed_us INTEGER NOT NULL,
    changed_by TEXT NOT NULL,
    deleted INTEGER NOT NULL,
    PRIMARY KEY (id, version)
) STRICT, WITHOUT ROWID;

-- A key may have several while it is changed for another.
CREATE TABLE key_hashes (
    hash BLOB PRIMARY KEY,
    key_id BLOB NOT NULL,
    created_us INTEGER NOT NULL,
    until_us INTEGER,
    -- Of the key itself, or of the SHA-256 by which another gateway knew it.
    made_of TEXT NOT NULL DEFAULT 'key'
) STRICT, WITHOUT ROWID;

-- Every entry holds the hash of the one before it.
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    at_us INTEGER NOT NULL,
    actor TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    address TEXT,
    request_id BLOB,
    action TEXT NOT NULL,
    kind TEXT,
    object_id BLOB,
    object_name TEXT,
    organization BLOB,
    before TEXT,
    after TEXT,
    previous BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;

-- One row. Whoever writes objects or the audit holds it, so that numbers have no gaps and follow the order of commits.
CREATE TABLE clock (
    seq INTEGER NOT NULL,
    audited INTEGER NOT NULL,
    audit_hash BLOB NOT NULL
) STRICT;
INSERT INTO clock VALUES (1, 0, zeroblob(32));

-- What was used, by bucket and slot of time.
CREATE TABLE ledger (
    bucket BLOB NOT NULL,
    slot_us INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    -- Until when the slot counts.
    until_us INTEGER NOT NULL,
    PRIMARY KEY (bucket, slot_us)
) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_by_end ON ledger (until_us);

-- What of the ledger was counted by other gateways.
CREATE TABLE imported (
    bucket BLOB NOT NULL,
    slot_us INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (bucket, slot_us)
) STRICT, WITHOUT ROWID;

-- What budgets are given beside what is configured; entries are added and never changed.
CREATE TABLE adjustments (
    id BLOB PRIMARY KEY,
    bucket BLOB NOT NULL,
    slot_us INTEGER NOT NULL,
    until_us INTEGER NOT NULL,
    kind TEXT NOT NULL,
    amount INTEGER NOT NULL,
    of_limit TEXT NOT NULL,
    note TEXT,
    at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX adjustments_by_end ON adjustments (until_us);

INSERT INTO objects (id, kind, name, body, version, seq, created_us, updated_us, deleted_us)
SELECT id, 'key', name,
       json_object('models', json(models), 'scope', scope, 'hint', hint, 'expires_us', expires_us),
       1, 1, created_us, coalesce(revoked_us, created_us), revoked_us
FROM keys;
INSERT INTO object_versions (id, version, body, name, changed_us, changed_by, deleted)
SELECT id, version, body, name, updated_us, 'system:upgrade', deleted_us IS NOT NULL FROM objects;
INSERT INTO key_hashes (hash, key_id, created_us) SELECT hash, id, created_us FROM keys;
DROP TABLE keys;
