-- How the target was chosen, in JSON; nothing where there was nothing to choose.
ALTER TABLE calls ADD COLUMN routed TEXT;
