//! Groups, users and tokens, with what they may spend.

use std::collections::HashMap;

use policy::principal::EntityKind;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    channels::Groups,
    source::{Row, is_enabled, listed},
};
use crate::import::{
    fields::{Fields, Known},
    registry::{Kind, Thing},
    report::Grade::{Approximate, Manual, Unsupported},
    work::{Work, put},
};

/// What both take for one USD where no option says otherwise.
pub(super) const UNITS_PER_USD: f64 = 500_000.0;
/// Tokens are shown with this in front, and kept without.
const PREFIX: &str = "sk-";

const USER: [Known; 25] = [
    ("display_name", Unsupported, "users have one name"),
    ("password", Unsupported, SIGN_IN),
    (
        "role",
        Unsupported,
        "roles of its pages mean nothing here; `tollgate keys create NAME --admin` makes an administrator's key",
    ),
    ("email", Unsupported, SIGN_IN),
    ("github_id", Unsupported, SIGN_IN),
    ("discord_id", Unsupported, SIGN_IN),
    ("wechat_id", Unsupported, SIGN_IN),
    ("lark_id", Unsupported, SIGN_IN),
    ("telegram_id", Unsupported, SIGN_IN),
    ("linux_do_id", Unsupported, SIGN_IN),
    ("oidc_id", Manual, "write `authentication.jwt`, whose `map` says which claim names the user"),
    (
        "access_token",
        Unsupported,
        "opens its own pages' API; `tollgate keys create NAME --admin` makes a key for this one's",
    ),
    ("request_count", Unsupported, PAST),
    ("aff_code", Unsupported, "nobody is invited"),
    ("aff_count", Unsupported, "nobody is invited"),
    ("aff_quota", Unsupported, "nobody is invited"),
    ("aff_history", Unsupported, "nobody is invited"),
    ("inviter_id", Unsupported, "nobody is invited"),
    ("setting", Unsupported, "settings of its pages mean nothing here"),
    ("remark", Unsupported, "users have no remarks"),
    ("stripe_customer", Unsupported, "nobody pays here"),
    ("verification_code", Unsupported, SIGN_IN),
    ("created_at", Unsupported, PAST),
    ("last_login_at", Unsupported, PAST),
    ("deleted_at", Unsupported, PAST),
];
const TOKEN: [Known; 6] = [
    ("created_time", Unsupported, PAST),
    ("accessed_time", Unsupported, "the journal tells when a key was used"),
    (
        "group",
        Approximate,
        "a key stands below its user, and with it in the user's group; write `models` where it had another",
    ),
    ("cross_group_retry", Unsupported, "all targets of a model are tried"),
    ("deleted_at", Unsupported, PAST),
    ("model_limits_enabled", Approximate, "says whether `model_limits` holds, and was heeded"),
];
const SIGN_IN: &str = "there is no page to sign in to";
const PAST: &str = "objects have a history of their own, which begins with the import";

/// Everything that goes into the registry; what stands above comes first.
pub(super) fn read(
    users: &[Row],
    tokens: &[Row],
    groups: &mut Groups,
    unit: f64,
    work: &mut Work,
) -> Vec<Thing> {
    let mut things = Vec::new();
    for row in users.iter().filter(|row| is_there(row)) {
        groups.entry(group_of(row).to_owned()).or_default();
    }
    for (name, models) in groups.iter() {
        let mut body = Map::new();
        if models.is_empty() {
            work.report.manual(
                "users.group",
                format!("no channel is for the group \"{name}\": its team is `disabled`"),
            );
            put(&mut body, "disabled", true);
        } else {
            put(&mut body, "models", models.iter().cloned().collect::<Vec<String>>());
        }
        things.push(thing(EntityKind::Team, name, (name, None), body));
    }
    let mut ids = HashMap::new();
    for row in users.iter().filter(|row| is_there(row)) {
        let Some(user) = user(row, unit, work) else { continue };
        ids.insert(row.get("id").and_then(Value::as_i64), user.id);
        things.push(user);
    }
    for row in tokens.iter().filter(|row| is_there(row)) {
        let user = ids.get(&row.get("user_id").and_then(Value::as_i64)).copied();
        things.extend(token(row, user, unit, work));
    }
    things
}

fn user(row: &Row, unit: f64, work: &mut Work) -> Option<Thing> {
    let mut fields = Fields::new("users", row);
    let id = fields.count("id", &mut work.report)?;
    let name = fields.text("username", &mut work.report).map_or_else(|| format!("user {id}"), str::to_owned);
    fields.take("group");
    work.report.exact("users.username", "is the name");
    work.report.exact("users.group", "is the team that the user stands below");
    let mut body = Map::new();
    if !is_enabled(&mut fields, work) {
        put(&mut body, "disabled", true);
    }
    work.report.exact("users.status", "is `disabled` where it says so");
    let spent = credit(&mut fields, "quota", &mut body, unit, work);
    fields.known(&USER, &mut work.report);
    fields.rest(&mut work.report);
    let team = id_of(EntityKind::Team, group_of(row));
    let mut user = thing(EntityKind::User, &id.to_string(), (&name, Some(team)), body);
    user.spent = spent;
    Some(user)
}

/// What is left and what was used are a credit together, of which the latter was spent.
fn credit(
    fields: &mut Fields<'_>,
    column: &str,
    body: &mut Map<String, Value>,
    unit: f64,
    work: &mut Work,
) -> Option<f64> {
    let left = fields.number(column, &mut work.report).unwrap_or_default();
    let used = fields.number("used_quota", &mut work.report).unwrap_or_default().max(0.0);
    let usd = ((left + used) / unit).max(0.0);
    put(body, "budget", json!({"usd": format!("{usd:.6}"), "unpriced": "allow"}));
    let says = "is a budget without a period, in USD, with what was used; calls cost what the catalogue says from now on";
    work.report.approximate(&fields.at(column), says);
    work.report.exact(&fields.at("used_quota"), "counts against that budget");
    Some(used / unit)
}

fn token(row: &Row, user: Option<Uuid>, unit: f64, work: &mut Work) -> Option<Thing> {
    let mut fields = Fields::new("tokens", row);
    let key = fields.text("key", &mut work.report)?.trim();
    fields.take("id");
    fields.take("user_id");
    let id = row.get("id").and_then(Value::as_i64).unwrap_or_default();
    let name = fields.text("name", &mut work.report).map_or_else(|| format!("token {id}"), str::to_owned);
    let Some(user) = user else {
        work.report
            .manual("tokens.user_id", format!("\"{name}\" is of a user who is not there, and was left out"));
        return None;
    };
    work.report.exact(
        "tokens.key",
        "the key goes on: it is known by its hash, and shown as before with sk- in front",
    );
    let mut body = Map::new();
    // 3 is past its end and 4 out of quota, which the key's end and its budget say.
    let status = fields.number("status", &mut work.report).unwrap_or(1.0);
    if status == 2.0 {
        put(&mut body, "disabled", true);
    }
    work.report.exact("tokens.name", "is the name");
    work.report.exact("tokens.user_id", "is the user whom the key stands below");
    work.report.exact("tokens.status", "is `disabled`, or follows from the key's end and budget");
    let is_free =
        fields.take("unlimited_quota").is_some_and(|value| *value == json!(true) || *value == json!(1));
    let spent = if is_free {
        fields.take("remain_quota");
        fields.take("used_quota");
        work.report.exact("tokens.unlimited_quota", "the key has no budget of its own");
        None
    } else {
        credit(&mut fields, "remain_quota", &mut body, unit, work)
    };
    permits(&mut fields, &mut body, work);
    put(&mut body, "scope", "calls");
    put(
        &mut body,
        "hint",
        key.chars().take(4).fold(PREFIX.to_owned(), |hint, letter| hint + &letter.to_string()),
    );
    fields.known(&TOKEN, &mut work.report);
    fields.rest(&mut work.report);
    let digest = Sha256::digest(format!("{PREFIX}{}", key.strip_prefix(PREFIX).unwrap_or(key)).as_bytes());
    let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(Thing {
        kind: Kind::Key,
        id: Uuid::nil(),
        organization: None,
        parent: Some(user),
        name,
        body,
        sha256: Some(sha256),
        spent,
    })
}

/// The models, the addresses and the end of a token.
fn permits(fields: &mut Fields<'_>, body: &mut Map<String, Value>, work: &mut Work) {
    let is_limited =
        fields.take("model_limits_enabled").is_none_or(|value| *value == json!(true) || *value == json!(1));
    for (column, holds) in [("models", true), ("model_limits", is_limited)] {
        let models = listed(fields.text(column, &mut work.report));
        if holds && !models.is_empty() {
            work.report.exact(&fields.at(column), "is `models`");
            put(body, "models", models);
        }
    }
    for column in ["subnet", "allow_ips"] {
        let text = fields.text(column, &mut work.report).map(|text| text.replace(['\n', '\r'], ","));
        let addresses = listed(text.as_deref());
        if !addresses.is_empty() {
            work.report.exact(&fields.at(column), "is `addresses`");
            put(body, "addresses", addresses);
        }
    }
    if let Some(ends) = fields.number("expired_time", &mut work.report).filter(|ends| *ends > 0.0) {
        work.report.exact(&fields.at("expired_time"), "the key ends when it did");
        put(body, "expires_us", (ends * 1e6) as i64);
    }
}

fn thing(
    kind: EntityKind,
    id: &str,
    (name, parent): (&str, Option<Uuid>),
    body: Map<String, Value>,
) -> Thing {
    Thing {
        kind: Kind::Part(kind),
        id: id_of(kind, id),
        organization: None,
        parent,
        name: name.to_owned(),
        body,
        sha256: None,
        spent: None,
    }
}

/// The same in each import.
fn id_of(kind: EntityKind, id: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("one-api\0{}\0{id}", kind.name()).as_bytes())
}

fn group_of(row: &Row) -> &str {
    row.get("group").and_then(Value::as_str).filter(|group| !group.is_empty()).unwrap_or("default")
}

/// Rows that were deleted stay in their tables.
fn is_there(row: &Row) -> bool {
    row.get("deleted_at").is_none_or(Value::is_null)
}
