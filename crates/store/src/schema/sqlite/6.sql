-- Positions belong to a replica's files now. What is read again of a file from before is in the journal, and ignored.
DELETE FROM spool;

-- What the whole installation must agree on.
CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
