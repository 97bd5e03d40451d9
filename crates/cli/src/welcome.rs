//! What a person sees when the gateway starts.

use std::{fmt::Write as _, path::Path, time::Duration};

use policy::{Secret, Snapshot, snapshot::Database};
use server::Ready;

/// Keys that were made just now; none on later starts.
#[derive(Default)]
pub(crate) struct FirstKeys {
    pub(crate) admin: Option<Secret>,
    pub(crate) app: Option<Secret>,
}

pub(crate) struct Welcome {
    providers: String,
    others: usize,
    data: String,
    model: String,
    tls: bool,
    keys: FirstKeys,
}

impl Welcome {
    pub(crate) fn new(snapshot: &Snapshot, data: &Path, keys: FirstKeys) -> Welcome {
        let names: Vec<&str> = snapshot.providers.keys().map(String::as_str).collect();
        let others =
            catalog::known().iter().filter(|known| !snapshot.providers.contains_key(&known.id)).count();
        let providers = if names == ["sim"] {
            "none: no provider's key is set, so the bundled simulator answers as sim/echo".to_owned()
        } else {
            names.join(", ")
        };
        Welcome {
            providers,
            others,
            data: match snapshot.store.database {
                Database::Sqlite => format!("{}      (SQLite; keys, history)", data.display()),
                Database::Memory => "memory      (keys and history are forgotten at the end)".to_owned(),
                Database::Postgres(_) => format!("PostgreSQL      ({} holds the spool)", data.display()),
            },
            model: example_model(snapshot),
            tls: snapshot.server.tls.is_some(),
            keys,
        }
    }

    pub(crate) fn has_secrets(&self) -> bool {
        self.keys.admin.is_some() || self.keys.app.is_some()
    }

    /// The keys that were made just now, a line each.
    pub(crate) fn keys(&self) -> String {
        let mut text = String::new();
        if let Some(admin) = &self.keys.admin {
            let _ =
                writeln!(text, "  admin key  {}      shown once; tollgate keys rotate admin", admin.expose());
        }
        if let Some(app) = &self.keys.app {
            let key = app.expose();
            let _ = writeln!(text, "  app key    {key}      shown once; more: tollgate keys create NAME");
        }
        text
    }

    pub(crate) fn text(&self, ready: Ready, took: Duration) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        let base = format!("{scheme}://{}", ready.address);
        let version = env!("CARGO_PKG_VERSION");
        let mut text = format!("tollgate {version}  ready in {} ms\n", took.as_millis());
        let _ = writeln!(text, "  serving    {base}      (every SDK on the same address)");
        let _ = writeln!(
            text,
            "  providers  {}      {} more known: tollgate providers",
            self.providers, self.others
        );
        let _ = writeln!(text, "  data       {}", self.data);
        text.push_str(&self.keys());
        let Some(app) = &self.keys.app else { return text };
        let key = app.expose();
        let _ = write!(
            text,
            "\n  curl -N {base}/v1/chat/completions -H 'authorization: Bearer {key}' \\\n    \
             -d '{{\"model\":\"{}\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"hello\"}}]}}'\n\n  \
             OPENAI_BASE_URL={base}/v1  OPENAI_API_KEY={key}\n  \
             ANTHROPIC_BASE_URL={base}  ANTHROPIC_API_KEY={key}\n",
            self.model
        );
        text
    }
}

/// A model to try: a configured name, or the cheapest that is known at the first provider.
fn example_model(snapshot: &Snapshot) -> String {
    if let Some(name) = snapshot.models.keys().next() {
        return name.clone();
    }
    let Some((id, provider)) = snapshot.providers.iter().next() else { return "provider/model".to_owned() };
    if id == "sim" {
        return "sim/echo".to_owned();
    }
    let priced = provider.facts.models().iter().filter(|model| model.price.is_some());
    let price = |model: &&std::sync::Arc<catalog::Model>| {
        model.price.as_ref().and_then(|price| price.rates.output).unwrap_or(u64::MAX)
    };
    match priced.min_by_key(price).or(provider.facts.models().first()) {
        Some(model) => format!("{id}/{}", model.id),
        None => format!("{id}/MODEL"),
    }
}
