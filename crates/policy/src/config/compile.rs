//! Draft to snapshot, with every problem at once.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    Sources,
    draft::{DeadlinesDraft, Draft, FidelityDraft, LimitsDraft, ServerDraft},
    encryption::Offline,
    models::Defaults,
    routing,
    tenancy::Drafts,
    zero,
};
use crate::{
    Secret, Snapshot,
    attempt::Retries,
    authentication::Authentication,
    classify::intents::Intents,
    principal::AddressRange,
    role::Roles,
    secret_store::SecretStore,
    sign_in::SignIn,
    snapshot::{Deadlines, Fidelity, Hold, Journal, Limits, Provider, Server, Store, Tls},
};

/// A field's path and what is wrong with it.
pub(super) type Fault = (String, String);

/// Stores of secrets by their names, and what their values are kept by.
pub(super) type Stores = (BTreeMap<String, SecretStore>, Option<Offline>);

/// Takes the stores of secrets out of a draft; the rest is compiled when they have been asked.
pub(super) fn stores(draft: &mut Draft, folder: &Path, sources: &dyn Sources) -> Result<Stores, Vec<Fault>> {
    let none = BTreeMap::new();
    let (faults, warnings) = (Vec::new(), Vec::new());
    let mut compiler =
        Compiler { folder, sources, stores: &none, keeps_credentials: false, faults, warnings };
    let stores = compiler.secret_stores(std::mem::take(&mut draft.secrets));
    let faults = compiler.faults;
    let mut compiler =
        Compiler { folder, sources, stores: &stores, keeps_credentials: false, faults, warnings: Vec::new() };
    let offline = compiler.offline(draft);
    let faults = compiler.faults;
    if faults.is_empty() { Ok((stores, offline)) } else { Err(faults) }
}

/// Gives every part of a draft its meaning.
pub(super) fn compile(
    draft: Draft,
    folder: &Path,
    sources: &dyn Sources,
    stores: &BTreeMap<String, SecretStore>,
    files: Vec<PathBuf>,
) -> (Result<Snapshot, Vec<Fault>>, Vec<Fault>) {
    let keeps_credentials = draft.store.encryption.is_some();
    let (faults, warnings) = (Vec::new(), Vec::new());
    let mut compiler = Compiler { folder, sources, stores, keeps_credentials, faults, warnings };
    let deadlines = merge(&draft.deadlines, Deadlines::default());
    let fidelity = draft.fidelity.map_or(Fidelity::Lenient, fidelity);
    let providers = match draft.providers {
        Some(entries) => compiler.providers(entries, deadlines),
        None => zero::from_environment(sources, deadlines),
    };
    let retries = routing::retries(&draft.retries, Retries::default());
    let hold = routing::hold(&draft.hold, Hold::default());
    let models = compiler.models(draft.models, &providers, Defaults { fidelity, retries, hold });
    let entities = compiler.entities(Drafts {
        organizations: draft.organizations,
        teams: draft.teams,
        projects: draft.projects,
        users: draft.users,
        service_accounts: draft.service_accounts,
    });
    let roles = compiler.roles(draft.roles);
    let snapshot = Snapshot {
        authentication: compiler.authentication(draft.authentication, draft.server.tls.is_some()),
        server: compiler.server(draft.server),
        sign_in: compiler.sign_in(draft.sign_in, &roles),
        data_dir: draft.data_dir.map_or_else(|| PathBuf::from(DATA_DIR), |path| folder.join(path)),
        store: compiler.store(draft.store),
        journal: draft.journal.compile(),
        deadlines,
        fidelity,
        retries,
        hold,
        models,
        intents: compiler.intents(&draft.intents),
        keys: compiler.keys(draft.keys, &entities, &roles),
        roles,
        scim: compiler.scim(draft.scim),
        entities,
        providers,
        files,
    };
    let result = if compiler.faults.is_empty() { Ok(snapshot) } else { Err(compiler.faults) };
    (result, compiler.warnings)
}

pub(super) struct Compiler<'c> {
    pub(super) folder: &'c Path,
    pub(super) sources: &'c dyn Sources,
    pub(super) stores: &'c BTreeMap<String, SecretStore>,
    /// Whether the registry may keep credentials of providers.
    pub(super) keeps_credentials: bool,
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<Fault>,
}

impl Compiler<'_> {
    fn server(&mut self, draft: ServerDraft) -> Server {
        let listen = draft.listen.unwrap_or_else(|| LISTEN.to_owned());
        let listen = listen.parse().unwrap_or_else(|_| {
            let message = format!("\"{listen}\" is no address and port; write it as 0.0.0.0:8080");
            self.fault("server.listen", message);
            ([127, 0, 0, 1], 0).into()
        });
        if draft.threads == Some(0) {
            self.fault("server.threads", "must be at least 1");
        }
        let tls = draft.tls.map(|tls| Tls {
            certificate: self.folder.join(tls.certificate),
            key: self.folder.join(tls.key),
        });
        Server {
            listen,
            threads: draft.threads.and_then(|count| usize::try_from(count).ok()),
            tls,
            limits: limits(&draft.limits),
            trusted_proxies: self.proxies(&draft.trusted_proxies),
            metrics_public: draft.metrics.public,
            log: draft.log.unwrap_or_else(|| "info".to_owned()),
        }
    }

    fn proxies(&mut self, texts: &[String]) -> Vec<AddressRange> {
        let ranges = texts.iter().enumerate().filter_map(|(at, text)| match text.parse() {
            Ok(range) => Some(range),
            Err(message) => {
                self.fault(&format!("server.trusted_proxies[{at}]"), message);
                None
            }
        });
        ranges.collect()
    }

    fn intents(&mut self, drafts: &BTreeMap<String, Vec<String>>) -> Option<Arc<Intents>> {
        for (name, examples) in drafts {
            if examples.iter().all(|example| example.trim().is_empty()) {
                self.fault(&format!("intents.{name}"), "has no examples; write some of what its users say");
            }
        }
        let intents: Vec<(&str, &[String])> =
            drafts.iter().map(|(name, examples)| (name.as_str(), examples.as_slice())).collect();
        (!intents.is_empty()).then(|| Arc::new(Intents::by_words(&intents)))
    }

    /// Resolves a reference to a secret. What it resolves to is in no message.
    pub(super) fn secret(&mut self, text: &str, path: &str) -> Option<Secret> {
        let Some(reference) = text.strip_prefix("secret:") else {
            if text.is_empty() {
                self.fault(path, "is empty");
                return None;
            }
            return Some(Secret::new(text));
        };
        let found = match reference.split_once('/') {
            Some(("env", name)) => self
                .sources
                .variable(name)
                .ok_or_else(|| format!("the environment variable {name} is not set")),
            Some(("file", name)) => {
                let file = self.folder.join(name);
                self.sources.read_file(&file).map_err(|error| format!("{}: {error}", file.display()))
            }
            Some(("command", line)) => {
                let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
                self.sources.command(&words)
            }
            _ => self.stored(reference),
        };
        match found {
            Ok(secret) if !secret.trim().is_empty() => Some(Secret::new(secret.trim())),
            Ok(_) => {
                self.fault(path, "the secret it refers to is empty");
                None
            }
            Err(message) => {
                self.fault(path, message);
                None
            }
        }
    }

    pub(super) fn fault(&mut self, path: &str, message: impl Into<String>) {
        self.faults.push((path.to_owned(), message.into()));
    }
}

pub(super) fn fidelity(draft: FidelityDraft) -> Fidelity {
    match draft {
        FidelityDraft::Lenient => Fidelity::Lenient,
        FidelityDraft::Strict => Fidelity::Strict,
    }
}

pub(super) fn merge(draft: &DeadlinesDraft, base: Deadlines) -> Deadlines {
    Deadlines {
        connect: draft.connect.map_or(base.connect, |span| span.0),
        first_byte: draft.first_byte.map_or(base.first_byte, |span| span.0),
        first_token: draft.first_token.map(|span| span.0).or(base.first_token),
        between_events: draft.between_events.map_or(base.between_events, |span| span.0),
        total: draft.total.map_or(base.total, |span| span.0),
    }
}

fn limits(draft: &LimitsDraft) -> Limits {
    Limits {
        body_bytes_max: draft.body.map_or(32 << 20, |size| size.0),
        upload_bytes_max: draft.upload.map_or(1 << 30, |size| size.0 as u64),
        header_bytes_max: draft.headers.map_or(64 << 10, |size| size.0).max(8 << 10),
        connections_max: count(draft.connections, 10_000),
        calls_max: count(draft.calls, 10_000),
        header_time_max: draft.header_time.map_or(Duration::from_secs(75), |span| span.0),
        body_time_max: draft.body_time.map_or(Duration::from_secs(60), |span| span.0),
        answer_bytes_max: draft.answer.map_or(64 << 20, |size| size.0),
        drain_time_max: draft.drain_time.map_or(Duration::from_secs(30), |span| span.0),
    }
}

pub(super) fn count(draft: Option<u64>, default: usize) -> usize {
    draft.map_or(default, |count| usize::try_from(count).unwrap_or(usize::MAX))
}

pub(super) const DATA_DIR: &str = "tollgate-data";
pub(super) const LISTEN: &str = "127.0.0.1:8080";

/// Everything at its default, with these providers.
pub(super) fn defaults(providers: BTreeMap<String, Arc<Provider>>) -> Snapshot {
    Snapshot {
        server: Server {
            listen: ([127, 0, 0, 1], 8080).into(),
            threads: None,
            tls: None,
            limits: limits(&LimitsDraft::default()),
            trusted_proxies: Vec::new(),
            metrics_public: false,
            log: "info".to_owned(),
        },
        data_dir: PathBuf::from(DATA_DIR),
        store: Store::default(),
        journal: Journal::default(),
        deadlines: Deadlines::default(),
        fidelity: Fidelity::Lenient,
        retries: Retries::default(),
        hold: Hold::default(),
        providers,
        models: BTreeMap::new(),
        intents: None,
        entities: Vec::new(),
        keys: Vec::new(),
        roles: Roles::default(),
        authentication: Authentication::default(),
        scim: Vec::new(),
        sign_in: SignIn::default(),
        files: Vec::new(),
    }
}
