//! Providers of a draft.

use std::{collections::BTreeMap, sync::Arc};

use catalog::OneOrMany;

use super::{
    compile::{Compiler, count, merge},
    concurrency,
    draft::{KeyOrMore, PoolKey, ProviderEntry},
    identity::{Drafts, Reading},
    problem::nearest,
    routing, zero,
};
use crate::{
    health_check::Asks,
    pool::{Credential, Opens},
    snapshot::{Deadlines, Provider},
};

/// What names of credentials of the registry follow.
const REGISTERED: &str = "credential:";

impl Compiler<'_> {
    pub(super) fn providers(
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
        let credentials = match entry.api_keys {
            Some(keys) => self.pool(keys, entry.api_key.is_some() || drafts.any(), path),
            None => vec![Credential::new(self.opening(&facts, entry.api_key, drafts, path))],
        };
        let mut provider = Provider::new(facts, credentials, merge(&entry.deadlines, deadlines));
        provider.connections_max = count(entry.connections, provider.connections_max);
        provider.breaker = routing::health(&entry.health);
        match concurrency::concurrency(entry.concurrency, entry.queue) {
            Ok(policy) => provider.concurrency = policy,
            Err((field, message)) => self.fault(&format!("{path}.{field}"), message),
        }
        match entry.health.check.map(concurrency::check).transpose() {
            Ok(Some(check)) if matches!(check.asks, Asks::Model(_)) && provider.facts.dialects.is_empty() => {
                self.fault(
                    &format!("{path}.health.check.model"),
                    "cannot be asked: it has no dialect of chat",
                );
            }
            Ok(check) => provider.check = check,
            Err((field, message)) => self.fault(&format!("{path}.health.check.{field}"), message),
        }
        provider.labels = routing::labels(&entry.labels);
        Some(provider)
    }

    /// Several keys that share the calls.
    fn pool(&mut self, keys: Vec<KeyOrMore>, otherwise: bool, path: &str) -> Vec<Credential> {
        let path = format!("{path}.api_keys");
        if otherwise {
            self.fault(
                &path,
                "and another way to open it (api_key, aws, google, azure) are written; write one",
            );
        }
        if keys.is_empty() {
            self.fault(&path, "has no key; write at least one");
        }
        let mut credentials: Vec<Credential> = Vec::with_capacity(keys.len());
        for (at, key) in keys.into_iter().enumerate() {
            let (key, place) = match key {
                KeyOrMore::Key(key) => {
                    (PoolKey { key, name: None, weight: None, models: None }, format!("{path}[{at}]"))
                }
                KeyOrMore::Full(full) => (full, format!("{path}[{at}].key")),
            };
            let Some(opens) = self.opens(&key.key, &place) else { continue };
            let same = |other: &Credential| match (&other.opens, &opens) {
                (Opens::Key(known), Opens::Key(secret)) => known == secret,
                (Opens::Registered(known), Opens::Registered(name)) => known == name,
                (Opens::Nothing | Opens::Key(_) | Opens::Registered(_) | Opens::Identity(_), _) => false,
            };
            if credentials.iter().any(same) {
                self.fault(&place, "is the same as that of an earlier entry");
            }
            credentials.push(Credential {
                name: key.name,
                weight: key.weight.unwrap_or(1),
                models: key.models.map(OneOrMany::into_vec).unwrap_or_default(),
                opens,
            });
        }
        credentials
    }

    /// What a text means that says what opens a provider.
    fn opens(&mut self, text: &str, path: &str) -> Option<Opens> {
        let Some(name) = text.strip_prefix(REGISTERED) else {
            return self.secret(text, path).map(Opens::Key);
        };
        if name.is_empty() {
            self.fault(path, format!("names no credential; write {REGISTERED}NAME"));
            return None;
        }
        if !self.keeps_credentials {
            let message = "names a credential of the registry, which keeps none without store.encryption; set that as well";
            self.fault(path, message);
            return None;
        }
        Some(Opens::Registered(name.to_owned()))
    }

    /// What opens a provider: its key, or an identity.
    fn opening(
        &mut self,
        facts: &catalog::Provider,
        api_key: Option<String>,
        drafts: Drafts,
        path: &str,
    ) -> Opens {
        let named = drafts.any();
        if named && api_key.is_some() {
            self.fault(&format!("{path}.api_key"), "and an identity are two ways to open it; write one");
        }
        let own = api_key.map(|text| self.opens(&text, &format!("{path}.api_key")));
        let opens = match own {
            Some(opens) => opens,
            None if named => None,
            None => zero::usual_key(facts, self.sources).map(Opens::Key),
        };
        if let Some(opens) = opens {
            return opens;
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
        identity.map_or(Opens::Nothing, |identity| Opens::Identity(Box::new(identity)))
    }
}
