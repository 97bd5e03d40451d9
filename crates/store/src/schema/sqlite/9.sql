-- Whose calls are: where their callers stood, for whom they asked, and what they were marked with (JSON).
ALTER TABLE calls ADD COLUMN organization_id BLOB;
ALTER TABLE calls ADD COLUMN team_id BLOB;
ALTER TABLE calls ADD COLUMN project_id BLOB;
ALTER TABLE calls ADD COLUMN user_id BLOB;
ALTER TABLE calls ADD COLUMN service_account_id BLOB;
ALTER TABLE calls ADD COLUMN end_user TEXT;
ALTER TABLE calls ADD COLUMN tags TEXT;
CREATE INDEX calls_by_organization ON calls (organization_id, id) WHERE organization_id IS NOT NULL;
-- When callers were last seen, to about a minute.
CREATE TABLE uses (
    caller BLOB PRIMARY KEY,
    last_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- What was asked to be forgotten. The subject is forgotten too, once nothing of it can come any more.
CREATE TABLE erasures (
    id BLOB PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    organization BLOB,
    deletes INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    asked_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- The digests of what was taken out of an entry of the audit.
ALTER TABLE audit ADD COLUMN erased BLOB;
