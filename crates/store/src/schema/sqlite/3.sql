-- Operations beside chat, and what they use beside tokens of text.
ALTER TABLE calls ADD COLUMN operation TEXT NOT NULL DEFAULT 'chat';
-- JSON; nothing where nothing was used.
ALTER TABLE calls ADD COLUMN units TEXT;
