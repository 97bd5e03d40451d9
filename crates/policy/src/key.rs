//! Virtual keys: what callers show, and what they may do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{principal::Settings, role::RoleName};

/// What every key begins with.
pub const KEY_PREFIX: &str = "tg-";
/// What the keys of administrators begin with.
pub const ADMIN_PREFIX: &str = "tg-admin-";

/// What keys of other gateways begin with that were imported.
pub const IMPORTED_PREFIX: &str = "sk-";

/// A key as it is stored: never the key itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Key {
    pub id: Uuid,
    pub name: String,
    pub organization: Option<Uuid>,
    /// What it belongs to: a team, a project, a user or a service account.
    pub parent: Option<Uuid>,
    #[serde(flatten)]
    pub settings: Settings,
    pub scope: Scope,
    /// What it may administer, where it opens the admin API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleName>,
    pub owner: Owner,
    /// Microseconds since 1970.
    pub created_us: i64,
    pub expires_us: Option<i64>,
    pub revoked_us: Option<i64>,
    /// The first characters of the key, to tell keys apart in lists.
    pub hint: String,
}

/// What a key opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Calls to models.
    Calls,
    /// The admin API and metrics.
    Admin,
}

/// Who may change an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// The configuration file: read-only elsewhere.
    File,
    /// The registry: made and changed by commands and the admin API.
    Registry,
}

impl Key {
    /// One that may use everything, for dry runs: nobody can show it.
    pub fn unbound() -> Key {
        Key {
            id: Uuid::nil(),
            name: "(any)".to_owned(),
            organization: None,
            parent: None,
            settings: Settings::default(),
            scope: Scope::Calls,
            role: None,
            owner: Owner::File,
            created_us: 0,
            expires_us: None,
            revoked_us: None,
            hint: String::new(),
        }
    }
}
