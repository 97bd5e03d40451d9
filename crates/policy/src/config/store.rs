//! Where things are kept: what a person writes of it, and what it means.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Span, compile::Compiler, encryption::EncryptionDraft};
use crate::snapshot::{Database, Store};

/// How many characters the secret of an installation must have.
const SECRET_CHARS_MIN: usize = 32;

/// [Where keys and history are kept](storage.md), and what replicas share. Changing it needs a restart.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StoreDraft {
    /// `sqlite` (a file in the data directory), `memory` (forgotten when the process ends), or the address of a
    /// PostgreSQL that replicas share, `postgres://USER:PASSWORD@HOST/DATABASE?sslmode=verify-full`, as `${VARIABLE}` or
    /// a `secret:` reference. Default: `sqlite`.
    database: Option<String>,
    /// What keys are hashed under, as `${VARIABLE}` or a `secret:` reference: at least 32 characters, the same for all
    /// replicas. Default: the file `secret` in the data directory.
    secret: Option<String>,
    /// The Redis or Valkey whose counters replicas share, `redis://USER:PASSWORD@HOST:PORT` or `rediss://…` with TLS, as
    /// `${VARIABLE}` or a `secret:` reference. Default: what the database is; a PostgreSQL keeps them as well.
    shared: Option<String>,
    /// How long a call waits for counters that are shared; later each limit's `on_store_failure` decides. Default: `500ms`.
    timeout: Option<Span>,
    /// What [secrets in the database](secrets.md#in-the-database) are sealed under. Default: none are kept there.
    pub(super) encryption: Option<EncryptionDraft>,
}

impl Compiler<'_> {
    pub(super) fn store(&mut self, draft: StoreDraft) -> Store {
        let database = draft.database.and_then(|text| self.secret(&text, "store.database"));
        let database = match database.as_ref().map(|text| (text.expose(), text)) {
            None | Some(("sqlite", _)) => Database::Sqlite,
            Some(("memory", _)) => Database::Memory,
            Some((text, address)) => {
                // What it is instead may be a password: it is not shown.
                if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
                    let remedy = "must be sqlite, memory or postgres://USER:PASSWORD@HOST/DATABASE";
                    self.fault("store.database", remedy);
                }
                Database::Postgres(address.clone())
            }
        };
        let secret = draft.secret.and_then(|text| self.secret(&text, "store.secret"));
        if secret.as_ref().is_some_and(|secret| secret.expose().chars().count() < SECRET_CHARS_MIN) {
            let remedy =
                format!("must have at least {SECRET_CHARS_MIN} characters; openssl rand -hex 32 makes some");
            self.fault("store.secret", remedy);
        }
        let shared = draft.shared.and_then(|text| self.secret(&text, "store.shared"));
        let schemes = ["redis://", "rediss://", "redis-cluster://", "rediss-cluster://"];
        if shared.as_ref().is_some_and(|text| !schemes.iter().any(|scheme| text.expose().starts_with(scheme)))
        {
            self.fault("store.shared", "must be redis://USER:PASSWORD@HOST:PORT, or rediss://… with TLS");
        }
        let encryption = draft.encryption.and_then(|draft| self.encryption(draft));
        let timeout = draft.timeout.map_or(Store::default().timeout, |span| span.0);
        Store { database, secret, shared, timeout, encryption }
    }
}
