-- Tables of one-api and new-api with the columns that both write, in SQL that SQLite and PostgreSQL read alike.
CREATE TABLE channels (
    id integer PRIMARY KEY, type integer, "key" text, status integer, name text, weight integer, base_url text,
    "group" text, models text, model_mapping text, priority integer, created_time bigint, used_quota bigint,
    system_prompt text
);
CREATE TABLE users (
    id integer PRIMARY KEY, username text, password text, role integer, status integer, email text, quota bigint,
    used_quota bigint, "group" text
);
CREATE TABLE tokens (
    id integer PRIMARY KEY, user_id integer, "key" text, status integer, name text, expired_time bigint,
    remain_quota bigint, unlimited_quota boolean, used_quota bigint, models text, subnet text
);
CREATE TABLE options ("key" text PRIMARY KEY, value text);
CREATE TABLE redemptions (id integer PRIMARY KEY, name text);
INSERT INTO channels VALUES
    (1, 8, 'sk-test-upstream', 1, 'house', 1, 'SIM', 'default', 'fast,echo', '{"fast": "echo"}', 0, 1700000000, 12, ''),
    (2, 8, 'sk-test-upstream', 1, 'vips', 1, 'SIM', 'vip', 'rare', '{"rare": "echo"}', 0, 1700000000, 0, ''),
    (3, 15, 'sk-baidu', 1, 'elsewhere', 1, '', 'default', 'ernie', '', 0, 1700000000, 0, ''),
    (4, 1, 'sk-off', 2, 'off', 1, '', 'default', 'gpt-4o', '', 0, 1700000000, 0, '');
INSERT INTO users VALUES
    (1, 'root', 'hash', 100, 1, 'root@example.com', 500000000, 0, 'vip'),
    (2, 'ann', 'hash', 1, 1, '', 500000, 500000, 'default'),
    (3, 'bob', 'hash', 1, 2, '', 500000, 0, 'default');
INSERT INTO tokens VALUES
    (1, 1, 'TOKEN_ROOT', 1, 'roots', -1, 0, true, 0, NULL, NULL),
    (2, 2, 'TOKEN_ANN', 1, 'anns', -1, 250000, false, 250000, 'fast', NULL),
    (3, 3, 'TOKEN_BOB', 1, 'bobs', -1, 0, true, 0, NULL, NULL),
    (4, 2, 'TOKEN_USED', 4, 'used up', -1, 0, false, 500000, NULL, NULL),
    (5, 2, 'TOKEN_PAST', 3, 'past', 1700000000, 0, true, 0, NULL, NULL),
    (6, 9, 'TOKEN_NOBODY', 1, 'nobodys', -1, 0, true, 0, NULL, NULL);
INSERT INTO options VALUES ('QuotaPerUnit', '500000'), ('ModelRatio', '{}'), ('Theme', 'x');
INSERT INTO redemptions VALUES (1, 'gift');
