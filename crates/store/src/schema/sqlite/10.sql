-- The registry's clock at each change, so that what belongs to one change is known; 0 where it was not kept.
ALTER TABLE object_versions ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
UPDATE object_versions SET seq =
    coalesce((SELECT o.seq FROM objects o WHERE o.id = object_versions.id AND o.version = object_versions.version), 0);
CREATE INDEX object_versions_by_seq ON object_versions (seq);
