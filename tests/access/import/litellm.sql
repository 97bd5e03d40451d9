-- The part of LiteLLM's database that holds callers, with rows as an installation has them. Columns as in its schema
-- (https://docs.litellm.ai/docs/proxy/db_info); NOW stands for the moment of the test, KEY and BLOCKED for the SHA-256 of
-- keys.
CREATE TABLE "LiteLLM_BudgetTable" (
    budget_id TEXT PRIMARY KEY, max_budget DOUBLE PRECISION, soft_budget DOUBLE PRECISION, max_parallel_requests INTEGER,
    tpm_limit BIGINT, rpm_limit BIGINT, model_max_budget JSONB, budget_duration TEXT, budget_reset_at TIMESTAMP(3),
    created_at TIMESTAMP(3), created_by TEXT, updated_at TIMESTAMP(3), updated_by TEXT
);
CREATE TABLE "LiteLLM_OrganizationTable" (
    organization_id TEXT PRIMARY KEY, organization_alias TEXT NOT NULL, budget_id TEXT NOT NULL, metadata JSONB DEFAULT '{}',
    models TEXT[], spend DOUBLE PRECISION DEFAULT 0, model_spend JSONB DEFAULT '{}', created_at TIMESTAMP(3),
    created_by TEXT, updated_at TIMESTAMP(3), updated_by TEXT
);
CREATE TABLE "LiteLLM_TeamTable" (
    team_id TEXT PRIMARY KEY, team_alias TEXT, organization_id TEXT, admins TEXT[], members TEXT[],
    members_with_roles JSONB DEFAULT '{}', metadata JSONB DEFAULT '{}', max_budget DOUBLE PRECISION,
    soft_budget DOUBLE PRECISION, spend DOUBLE PRECISION DEFAULT 0, models TEXT[], max_parallel_requests INTEGER,
    tpm_limit BIGINT, rpm_limit BIGINT, budget_duration TEXT, budget_reset_at TIMESTAMP(3), blocked BOOLEAN DEFAULT false,
    created_at TIMESTAMP(3), updated_at TIMESTAMP(3)
);
CREATE TABLE "LiteLLM_UserTable" (
    user_id TEXT PRIMARY KEY, user_alias TEXT, team_id TEXT, organization_id TEXT, password TEXT, teams TEXT[] DEFAULT '{}',
    user_role TEXT, max_budget DOUBLE PRECISION, spend DOUBLE PRECISION DEFAULT 0, user_email TEXT, models TEXT[],
    metadata JSONB DEFAULT '{}', tpm_limit BIGINT, rpm_limit BIGINT, budget_duration TEXT, budget_reset_at TIMESTAMP(3)
);
CREATE TABLE "LiteLLM_VerificationToken" (
    token TEXT PRIMARY KEY, key_name TEXT, key_alias TEXT, soft_budget_cooldown BOOLEAN DEFAULT false,
    spend DOUBLE PRECISION DEFAULT 0, expires TIMESTAMP(3), models TEXT[], aliases JSONB DEFAULT '{}',
    config JSONB DEFAULT '{}', user_id TEXT, team_id TEXT, permissions JSONB DEFAULT '{}', max_parallel_requests INTEGER,
    metadata JSONB DEFAULT '{}', blocked BOOLEAN, tpm_limit BIGINT, rpm_limit BIGINT, max_budget DOUBLE PRECISION,
    budget_duration TEXT, budget_reset_at TIMESTAMP(3), budget_id TEXT, organization_id TEXT, created_at TIMESTAMP(3)
);
CREATE TABLE "LiteLLM_EndUserTable" (user_id TEXT PRIMARY KEY, spend DOUBLE PRECISION DEFAULT 0, budget_id TEXT);

-- Rows
INSERT INTO "LiteLLM_BudgetTable" (budget_id, max_budget, budget_duration, budget_reset_at, created_by)
VALUES ('b-acme', 1000, '30d', 'NOW'::timestamp + interval '40 days', 'admin');
INSERT INTO "LiteLLM_OrganizationTable" (organization_id, organization_alias, budget_id, models, spend)
VALUES ('o-1', 'acme', 'b-acme', '{fast,smart}', 12.5);
INSERT INTO "LiteLLM_TeamTable"
    (team_id, team_alias, organization_id, members, max_budget, budget_duration, budget_reset_at, spend, models, rpm_limit)
VALUES ('t-1', 'search', 'o-1', '{kim}', 50, '30d', 'NOW'::timestamp + interval '40 days', 20, '{everyday}', 600),
       ('t-2', 'closed', NULL, '{}', NULL, NULL, NULL, 0, '{}', NULL);
UPDATE "LiteLLM_TeamTable" SET blocked = true WHERE team_id = 't-2';
INSERT INTO "LiteLLM_UserTable" (user_id, user_email, teams, user_role, max_budget, spend, models)
VALUES ('kim', 'kim@example.com', '{t-1}', 'internal_user', 5, 1, '{}');
INSERT INTO "LiteLLM_VerificationToken"
    (token, key_name, key_alias, spend, models, user_id, team_id, max_budget, budget_duration, budget_reset_at, blocked,
     metadata, aliases)
VALUES ('KEY_OF_TEAM', 'sk-...team', 'search-backend', 3, '{}', 'kim', 't-1', 10, '1d',
        'NOW'::timestamp + interval '2 days', NULL, '{"tags": ["red"], "note": "x"}', '{"f": "fast"}'),
       ('KEY_ALONE', 'sk-...lone', 'alone', 0.00005, '{fast}', NULL, NULL, 0.00006, NULL, NULL, NULL, '{}', '{}'),
       ('KEY_FREE', 'sk-...free', NULL, 4, '{fast}', 'kim', NULL, NULL, NULL, NULL, NULL, '{}', '{}'),
       ('KEY_BLOCKED', 'sk-...lock', 'blocked', 0, '{}', NULL, NULL, NULL, NULL, NULL, true, '{}', '{}');
INSERT INTO "LiteLLM_VerificationToken" (token, key_name, expires)
VALUES ('KEY_EXPIRED', 'sk-...past', 'NOW'::timestamp - interval '1 day');
INSERT INTO "LiteLLM_EndUserTable" (user_id, budget_id) VALUES ('customer-1', 'b-acme');
