//! What is sent and answered about people, as types: the description of the API is made of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::{Account, Session};
use uuid::Uuid;

/// How people can sign in.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WaysIn")]
pub(super) struct Ways {
    /// Whether there are accounts with passwords.
    pub(super) accounts: bool,
    pub(super) providers: Vec<ProviderShown>,
}

/// An identity provider.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SignInProvider")]
pub(super) struct ProviderShown {
    pub(super) name: String,
    /// What people are shown.
    pub(super) title: String,
    /// Where a browser goes to sign in there.
    pub(super) path: String,
}

/// A name with its password, or an admin key.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "SignIn")]
#[serde(deny_unknown_fields)]
pub(super) struct SignInBody {
    /// The account's name.
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) password: Option<String>,
    /// An admin key, in place of both.
    #[serde(default)]
    pub(super) key: Option<String>,
}

/// Another password for oneself.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnPassword {
    /// The password as it is.
    pub(super) old: String,
    /// The password as it is to be: from 12 to 128 characters.
    pub(super) new: String,
}

/// A one-time password for somebody else.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OneTimePassword {
    /// From 12 to 128 characters. Default: one is made up and shown.
    #[serde(default)]
    pub(super) password: Option<String>,
}

/// Who asks.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Me {
    /// The key's, the account's, or the one that stands for what a provider calls the person.
    pub(super) id: Uuid,
    pub(super) name: Option<String>,
    pub(super) role: String,
    /// The one that is administered; all where there is none.
    pub(super) organization: Option<Uuid>,
    pub(super) permissions: Vec<&'static str>,
    /// Nothing where a key asks.
    pub(super) session: Option<SessionShown>,
    /// Whether the password must be changed before anything else is answered.
    pub(super) must_change_password: bool,
}

/// A session of somebody who has signed in.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Session")]
pub(super) struct SessionShown {
    pub(super) id: Uuid,
    /// Whose it is.
    pub(super) person: Uuid,
    pub(super) name: String,
    /// `account`, `key` or `provider`.
    pub(super) way: &'static str,
    /// The provider's name.
    pub(super) provider: Option<String>,
    pub(super) role: String,
    pub(super) organization: Option<Uuid>,
    /// Where the person came from.
    pub(super) address: String,
    /// Microseconds since 1970.
    pub(super) created_us: i64,
    /// When it was used last, to the minute.
    pub(super) seen_us: i64,
    /// When it ends, unless it is not used before.
    pub(super) until_us: i64,
    /// Whether it is the one that asks.
    pub(super) is_own: bool,
}

/// What became of a session, and where to go to end the provider's as well.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SignedOut {
    /// Nothing where there is no such place, or another way was used to sign in.
    pub(super) end_session_url: Option<String>,
}

/// How many sessions were ended.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EndedSessions")]
pub(super) struct Ended {
    pub(super) ended: u64,
}

/// An account: its name, and what it may administer.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LocalAccountBody {
    /// What its owner signs in by. No two differ in case only, over all organizations.
    pub(super) name: String,
    pub(super) role: String,
    /// The organization that it administers, by id or name. Default: the caller's own; otherwise the whole gateway.
    #[serde(default)]
    pub(super) organization: Option<String>,
    /// Whether nobody can sign in. Default: false.
    #[serde(default)]
    pub(super) disabled: bool,
}

/// What of an account is to be changed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LocalAccountPatch {
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) role: Option<String>,
    #[serde(default)]
    pub(super) disabled: Option<bool>,
}

/// An account.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct LocalAccount {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) role: String,
    pub(super) organization: Option<Uuid>,
    pub(super) disabled: bool,
    /// Whether its password must be changed before anything else is answered.
    pub(super) one_time_password: bool,
    /// Until when its one-time password opens it, in microseconds since 1970: a week after it was given.
    pub(super) one_time_until_us: Option<i64>,
    /// Until when no password opens it, in microseconds since 1970.
    pub(super) locked_until_us: Option<i64>,
    pub(super) version: u64,
    /// Microseconds since 1970.
    pub(super) created_us: i64,
    pub(super) updated_us: i64,
}

/// An account with its one-time password.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct LocalAccountWithPassword {
    #[serde(flatten)]
    pub(super) account: LocalAccount,
    /// The password itself, this once; nothing where the caller chose it.
    pub(super) password: Option<String>,
}

impl LocalAccount {
    pub(super) fn new(account: &Account, now_us: i64) -> LocalAccount {
        LocalAccount {
            id: account.id,
            name: account.name.clone(),
            role: account.role.clone(),
            organization: account.organization,
            disabled: account.disabled,
            one_time_password: account.one_time_until_us.is_some(),
            one_time_until_us: account.one_time_until_us,
            locked_until_us: Some(account.locked_until_us).filter(|until_us| *until_us > now_us),
            version: account.version,
            created_us: account.created_us,
            updated_us: account.updated_us,
        }
    }
}

impl SessionShown {
    pub(super) fn new(session: &Session, own: Option<Uuid>) -> SessionShown {
        SessionShown {
            id: session.id,
            person: session.person,
            name: session.name.clone(),
            way: session.way.name(),
            provider: session.source.clone(),
            role: session.role.clone(),
            organization: session.organization,
            address: session.address.clone(),
            created_us: session.created_us,
            seen_us: session.seen_us,
            until_us: session.until_us,
            is_own: own == Some(session.id),
        }
    }
}
