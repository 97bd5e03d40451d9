-- Who it was, where a person signed in: a name can be chosen, an id cannot. Hashed only where it is.
ALTER TABLE audit ADD COLUMN person BLOB;
