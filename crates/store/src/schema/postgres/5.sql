-- What opens local accounts, and how often somebody failed to open one. Names are in lower case.
CREATE TABLE account_passwords (
    account UUID PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    salt BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    memory_kib BIGINT NOT NULL,
    passes BIGINT NOT NULL,
    lanes BIGINT NOT NULL,
    one_time BOOLEAN NOT NULL,
    changed_us BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    tried_us BIGINT NOT NULL,
    lockouts BIGINT NOT NULL,
    locked_until_us BIGINT NOT NULL
);

-- People who have signed in. `way` is account, key or provider; `source` names the key or the provider, `matched` the group.
CREATE TABLE sessions (
    hash BYTEA PRIMARY KEY,
    id UUID NOT NULL UNIQUE,
    person UUID NOT NULL,
    name TEXT NOT NULL,
    way TEXT NOT NULL,
    source TEXT,
    matched TEXT,
    role TEXT NOT NULL,
    organization UUID,
    address TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    seen_us BIGINT NOT NULL,
    until_us BIGINT NOT NULL
);
CREATE INDEX sessions_by_person ON sessions (person);
CREATE INDEX sessions_by_end ON sessions (until_us);

-- Logins at a provider that have come back, so that none comes back twice.
CREATE TABLE logins (
    state BYTEA PRIMARY KEY,
    until_us BIGINT NOT NULL
);
CREATE INDEX logins_by_end ON logins (until_us);
