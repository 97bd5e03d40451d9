//! Asks one store.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use policy::{
    identity::Identity,
    secret_store::{SecretStore, StoreKind, VaultStore},
};
use serde_json::Value;

use super::{cloud::Cloud, content::Content, vault::Vault};
use crate::{
    credentials::{Fetcher, Occasional},
    upstream::TlsTrust,
};

/// How much of a refusal is told.
const REFUSAL_CHARS_MAX: usize = 200;
/// RFC 3986's unreserved letters stand for themselves in any part of a path.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why a store did not say what it was asked for.
#[derive(Clone, Debug)]
pub(super) struct Unread {
    pub(super) message: String,
    /// Whether it did not answer, or cannot now, rather than that it refuses.
    pub(super) is_away: bool,
}

/// What speaks to a store.
pub(super) enum Client {
    Vault(Box<Vault>),
    Cloud(Box<Cloud>),
    /// Why nothing can be asked.
    Broken(String),
}

impl Unread {
    pub(super) fn away(why: &dyn std::fmt::Display) -> Unread {
        Unread { message: format!("it is away: {why}"), is_away: true }
    }

    /// The same with what was being done.
    pub(super) fn while_doing(self, what: &str) -> Unread {
        Unread { message: format!("{what}: {}", self.message), ..self }
    }
}

impl From<String> for Unread {
    fn from(message: String) -> Unread {
        Unread { message, is_away: false }
    }
}

impl From<&str> for Unread {
    fn from(message: &str) -> Unread {
        message.to_owned().into()
    }
}

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl Client {
    pub(super) fn new(store: &SecretStore) -> Client {
        let usual = || Fetcher::new(&TlsTrust::new());
        let cloud = |identity: Identity| {
            let fetcher = usual();
            (Occasional::new(&identity, &fetcher), fetcher)
        };
        match &store.kind {
            StoreKind::Vault(store) => match vault(store) {
                Ok(vault) => Client::Vault(Box::new(vault)),
                Err(message) => Client::Broken(message),
            },
            StoreKind::AwsSecretsManager { identity, address } => {
                let opened = cloud(Identity::Aws((**identity).clone()));
                Client::Cloud(Box::new(Cloud::aws(identity, address.as_deref(), opened)))
            }
            StoreKind::AzureKeyVault { identity, address } => {
                let opened = cloud(Identity::Azure((**identity).clone()));
                Client::Cloud(Box::new(Cloud::azure(address, opened)))
            }
            StoreKind::GoogleSecretManager { identity, project, address } => {
                let opened = cloud(Identity::Google(identity.clone()));
                Client::Cloud(Box::new(Cloud::google(project, address.as_deref(), opened)))
            }
        }
    }

    /// What the store holds under this path.
    pub(super) async fn read(&self, path: &str) -> Result<Content, Unread> {
        match self {
            Client::Vault(vault) => vault.read(path).await,
            Client::Cloud(cloud) => cloud.read(path).await,
            Client::Broken(why) => Err(why.clone().into()),
        }
    }

    /// Whether the store lets this process in at all.
    pub(super) async fn enter(&self) -> Result<(), Unread> {
        match self {
            Client::Vault(vault) => vault.enter().await,
            Client::Cloud(cloud) => cloud.enter().await,
            Client::Broken(why) => Err(why.clone().into()),
        }
    }

    /// After how long it wants to be asked again, so that what opens it does not end.
    pub(super) async fn rest(&self) -> Option<Duration> {
        match self {
            Client::Vault(vault) => vault.rest().await,
            Client::Cloud(_) | Client::Broken(_) => None,
        }
    }
}

pub(super) fn vault(store: &VaultStore) -> Result<Vault, String> {
    let trust = store.authorities.as_deref().map_or_else(|| Ok(TlsTrust::new()), TlsTrust::only);
    let trust = trust.map_err(|message| format!("ca: {message}"))?;
    Ok(Vault::new(store.clone(), Fetcher::new(&trust)))
}

/// A part of a path, or several with slashes between them.
pub(super) fn escaped(path: &str) -> String {
    let parts: Vec<String> =
        path.split('/').map(|part| utf8_percent_encode(part, ESCAPED).to_string()).collect();
    parts.join("/")
}

/// JSON of an answer that is one; otherwise what the store said of it. Of an answer that cannot be read nothing is told: it may
/// hold the secret.
pub(super) fn json(response: &Response<Bytes>) -> Result<Value, Unread> {
    json_of(response, "secret")
}

/// The same where something else than a secret was asked for.
pub(super) fn json_of(response: &Response<Bytes>, what: &str) -> Result<Value, Unread> {
    let status = response.status();
    let body = serde_json::from_slice::<Value>(response.body());
    if status.is_success() {
        return body.map_err(|_| "it answered with no JSON".into());
    }
    let said = body.ok().and_then(|body| said(&body)).unwrap_or_default();
    let said: String = said.chars().take(REFUSAL_CHARS_MAX).collect();
    let number = status.as_u16();
    let colon = if said.is_empty() { "" } else { ": " };
    let message = match status {
        StatusCode::NOT_FOUND => format!("there is no such {what} (404{colon}{said})"),
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => {
            format!("access is refused ({number}{colon}{said})")
        }
        _ => format!("it answered with {number}{colon}{said}"),
    };
    let is_away = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    Err(Unread { message, is_away })
}

/// Where each store's refusals say why: `errors` of Vault, `error.message` of Azure and Google, `message` of AWS with its type.
fn said(body: &Value) -> Option<String> {
    if let Some(errors) = body.get("errors").and_then(Value::as_array) {
        let texts: Vec<&str> = errors.iter().filter_map(Value::as_str).map(str::trim).collect();
        return Some(texts.join("; "));
    }
    let message = |at: &Value| at.get("message").or_else(|| at.get("Message"))?.as_str().map(str::to_owned);
    let kind = body.get("__type").and_then(Value::as_str).unwrap_or_default();
    let kind = kind.rsplit('#').next().unwrap_or_default();
    match body.get("error").and_then(message).or_else(|| message(body)) {
        Some(message) if kind.is_empty() => Some(message),
        Some(message) => Some(format!("{kind}, {message}")),
        None => Some(kind.to_owned()),
    }
}
