//! Virtual keys: what callers show, and what they may do.

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use wire::{Fault, Kind, Origin};

/// What every key begins with.
pub const KEY_PREFIX: &str = "tg-";
/// What the keys of administrators begin with.
pub const ADMIN_PREFIX: &str = "tg-admin-";

/// A key as it is stored: never the key itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    pub id: Uuid,
    pub name: String,
    /// The model names this key may ask for, each exact or with a trailing `*`; empty means all.
    pub models: Vec<String>,
    pub scope: Scope,
    pub owner: Owner,
    /// Microseconds since 1970.
    pub created_us: i64,
    pub expires_us: Option<i64>,
    pub revoked_us: Option<i64>,
    /// The first characters of the key, to tell keys apart in lists.
    pub hint: String,
}

/// What a key opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Calls to models.
    Calls,
    /// The admin API and metrics.
    Admin,
}

/// Who may change an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
            models: Vec::new(),
            scope: Scope::Calls,
            owner: Owner::File,
            created_us: 0,
            expires_us: None,
            revoked_us: None,
            hint: String::new(),
        }
    }

    /// Whether the key is good at this moment.
    pub fn check(&self, now_us: i64) -> Result<(), Fault> {
        let refused =
            |message: &str, code| Err(Fault::new(Origin::Client, Kind::Unauthenticated, message).code(code));
        if self.revoked_us.is_some_and(|at| at <= now_us) {
            return refused("this key was revoked; ask for a new one", "key_revoked");
        }
        if self.expires_us.is_some_and(|at| at <= now_us) {
            return refused("this key has expired; ask for a new one", "key_expired");
        }
        Ok(())
    }

    /// Whether the key may ask a provider for anything, whatever the model.
    pub fn may_reach(&self, provider: &str) -> Result<(), Fault> {
        let whole = |pattern: &String| {
            let start = pattern.strip_suffix('*');
            start.is_some_and(|start| format!("{provider}/").starts_with(start))
        };
        if self.models.is_empty() || self.models.iter().any(whole) {
            return Ok(());
        }
        let message = format!(
            "key \"{}\" is for some models only, and this request names none; it may use: {}",
            self.name,
            self.models.join(", ")
        );
        Err(Fault::new(Origin::Client, Kind::Forbidden, message).code("model_not_allowed"))
    }

    /// Whether the key may ask for this model name.
    pub fn may_use(&self, model: &str) -> Result<(), Fault> {
        let allowed = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => model.starts_with(start),
            None => pattern == model,
        };
        if self.models.is_empty() || self.models.iter().any(allowed) {
            return Ok(());
        }
        let message = format!(
            "key \"{}\" may not use model \"{model}\"; it may use: {}",
            self.name,
            self.models.join(", ")
        );
        let mut fault = Fault::new(Origin::Client, Kind::Forbidden, message).code("model_not_allowed");
        fault.param = Some("model".to_owned());
        Err(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(models: &[&str]) -> Key {
        Key {
            id: Uuid::nil(),
            name: "test".to_owned(),
            models: models.iter().map(|&model| model.to_owned()).collect(),
            scope: Scope::Calls,
            owner: Owner::Registry,
            created_us: 0,
            expires_us: Some(100),
            revoked_us: None,
            hint: String::new(),
        }
    }

    #[test]
    fn model_lists_allow_what_they_name() {
        let check = |models: &[&str], asked: &str, allowed: bool| {
            assert_eq!(key(models).may_use(asked).is_ok(), allowed, "{models:?} {asked}");
        };
        check(&[], "any/model", true);
        check(&["fast"], "fast", true);
        check(&["fast"], "faster", false);
        check(&["house/*"], "house/llama", true);
        check(&["house/*"], "home/llama", false);
    }

    #[test]
    fn a_provider_is_open_to_keys_that_may_use_all_of_it() {
        let check = |models: &[&str], allowed: bool| {
            assert_eq!(key(models).may_reach("house").is_ok(), allowed, "{models:?}");
        };
        check(&[], true);
        check(&["*"], true);
        check(&["house/*"], true);
        check(&["house/llama*"], false);
        check(&["house/llama"], false);
        check(&["home/*"], false);
    }

    #[test]
    fn keys_end_when_they_expire_or_are_revoked() {
        let mut expiring = key(&[]);
        assert!(expiring.check(99).is_ok());
        assert!(expiring.check(100).is_err_and(|fault| fault.code.as_deref() == Some("key_expired")));
        expiring.revoked_us = Some(50);
        assert!(expiring.check(50).is_err_and(|fault| fault.code.as_deref() == Some("key_revoked")));
    }
}
