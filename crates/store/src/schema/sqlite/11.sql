-- What opens local accounts, and how often somebody failed to open one. Names are in lower case.
CREATE TABLE account_passwords (
    account BLOB PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    salt BLOB NOT NULL,
    hash BLOB NOT NULL,
    memory_kib INTEGER NOT NULL,
    passes INTEGER NOT NULL,
    lanes INTEGER NOT NULL,
    one_time INTEGER NOT NULL,
    changed_us INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    tried_us INTEGER NOT NULL,
    lockouts INTEGER NOT NULL,
    locked_until_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- People who have signed in. `way` is account, key or provider; `source` names the key or the provider, `matched` the group.
CREATE TABLE sessions (
    hash BLOB PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    person BLOB NOT NULL,
    name TEXT NOT NULL,
    way TEXT NOT NULL,
    source TEXT,
    matched TEXT,
    role TEXT NOT NULL,
    organization BLOB,
    address TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    seen_us INTEGER NOT NULL,
    until_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_person ON sessions (person);
CREATE INDEX sessions_by_end ON sessions (until_us);

-- Logins at a provider that have come back, so that none comes back twice.
CREATE TABLE logins (
    state BLOB PRIMARY KEY,
    until_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX logins_by_end ON logins (until_us);
