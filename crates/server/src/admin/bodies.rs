//! What the admin API is sent and what it answers, as types: the description of the API is made of them.

use policy::{
    key::{Owner, Scope},
    principal::{Settings, Stand},
    role::RoleName,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An organization: its name, and what holds for everybody in it.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "bodies are held against its schema, and read as a draft")]
pub(super) struct OrganizationBody {
    name: String,
    #[serde(flatten)]
    settings: Settings,
}

/// A part of an organization: its name, where it stands, and what it may do.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "bodies are held against its schema, and read as a draft")]
pub(super) struct PartBody {
    name: String,
    /// The organization it is a part of, by id or name. Default: that of what it stands below, or the caller's own.
    organization: Option<String>,
    /// The team it stands below, by id or name. Default: none.
    team: Option<String>,
    #[serde(flatten)]
    settings: Settings,
}

/// A program that is nobody's own: its name, where it stands, and what it may do.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "bodies are held against its schema, and read as a draft")]
pub(super) struct AccountBody {
    name: String,
    /// The organization it is a part of, by id or name. Default: that of what it stands below, or the caller's own.
    organization: Option<String>,
    /// The team it stands below, by id or name. Default: none.
    team: Option<String>,
    /// The project it stands below, by id or name. Default: none.
    project: Option<String>,
    #[serde(flatten)]
    settings: Settings,
}

/// A key: its name, whom it belongs to, what it opens, and what it may do.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(rename = "KeyBody")]
pub(super) struct Draft {
    pub(super) name: String,
    /// The organization it belongs to, by id or name. Default: that of what it belongs to, or the caller's own.
    #[serde(default)]
    pub(super) organization: Option<String>,
    /// The team it belongs to, by id or name.
    #[serde(default)]
    pub(super) team: Option<String>,
    /// The project it belongs to, by id or name.
    #[serde(default)]
    pub(super) project: Option<String>,
    /// The user it belongs to, by id or name.
    #[serde(default)]
    pub(super) user: Option<String>,
    /// The service account it belongs to, by id or name.
    #[serde(default)]
    pub(super) service_account: Option<String>,
    /// What it may administer; a key with a role opens the admin API instead of models. With an organization, it
    /// administers that organization only.
    #[serde(default)]
    pub(super) role: Option<RoleName>,
    /// Short for the role of an owner. Default: false.
    #[serde(default)]
    pub(super) admin: bool,
    /// When it ends, as `2027-01-31` (the end of that day in UTC) or `2027-01-31T12:00:00Z`. Default: never.
    #[serde(default)]
    pub(super) expires: Option<String>,
    /// The same in microseconds since 1970.
    #[serde(default)]
    pub(super) expires_us: Option<i64>,
    #[serde(flatten)]
    pub(super) settings: Settings,
}

/// How a key is changed for another.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Rotation {
    /// For how long the earlier secret goes on to be good, as `24h`. Default: not at all.
    pub(super) overlap: Option<policy::config::Span>,
}

/// A part of an organization, or an organization.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Part {
    pub(super) id: Uuid,
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) stand: Stand,
    #[serde(flatten)]
    pub(super) state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deleted_us: Option<i64>,
    #[serde(flatten)]
    pub(super) settings: Settings,
}

/// A key; never the key itself.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Key {
    pub(super) id: Uuid,
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) stand: Stand,
    pub(super) scope: Scope,
    /// What it may administer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<RoleName>,
    /// Its first characters.
    pub(super) hint: String,
    /// Microseconds since 1970.
    pub(super) expires_us: Option<i64>,
    /// Microseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) revoked_us: Option<i64>,
    /// When it was last used, to about a minute, in microseconds since 1970; only where keys are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_used_us: Option<i64>,
    #[serde(flatten)]
    pub(super) state: State,
    #[serde(flatten)]
    pub(super) settings: Settings,
}

/// A key with its secret.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct KeyWithSecret {
    #[serde(flatten)]
    pub(super) of: Key,
    /// The secret itself, this once: nothing where the same request came again.
    pub(super) key: Option<String>,
}

/// What the gateway says of everything it keeps.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct State {
    /// Whether the configuration file owns it, so that it can be changed there only.
    pub(super) owner: Owner,
    /// One more with each change; 0 for what the file owns.
    pub(super) version: u64,
    /// Microseconds since 1970.
    pub(super) created_us: i64,
    /// Microseconds since 1970.
    pub(super) updated_us: i64,
}

/// The members that answers have and bodies may repeat: the gateway sets them.
pub(super) const SET_BY_GATEWAY: [&str; 8] =
    ["id", "owner", "version", "created_us", "updated_us", "scope", "hint", "revoked_us"];

/// Some of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}List")]
pub(super) struct List<T> {
    pub(super) data: Vec<T>,
    /// Where the list goes on: send it as `cursor`. Nothing at its end.
    pub(super) next_cursor: Option<String>,
}

/// One entry of the audit.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct AuditEntry {
    pub(super) seq: u64,
    /// Microseconds since 1970.
    pub(super) at_us: i64,
    /// The id of the key, or the name of the person.
    pub(super) actor: String,
    /// `key`, `user`, `command` or `system`.
    pub(super) actor_kind: String,
    /// The id of the person, where one has signed in: of the account, or what follows from issuer and `sub`. Names can be chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) person: Option<Uuid>,
    pub(super) address: Option<String>,
    pub(super) request_id: Option<Uuid>,
    /// As `create`, `update`, `delete`, `sign_in`, `sign_in_refused`, `sign_out`, `locked` or `password`.
    pub(super) action: String,
    pub(super) kind: Option<String>,
    pub(super) object_id: Option<Uuid>,
    pub(super) object_name: Option<String>,
    pub(super) organization: Option<Uuid>,
    pub(super) before: Option<serde_json::Value>,
    pub(super) after: Option<serde_json::Value>,
    /// BLAKE3 over the entry and the hash before it, in hexadecimal.
    pub(super) hash: String,
}

/// Whether the audit is as it was written.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Verified {
    pub(super) whole: bool,
    /// The number of the first entry that was changed or is missing.
    pub(super) broken_at: Option<u64>,
}
