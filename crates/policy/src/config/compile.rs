//! Draft to snapshot, with every problem at once.

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use catalog::OneOrMany;
use uuid::Uuid;

use super::{
    Sources,
    draft::{
        DeadlinesDraft, Draft, FidelityDraft, KeyEntry, LimitsDraft, ModelEntry, ProviderEntry, ServerDraft,
    },
    identity::{Drafts, Reading},
    problem::nearest,
    zero,
};
use crate::{
    Secret, Snapshot,
    identity::Identity,
    key::{KEY_PREFIX, Key, Owner, Scope},
    snapshot::{Alias, AliasTarget, Deadlines, Fidelity, FileKey, Limits, Provider, Server, Tls},
};

/// A field's path and what is wrong with it.
pub(super) type Fault = (String, String);

/// How many characters a key must have after its prefix.
const KEY_CHARS_MIN: usize = 32;
/// How many characters of a key are shown in lists.
const HINT_CHARS: usize = 8;

/// Gives every part of a draft its meaning.
pub(super) fn compile(
    draft: Draft,
    folder: &Path,
    sources: &dyn Sources,
    files: Vec<PathBuf>,
) -> (Result<Snapshot, Vec<Fault>>, Vec<Fault>) {
    let mut compiler = Compiler { folder, sources, faults: Vec::new(), warnings: Vec::new() };
    let deadlines = merge(&draft.deadlines, DEADLINES);
    let fidelity = draft.fidelity.map_or(Fidelity::Lenient, fidelity);
    let providers = match draft.providers {
        Some(entries) => compiler.providers(entries, deadlines),
        None => zero::from_environment(sources, deadlines),
    };
    let models = compiler.models(draft.models, &providers, fidelity);
    let snapshot = Snapshot {
        server: compiler.server(draft.server),
        data_dir: draft.data_dir.map_or_else(|| PathBuf::from(DATA_DIR), |path| folder.join(path)),
        deadlines,
        fidelity,
        models,
        keys: compiler.keys(draft.keys),
        providers,
        files,
    };
    let result = if compiler.faults.is_empty() { Ok(snapshot) } else { Err(compiler.faults) };
    (result, compiler.warnings)
}

struct Compiler<'c> {
    folder: &'c Path,
    sources: &'c dyn Sources,
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
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
            metrics_public: draft.metrics.public,
            log: draft.log.unwrap_or_else(|| "info".to_owned()),
        }
    }

    fn providers(
        &mut self,
        entries: BTreeMap<String, Option<ProviderEntry>>,
        deadlines: Deadlines,
    ) -> BTreeMap<String, Arc<Provider>> {
        let mut providers = BTreeMap::new();
        for (id, entry) in entries {
            let path = format!("providers.{id}");
            if id.contains('/') {
                self.fault(
                    &path,
                    "a provider's name holds no \"/\": it stands before the first one in provider/model",
                );
                continue;
            }
            if let Some(provider) = self.provider(&id, entry.unwrap_or_default(), deadlines, &path) {
                providers.insert(id, Arc::new(provider));
            }
        }
        providers
    }

    fn provider(
        &mut self,
        id: &str,
        entry: ProviderEntry,
        deadlines: Deadlines,
        path: &str,
    ) -> Option<Provider> {
        let base = catalog::known().iter().find(|known| known.id == id);
        if base.is_none() && entry.facts.base_url.is_none() && entry.facts.dialects.is_none() {
            let names = catalog::known().iter().map(|known| known.id.as_str());
            let message = match nearest(id, names) {
                Some(near) => format!("the catalogue has no \"{id}\"; did you mean \"{near}\"?"),
                None => format!(
                    "the catalogue has no \"{id}\"; give it a base_url and a dialect, or see tollgate providers"
                ),
            };
            self.fault(path, message);
            return None;
        }
        let mut draft = entry.facts;
        if let Some(base) = base {
            let usual = zero::usual_places(base, self.sources);
            draft.region = draft.region.or(usual.region);
            draft.project = draft.project.or(usual.project);
            draft.resource = draft.resource.or(usual.resource);
        }
        let mut facts = match catalog::Provider::build(id, base, draft) {
            Ok(facts) => facts,
            Err(problems) => {
                for problem in problems {
                    self.fault(&format!("{path}.{}", problem.path), problem.message);
                }
                return None;
            }
        };
        for name in facts.fill() {
            self.fault(&format!("{path}.{name}"), "is missing; it is part of the provider's address");
        }
        let drafts = Drafts { aws: entry.aws, google: entry.google, azure: entry.azure };
        let (api_key, identity) = self.opening(&facts, entry.api_key, drafts, path);
        let deadlines = merge(&entry.deadlines, deadlines);
        Some(Provider::new(facts, api_key, identity, deadlines, count(entry.connections, CONNECTIONS)))
    }

    /// What opens a provider: its key, or an identity.
    fn opening(
        &mut self,
        facts: &catalog::Provider,
        api_key: Option<String>,
        drafts: Drafts,
        path: &str,
    ) -> (Option<Secret>, Option<Identity>) {
        let named = drafts.aws.is_some() || drafts.google.is_some() || drafts.azure.is_some();
        if named && api_key.is_some() {
            self.fault(&format!("{path}.api_key"), "and an identity are two ways to open it; write one");
        }
        let own = api_key.map(|text| self.secret(&text, &format!("{path}.api_key")));
        let api_key = match own {
            Some(secret) => secret,
            None if named => None,
            None => zero::usual_key(facts, self.sources),
        };
        if api_key.is_some() {
            return (api_key, None);
        }
        let (folder, sources) = (self.folder, self.sources);
        let mut secret = |text: &str, field: &str| self.secret(text, &format!("{path}.{field}"));
        let mut reading = Reading { facts, folder, sources, secret: &mut secret, faults: Vec::new() };
        let identity = reading.identity(drafts);
        for (field, message) in reading.faults {
            let path = if field.is_empty() { path.to_owned() } else { format!("{path}.{field}") };
            self.fault(&path, message);
        }
        let needs_key = !facts.local && facts.auth != catalog::Auth::None && !facts.env.is_empty();
        let sound = self.faults.iter().all(|(fault, _)| !fault.starts_with(path));
        if needs_key && identity.is_none() && sound {
            let names = facts.env.join(" or ");
            self.fault(path, format!("has no api_key; set {names}, or write api_key here"));
        }
        (None, identity)
    }

    fn models(
        &mut self,
        entries: BTreeMap<String, ModelEntry>,
        providers: &BTreeMap<String, Arc<Provider>>,
        default: Fidelity,
    ) -> BTreeMap<String, Alias> {
        let mut models = BTreeMap::new();
        for (name, entry) in entries {
            let path = format!("models.{name}");
            let shadows = name.split_once('/').is_some_and(|(provider, _)| providers.contains_key(provider));
            if shadows {
                self.fault(&path, "hides a provider's own model; choose a name that begins with no provider");
            }
            let (targets, listed, deadlines, fidelity_draft) = match entry {
                ModelEntry::One(one) => (vec![one], Listed::No, None, None),
                ModelEntry::Many(many) => (many, Listed::Here, None, None),
                ModelEntry::Full(full) => {
                    let listed = if matches!(full.targets, OneOrMany::Many(_)) {
                        Listed::Below
                    } else {
                        Listed::BelowOne
                    };
                    (full.targets.into_vec(), listed, full.deadlines, full.fidelity)
                }
            };
            if targets.is_empty() {
                self.fault(&path, "has no targets; write at least one provider/model");
            }
            let mut found = Vec::new();
            for (at, target) in targets.iter().enumerate() {
                let path = match listed {
                    Listed::No => path.clone(),
                    Listed::Here => format!("{path}[{at}]"),
                    Listed::Below => format!("{path}.targets[{at}]"),
                    Listed::BelowOne => format!("{path}.targets"),
                };
                found.extend(self.target(target, providers, &path));
            }
            let first = found.first().map(|target| target.provider.deadlines);
            let deadlines = deadlines.map(|draft| merge(&draft, first.unwrap_or(DEADLINES)));
            let fidelity = fidelity_draft.map_or(default, fidelity);
            models.insert(name, Alias { targets: found, deadlines, fidelity });
        }
        models
    }

    /// A model that the catalogue does not list is allowed, since providers add models every week; one that
    /// is a typing error away from a listed one is not.
    fn target(
        &mut self,
        text: &str,
        providers: &BTreeMap<String, Arc<Provider>>,
        path: &str,
    ) -> Option<AliasTarget> {
        let Some((name, model)) = text.split_once('/').filter(|(_, model)| !model.is_empty()) else {
            self.fault(path, format!("\"{text}\" is no target; write it as provider/model"));
            return None;
        };
        let Some(provider) = providers.get(name) else {
            let message = match nearest(name, providers.keys().map(String::as_str)) {
                Some(near) => format!("no provider \"{name}\" is switched on; did you mean \"{near}\"?"),
                None => format!("no provider \"{name}\" is switched on; add it under providers"),
            };
            self.fault(path, message);
            return None;
        };
        let listed = provider.facts.models();
        if !listed.is_empty() && provider.facts.model(model).is_none() {
            match nearest_model(model, listed.iter().map(|known| known.id.as_str())) {
                Some(near) => {
                    self.fault(
                        path,
                        format!("no model \"{model}\" at provider \"{name}\"; did you mean \"{near}\"?"),
                    );
                }
                None => self.warnings.push((
                    path.to_owned(),
                    format!("the catalogue does not list \"{model}\" at \"{name}\": its calls are unpriced"),
                )),
            }
        }
        Some(AliasTarget { provider: Arc::clone(provider), model: model.into() })
    }

    fn keys(&mut self, entries: Vec<KeyEntry>) -> Vec<FileKey> {
        let mut names = HashSet::new();
        let mut secrets: Vec<Secret> = Vec::new();
        let mut keys = Vec::new();
        for (at, entry) in entries.into_iter().enumerate() {
            let path = format!("keys[{at}]");
            if !names.insert(entry.name.clone()) {
                self.fault(&format!("{path}.name"), format!("there are two keys named \"{}\"", entry.name));
            }
            let Some(secret) = self.secret(&entry.key, &format!("{path}.key")) else { continue };
            let long =
                secret.expose().strip_prefix(KEY_PREFIX).is_some_and(|rest| rest.len() >= KEY_CHARS_MIN);
            if !long {
                let message = format!(
                    "must begin with {KEY_PREFIX} and have at least {KEY_CHARS_MIN} further characters; tollgate keys generate makes one"
                );
                self.fault(&format!("{path}.key"), message);
            }
            if secrets.contains(&secret) {
                self.fault(&format!("{path}.key"), "is the same as that of an earlier entry");
            }
            let expires_us =
                entry.expires.as_deref().and_then(|text| self.moment(text, &format!("{path}.expires")));
            let key = Key {
                id: Uuid::new_v5(&Uuid::NAMESPACE_OID, entry.name.as_bytes()),
                name: entry.name,
                models: entry.models,
                scope: if entry.admin { Scope::Admin } else { Scope::Calls },
                owner: Owner::File,
                created_us: 0,
                expires_us,
                revoked_us: None,
                hint: secret.expose().chars().take(HINT_CHARS).collect(),
            };
            secrets.push(secret.clone());
            keys.push(FileKey { key, secret });
        }
        keys
    }

    /// A date is good to its end; a moment is a moment.
    fn moment(&mut self, text: &str, path: &str) -> Option<i64> {
        if let Ok(moment) = text.parse::<jiff::Timestamp>() {
            return Some(moment.as_microsecond());
        }
        let end = text.parse::<jiff::civil::Date>().ok().and_then(|date| date.tomorrow().ok());
        let end = end.and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok());
        if end.is_none() {
            self.fault(
                path,
                format!("\"{text}\" is no date; write it as 2027-01-31 or 2027-01-31T12:00:00Z"),
            );
        }
        end.map(|end| end.timestamp().as_microsecond())
    }

    /// Resolves a reference to a secret. What it resolves to is in no message.
    fn secret(&mut self, text: &str, path: &str) -> Option<Secret> {
        let Some(reference) = text.strip_prefix("secret:") else {
            if text.is_empty() {
                self.fault(path, "is empty");
                return None;
            }
            return Some(Secret::new(text));
        };
        let found = match reference.split_once('/') {
            Some(("env", name)) => {
                self.sources.variable(name).ok_or_else(|| format!("the environment variable {name} is not set"))
            }
            Some(("file", name)) => {
                let file = self.folder.join(name);
                self.sources.read_file(&file).map_err(|error| format!("{}: {error}", file.display()))
            }
            Some(("command", line)) => {
                let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
                self.sources.command(&words)
            }
            _ => Err("is no reference; write secret:env/NAME, secret:file/PATH or secret:command/PROGRAM ARGUMENTS".to_owned()),
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

    fn fault(&mut self, path: &str, message: impl Into<String>) {
        self.faults.push((path.to_owned(), message.into()));
    }
}

/// How the targets of a model were listed.
#[derive(Clone, Copy)]
enum Listed {
    No,
    Here,
    Below,
    BelowOne,
}

/// A listed model that a typing error turns into this one. Names that differ in a digit are other versions,
/// unless nothing else differs but a separator.
fn nearest_model<'k>(model: &str, listed: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let plain =
        |name: &str| name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let digits = |name: &str| name.chars().filter(char::is_ascii_digit).collect::<String>();
    let wanted = plain(model);
    listed
        .filter(|known| digits(known) == digits(model))
        .map(|known| (strsim::damerau_levenshtein(&wanted, &plain(known)), known))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, known)| known)
}

fn fidelity(draft: FidelityDraft) -> Fidelity {
    match draft {
        FidelityDraft::Lenient => Fidelity::Lenient,
        FidelityDraft::Strict => Fidelity::Strict,
    }
}

fn merge(draft: &DeadlinesDraft, base: Deadlines) -> Deadlines {
    Deadlines {
        connect: draft.connect.map_or(base.connect, |span| span.0),
        first_byte: draft.first_byte.map_or(base.first_byte, |span| span.0),
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

fn count(draft: Option<u64>, default: usize) -> usize {
    draft.map_or(default, |count| usize::try_from(count).unwrap_or(usize::MAX))
}

pub(super) const DATA_DIR: &str = "tollgate-data";
pub(super) const LISTEN: &str = "127.0.0.1:8080";
pub(super) const CONNECTIONS: usize = 1_024;
pub(super) const DEADLINES: Deadlines = Deadlines {
    connect: Duration::from_secs(5),
    first_byte: Duration::from_secs(120),
    between_events: Duration::from_secs(60),
    total: Duration::from_secs(600),
};

/// Everything at its default, with these providers.
pub(super) fn defaults(providers: BTreeMap<String, Arc<Provider>>) -> Snapshot {
    Snapshot {
        server: Server {
            listen: ([127, 0, 0, 1], 8080).into(),
            threads: None,
            tls: None,
            limits: limits(&LimitsDraft::default()),
            metrics_public: false,
            log: "info".to_owned(),
        },
        data_dir: PathBuf::from(DATA_DIR),
        deadlines: DEADLINES,
        fidelity: Fidelity::Lenient,
        providers,
        models: BTreeMap::new(),
        keys: Vec::new(),
        files: Vec::new(),
    }
}
