-- What a call is part of: the side of a rollout, or the shadow of another call.
ALTER TABLE calls ADD COLUMN experiment TEXT;

-- How far rollouts are. `design` tells definitions apart; `state` is JSON.
CREATE TABLE rollouts (
    name TEXT PRIMARY KEY,
    design INTEGER NOT NULL,
    state TEXT NOT NULL,
    updated_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What callers thought of answers.
CREATE TABLE feedback (
    call_id BLOB PRIMARY KEY,
    score REAL NOT NULL,
    comment TEXT,
    given_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
