//! What is sent and answered about credentials.

use policy::{Secret, Snapshot};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use store::Object;
use uuid::Uuid;

use crate::admin::{
    examine::{check_name, misfits},
    refusal::{Refusal, Wrong},
};

/// The longest credential, in bytes.
const SECRET_BYTES_MAX: usize = 16 << 10;

/// A credential for a provider of the configuration.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CredentialBody {
    /// What `credential:NAME` in the configuration names.
    name: String,
    /// The provider under `providers` that it opens, and no other.
    provider: String,
    /// The credential itself, as the provider gave it. It is not shown again.
    secret: String,
}

/// Another secret for a credential.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplacementBody {
    /// Default: as it was.
    #[serde(default)]
    name: Option<String>,
    /// Default: as it was.
    #[serde(default)]
    provider: Option<String>,
    /// The credential itself, as the provider gave it. It is not shown again.
    secret: String,
}

/// A credential; never the credential itself.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Credential {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) provider: String,
    /// Its last characters, where it is long enough to show any.
    pub(super) hint: String,
    /// Whether the configuration of its provider names it.
    pub(super) in_use: bool,
    /// One more with each change.
    pub(super) version: u64,
    /// Microseconds since 1970.
    pub(super) created_us: i64,
    /// Microseconds since 1970.
    pub(super) updated_us: i64,
}

/// What a body says, examined.
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) provider: String,
    pub(super) secret: Secret,
}

impl Draft {
    pub(super) fn new(members: Map<String, Json>) -> Result<Draft, Refusal> {
        let CredentialBody { name, provider, secret } =
            read(&schema_for!(CredentialBody).to_value(), members)?;
        Draft { name, provider, secret: Secret::new(secret) }.examined()
    }

    pub(super) fn replacing(before: &Credential, members: Map<String, Json>) -> Result<Draft, Refusal> {
        let ReplacementBody { name, provider, secret } =
            read(&schema_for!(ReplacementBody).to_value(), members)?;
        let name = name.unwrap_or_else(|| before.name.clone());
        let provider = provider.unwrap_or_else(|| before.provider.clone());
        Draft { name, provider, secret: Secret::new(secret) }.examined()
    }

    /// What is wrong is told without the secret.
    fn examined(self) -> Result<Draft, Refusal> {
        let mut wrong = Vec::new();
        check_name(&self.name, &mut wrong);
        if self.provider.is_empty() || self.provider.contains(['/', '\0']) {
            wrong.push(Wrong::new("provider", "must be the name of a provider of the configuration"));
        }
        let secret = self.secret.expose();
        if secret.is_empty() || secret.len() > SECRET_BYTES_MAX {
            wrong.push(Wrong::new("secret", format!("must have between 1 and {SECRET_BYTES_MAX} bytes")));
        } else if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message = "goes into a header line: it has letters, digits and signs of ASCII, and no spaces";
            wrong.push(Wrong::new("secret", message));
        }
        if wrong.is_empty() { Ok(self) } else { Err(Refusal::invalid(wrong)) }
    }

    /// Refuses a provider that neither the configuration nor the catalogue knows.
    pub(super) fn known(self, snapshot: &Snapshot) -> Result<Draft, Refusal> {
        let known = || {
            catalog::known().iter().map(|known| &*known.id).chain(snapshot.providers.keys().map(|id| &**id))
        };
        if known().any(|id| id == self.provider) {
            return Ok(self);
        }
        let message = match policy::config::nearest(&self.provider, known()) {
            Some(near) => format!("there is no provider \"{}\"; did you mean \"{near}\"?", self.provider),
            None => {
                format!("there is no provider \"{}\"; write it into the configuration first", self.provider)
            }
        };
        Err(Refusal::invalid(vec![Wrong::new("provider", message)]))
    }
}

impl Credential {
    pub(super) fn of(object: &Object, snapshot: &Snapshot) -> Credential {
        let text = |name: &str| object.body.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
        let provider = text("provider");
        Credential {
            id: object.id,
            name: object.name.clone(),
            in_use: snapshot.is_opened_by(&provider, &object.name),
            provider,
            hint: text("hint"),
            version: object.version,
            created_us: object.created_us,
            updated_us: object.updated_us,
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(schema: &Json, members: Map<String, Json>) -> Result<T, Refusal> {
    let body = Json::Object(members);
    let wrong = misfits(schema, &body);
    if !wrong.is_empty() {
        return Err(Refusal::invalid(wrong));
    }
    // What serde says may quote the secret.
    let misread = |_| Refusal::invalid(vec![Wrong::new("", "the body is not as the description says")]);
    serde_json::from_value(body).map_err(misread)
}
