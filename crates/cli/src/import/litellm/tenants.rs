//! Organizations, teams, projects, users and keys of LiteLLM's database
//! (<https://docs.litellm.ai/docs/proxy/multi_tenant_architecture>).

use std::collections::HashMap;

use policy::principal::EntityKind;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    budget,
    config::AccessGroups,
    database::{Row, Tables},
};
use crate::import::{
    fields::{Fields, Known},
    registry::{Kind, Thing},
    report::Grade::{Approximate, Exact, Manual, Unsupported},
    work::{Work, put},
};

/// The team of the sessions of LiteLLM's own pages.
const DASHBOARD: &str = "litellm-dashboard";

/// What there is to say of columns that several tables have.
const COLUMNS: [Known; 12] = [
    ("created_at", Unsupported, HISTORY),
    ("created_by", Unsupported, HISTORY),
    ("updated_at", Unsupported, HISTORY),
    ("updated_by", Unsupported, HISTORY),
    ("settings_updated_at", Unsupported, HISTORY),
    ("model_spend", Unsupported, "sums by model stay where they are"),
    ("object_permission_id", Unsupported, "there are no tools, vector stores or agents to be permitted"),
    ("router_settings", Manual, "write strategies and fallbacks at the models"),
    ("policies", Unsupported, "there are no guardrails"),
    ("budget_limits", Manual, "write further budgets with `models`"),
    ("allowed_cache_controls", Unsupported, "answers are not cached by the gateway"),
    ("budget_id", Exact, "what the budget's own row says was used"),
];
const HISTORY: &str = "objects have a history of their own, which begins with the import";

const BUDGET: [Known; 4] = [
    ("model_max_budget", Manual, "write further budgets with `models`"),
    ("allowed_models", Manual, "write `models` at the keys that are meant"),
    ("temp_budget_increase", Manual, "raise the budget for as long as it is meant"),
    ("temp_budget_expiry", Manual, "belongs to `temp_budget_increase`"),
];

const TEAM: [Known; 9] = [
    ("admins", Unsupported, "teams have no administrators"),
    ("members", Approximate, MEMBERS),
    ("members_with_roles", Approximate, MEMBERS),
    ("team_member_permissions", Unsupported, "teams have no administrators"),
    ("default_team_member_models", Manual, "write `models` at the keys that are meant"),
    ("allow_team_guardrail_config", Unsupported, "there are no guardrails"),
    ("description", Unsupported, "teams have no descriptions"),
    ("model_rpm_limit", Manual, "write limits with `models`"),
    ("model_tpm_limit", Manual, "write limits with `models`"),
];
const MEMBERS: &str =
    "keys say which team they are of, and a tag `user` whose they are; users stand below no team";

const USER: [Known; 10] = [
    ("user_email", Approximate, "is the user's name where the id is a number"),
    ("user_alias", Unsupported, "users have one name"),
    (
        "user_role",
        Unsupported,
        "roles of LiteLLM's pages mean nothing here; `tollgate keys create NAME --admin` makes an administrator's key",
    ),
    ("sso_user_id", Manual, "write `authentication.jwt`, whose `map` says which claim names the user"),
    ("password", Unsupported, "there is no page to sign in to"),
    ("password_reset_required", Unsupported, "there is no page to sign in to"),
    ("last_breach_check_at", Unsupported, "there is no page to sign in to"),
    ("teams", Approximate, MEMBERS),
    ("team_id", Approximate, MEMBERS),
    ("verified_subjects", Unsupported, "there is no page to sign in to"),
];

const KEY: [Known; 17] = [
    ("total_spend", Unsupported, "what was spent in former periods stays where it is"),
    ("soft_budget_cooldown", Unsupported, "no alerts are sent"),
    ("aliases", Manual, "names that stand for models for this key only; write them under `models` for all"),
    ("config", Manual, "models of this key's own; write them under `models`"),
    ("permissions", Unsupported, "there are no pages for keys"),
    (
        "allowed_routes",
        Approximate,
        "keys open models and not the admin API; write `operations` for some of those only",
    ),
    ("key_type", Approximate, "keys open models and not the admin API"),
    ("budget_fallbacks", Manual, "write `downgrade_to` at the budget"),
    ("agent_id", Unsupported, "there are no agents"),
    ("last_active", Unsupported, "the journal tells when a key was used"),
    ("rotation_count", Unsupported, ROTATION),
    ("auto_rotate", Manual, ROTATION),
    ("rotation_interval", Manual, ROTATION),
    ("last_rotation_at", Unsupported, ROTATION),
    ("key_rotation_at", Manual, ROTATION),
    ("litellm_budget_table", Unsupported, "what the budget's own row says was used"),
    ("user", Unsupported, "the user's own row was used"),
];
const ROTATION: &str = "keys are not changed by themselves; `tollgate keys rotate NAME` does it";

/// Where something stands that others may stand below.
#[derive(Clone)]
struct Placed {
    id: Uuid,
    organization: Option<Uuid>,
    name: String,
}

struct Reader<'w> {
    budgets: HashMap<String, Row>,
    groups: AccessGroups,
    now_us: i64,
    work: &'w mut Work,
    things: Vec<Thing>,
    placed: HashMap<(EntityKind, String), Placed>,
}

/// Everything that goes into the registry; what stands above comes first.
pub(super) fn read(
    tables: &mut Tables,
    mut groups: AccessGroups,
    now_us: i64,
    work: &mut Work,
) -> Vec<Thing> {
    for row in tables.take("LiteLLM_AccessGroupTable") {
        let models = row.get("access_model_names").and_then(Value::as_array);
        let models: Vec<String> =
            models.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        for name in ["access_group_id", "access_group_name"] {
            if let Some(name) = row.get(name).and_then(Value::as_str) {
                groups.insert(name.to_owned(), models.clone());
            }
        }
    }
    let budgets = tables.take("LiteLLM_BudgetTable").into_iter();
    let budgets = budgets.filter_map(|row| Some((row.get("budget_id")?.as_str()?.to_owned(), row))).collect();
    memberships(tables, work);
    let mut reader = Reader { budgets, groups, now_us, work, things: Vec::new(), placed: HashMap::new() };
    for row in tables.take("LiteLLM_OrganizationTable") {
        reader.part(EntityKind::Organization, &row, "organization_alias", &TEAM);
    }
    for row in tables.take("LiteLLM_TeamTable") {
        if row.get("team_id").and_then(Value::as_str) != Some(DASHBOARD) {
            reader.part(EntityKind::Team, &row, "team_alias", &TEAM);
        }
    }
    for row in tables.take("LiteLLM_ProjectTable") {
        reader.part(EntityKind::Project, &row, "project_alias", &TEAM);
    }
    for row in tables.take("LiteLLM_UserTable") {
        reader.part(EntityKind::User, &row, "user_email", &USER);
    }
    for row in tables.take("LiteLLM_VerificationToken") {
        reader.key(&row);
    }
    reader.things
}

/// Users have budgets in teams of theirs.
fn memberships(tables: &mut Tables, work: &mut Work) {
    for row in tables.take("LiteLLM_TeamMembership") {
        if row.contains_key("budget_id") {
            let says = "a budget of one user in one team; write it at the keys that the user has there";
            work.report.manual("LiteLLM_TeamMembership.budget_id", says);
        }
    }
    for row in tables.take("LiteLLM_ModelTable") {
        if row.contains_key("aliases") {
            let says = "names that stand for models for one team only; write them under `models` for all";
            work.report.manual("LiteLLM_ModelTable.aliases", says);
        }
    }
}

fn table(kind: EntityKind) -> &'static str {
    match kind {
        EntityKind::Organization => "LiteLLM_OrganizationTable",
        EntityKind::Team => "LiteLLM_TeamTable",
        EntityKind::Project => "LiteLLM_ProjectTable",
        EntityKind::User | EntityKind::ServiceAccount => "LiteLLM_UserTable",
    }
}

impl Reader<'_> {
    fn part(&mut self, kind: EntityKind, row: &Row, alias: &str, known: &[Known]) {
        let mut fields = Fields::new(table(kind), row);
        let id_column = format!("{}_id", kind.name());
        let Some(id) = fields.text(&id_column, &mut self.work.report) else { return };
        self.work
            .report
            .exact(&fields.at(&id_column), "the thing has an id of its own here, the same in each import");
        let alias_text = row.get(alias).and_then(Value::as_str).filter(|text| !text.is_empty());
        let name = match alias_text {
            // Users are known by the ids that tokens name, unless those are numbers that say nothing.
            Some(_) if kind == EntityKind::User && Uuid::parse_str(id).is_err() => id,
            Some(alias) => alias,
            None => id,
        };
        if kind != EntityKind::User && fields.take(alias).is_some() {
            self.work.report.exact(&fields.at(alias), "is the name");
        }
        let above = match kind {
            EntityKind::Project => self.above(&mut fields, &[(EntityKind::Team, "team_id")]),
            EntityKind::Team | EntityKind::User => {
                self.above(&mut fields, &[(EntityKind::Organization, "organization_id")])
            }
            EntityKind::Organization | EntityKind::ServiceAccount => None,
        };
        let held = self.held(&mut fields);
        fields.known(&COLUMNS, &mut self.work.report);
        fields.known(known, &mut self.work.report);
        fields.rest(&mut self.work.report);
        let (organization, parent) = stand(above);
        let uuid = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("litellm\0{}\0{id}", kind.name()).as_bytes());
        let own = if kind == EntityKind::Organization { Some(uuid) } else { organization };
        let placed = Placed { id: uuid, organization: own, name: name.to_owned() };
        self.placed.insert((kind, id.to_owned()), placed);
        self.things.push(Thing {
            kind: Kind::Part(kind),
            id: uuid,
            organization,
            parent,
            name: name.to_owned(),
            body: held.settings,
            sha256: None,
            spent: held.spent,
        });
    }

    /// What the row says, with its budget's row.
    fn held(&mut self, fields: &mut Fields<'_>) -> budget::Held {
        let named =
            fields.text("budget_id", &mut self.work.report).and_then(|id| self.budgets.get(id)).cloned();
        let mut budget = named.as_ref().map(|row| Fields::new("LiteLLM_BudgetTable", row));
        let held = budget::read(fields, budget.as_mut(), &self.groups, self.now_us, self.work);
        if let Some(mut budget) = budget {
            for name in
                ["budget_id", "rpm_limit", "tpm_limit", "tpd_limit", "max_parallel_requests", "max_budget"]
            {
                budget.take(name);
            }
            for name in ["soft_budget", "budget_duration", "budget_reset_at"] {
                budget.take(name);
            }
            budget.known(&COLUMNS, &mut self.work.report);
            budget.known(&BUDGET, &mut self.work.report);
            budget.rest(&mut self.work.report);
        }
        held
    }

    /// What the row stands below: the first of these columns that names something.
    fn above(
        &mut self,
        fields: &mut Fields<'_>,
        columns: &[(EntityKind, &str)],
    ) -> Option<(EntityKind, Placed)> {
        let mut found = None;
        for (kind, column) in columns {
            let Some(id) = fields.text(column, &mut self.work.report) else { continue };
            let path = fields.at(column);
            match self.placed.get(&(*kind, id.to_owned())) {
                Some(placed) if found.is_none() => {
                    self.work.report.exact(&path, "is what it stands below");
                    found = Some((*kind, placed.clone()));
                }
                Some(_) => self.work.report.approximate(
                    &path,
                    "it stands below something else; this is told by tags and above that",
                ),
                None => self
                    .work
                    .report
                    .manual(&path, "names something that is not in its table; look at what it belongs to"),
            }
        }
        found
    }

    fn key(&mut self, row: &Row) {
        let mut fields = Fields::new("LiteLLM_VerificationToken", row);
        let Some(token) = fields.text("token", &mut self.work.report) else { return };
        if row.get("team_id").and_then(Value::as_str) == Some(DASHBOARD) {
            self.work
                .report
                .unsupported("LiteLLM_VerificationToken", "sessions of LiteLLM's own pages were left out");
            return;
        }
        let alias = fields.text("key_alias", &mut self.work.report);
        let hint = fields.text("key_name", &mut self.work.report);
        let name = alias.map_or_else(|| format!("litellm {}", hint.unwrap_or("key")), str::to_owned);
        let is_hash = token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hash {
            let says = "a key that does not begin with sk- cannot be shown here; make another with `tollgate keys create`";
            self.work.report.manual("LiteLLM_VerificationToken.token", format!("\"{name}\": {says}"));
            return;
        }
        self.work.report.exact(
            "LiteLLM_VerificationToken.token",
            "the key goes on: it is known by its hash, and shown as before",
        );
        self.work.report.exact("LiteLLM_VerificationToken.key_alias", "is the name");
        let user = row.get("user_id").and_then(Value::as_str);
        let user = user.and_then(|id| self.placed.get(&(EntityKind::User, id.to_owned()))).cloned();
        let above = self.above(
            &mut fields,
            &[
                (EntityKind::Project, "project_id"),
                (EntityKind::Team, "team_id"),
                (EntityKind::User, "user_id"),
                (EntityKind::Organization, "organization_id"),
            ],
        );
        let mut held = self.held(&mut fields);
        // A user's own budget does not hold for keys of a team, there and here.
        if let Some(user) = user.filter(|_| above.as_ref().is_some_and(|(kind, _)| *kind != EntityKind::User))
        {
            let tags = held.settings.entry("tags").or_insert_with(|| Map::new().into());
            if let Some(tags) = tags.as_object_mut() {
                put(tags, "user", user.name);
            }
        }
        let mut body = held.settings;
        put(&mut body, "scope", "calls");
        put(&mut body, "hint", hint.unwrap_or("sk-"));
        if let Some(expires_us) = fields.text("expires", &mut self.work.report).and_then(budget::moment) {
            self.work.report.exact("LiteLLM_VerificationToken.expires", "the key ends when it did");
            put(&mut body, "expires_us", expires_us);
        }
        fields.known(&COLUMNS, &mut self.work.report);
        fields.known(&KEY, &mut self.work.report);
        fields.rest(&mut self.work.report);
        let (organization, parent) = stand(above);
        self.things.push(Thing {
            kind: Kind::Key,
            id: Uuid::nil(),
            organization,
            parent,
            name,
            body,
            sha256: Some(token.to_ascii_lowercase()),
            spent: held.spent,
        });
    }
}

/// The organization, and what it stands below where that is something else.
fn stand(above: Option<(EntityKind, Placed)>) -> (Option<Uuid>, Option<Uuid>) {
    match above {
        None => (None, None),
        Some((EntityKind::Organization, placed)) => (Some(placed.id), None),
        Some((_, placed)) => (placed.organization, Some(placed.id)),
    }
}
