//! What every core shares: the snapshot with what is derived from it, and the keys.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use policy::{
    Snapshot,
    key::{KEY_PREFIX, Key},
    route::Target,
    snapshot::Provider,
};
use store::KeyHasher;
use wire::Dialect;

use crate::upstream::{Address, Path};

/// One configuration in force, with what each request needs made ready.
pub(crate) struct World {
    pub(crate) snapshot: Snapshot,
    /// By the provider's name; a provider speaks few dialects.
    endpoints: HashMap<String, Vec<(Dialect, Endpoint)>>,
}

/// Where a provider takes requests of one dialect, and the header lines that open it.
pub(crate) struct Endpoint {
    pub(crate) address: Address,
    pub(crate) path: Path,
    /// `name: value\r\n` for each, the credential included: never logged.
    pub(crate) head: Vec<u8>,
}

/// All keys that are good, by their keyed hash. Looking one up compares hashes that a caller can neither
/// choose nor predict, so that the time it takes says nothing of the key.
pub(crate) struct Keys {
    hasher: KeyHasher,
    by_hash: HashMap<[u8; 32], Arc<Key>>,
}

impl World {
    pub(crate) fn new(snapshot: Snapshot) -> World {
        let endpoints = snapshot.providers.iter().map(|(name, provider)| (name.clone(), endpoints(provider)));
        let endpoints = endpoints.collect();
        World { snapshot, endpoints }
    }

    pub(crate) fn endpoint(&self, target: &Target) -> Option<&Endpoint> {
        let spoken = self.endpoints.get(&target.provider.facts.id)?;
        spoken.iter().find(|(dialect, _)| *dialect == target.dialect).map(|(_, endpoint)| endpoint)
    }
}

impl Keys {
    /// The file's keys win over the registry's where both hold the same key.
    pub(crate) fn new(hasher: KeyHasher, registry: Vec<([u8; 32], Key)>, snapshot: &Snapshot) -> Keys {
        let mut by_hash: HashMap<[u8; 32], Arc<Key>> =
            registry.into_iter().map(|(hash, key)| (hash, Arc::new(key))).collect();
        for file_key in &snapshot.keys {
            let hash = hasher.hash(file_key.secret.expose());
            by_hash.insert(hash, Arc::new(file_key.key.clone()));
        }
        Keys { hasher, by_hash }
    }

    /// The key that a caller shows, good or not.
    pub(crate) fn find(&self, shown: &str) -> Option<&Arc<Key>> {
        if !shown.starts_with(KEY_PREFIX) {
            return None;
        }
        self.by_hash.get(&self.hasher.hash(shown))
    }
}

/// Microseconds since 1970.
pub fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn endpoints(provider: &Provider) -> Vec<(Dialect, Endpoint)> {
    let endpoint = |(dialect, url): &(Dialect, String)| {
        let (address, path) = Address::parse(url)?;
        Some((*dialect, Endpoint { address, path, head: endpoint_head(provider) }))
    };
    provider.facts.dialects.iter().filter_map(endpoint).collect()
}

fn endpoint_head(provider: &Provider) -> Vec<u8> {
    let mut head = Vec::with_capacity(256);
    let mut line = |name: &str, value: &str| {
        for piece in [name, ": ", value, "\r\n"] {
            head.extend_from_slice(piece.as_bytes());
        }
    };
    line("content-type", "application/json");
    line("user-agent", concat!("tollgate/", env!("CARGO_PKG_VERSION")));
    if let Some(secret) = &provider.api_key {
        match &provider.facts.auth {
            catalog::Auth::Bearer => line("authorization", &format!("Bearer {}", secret.expose())),
            catalog::Auth::Header(name) => line(name, secret.expose()),
            catalog::Auth::None => {}
        }
    }
    for (name, value) in &provider.facts.headers {
        line(name, value);
    }
    head
}
