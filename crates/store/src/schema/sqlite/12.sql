-- Replicas ask for the hashes of the keys that have changed.
CREATE INDEX key_hashes_by_key ON key_hashes (key_id);
