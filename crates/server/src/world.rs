//! What every core shares: the snapshot with what is derived from it.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use catalog::{Auth, Cloud};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use policy::{Snapshot, pool::Opens, rollout::Throttle, route::Target, snapshot::Provider, vitals::RouteId};
use wire::{Dialect, Form};
use zeroize::Zeroizing;

use crate::{
    access::Access,
    credentials::{Fetcher, Keeper, Opening},
    gate::Gate,
    kept::Kept,
    upstream::{Address, Path},
};

/// One configuration in force, with what each request needs made ready.
pub(crate) struct World {
    pub(crate) snapshot: Arc<Snapshot>,
    /// What the registry keeps for its providers.
    pub(crate) kept: Arc<Kept>,
    /// By the provider's name.
    reached: HashMap<String, Reached>,
    /// What bounds the calls that are mirrored, by the number of their name.
    throttles: HashMap<u64, Arc<Throttle>>,
    /// How callers are known that show no key.
    pub(crate) access: Access,
}

/// How a provider is reached.
struct Reached {
    doors: Arc<[Door]>,
    gate: Option<Arc<Gate>>,
    /// A provider speaks few dialects.
    dialects: Vec<(Dialect, Endpoint)>,
    forms: Vec<(Form, Endpoint)>,
    /// What is passed through stands below it.
    root: Option<Endpoint>,
}

/// Where a provider takes requests of one dialect or form.
pub(crate) struct Endpoint {
    pub(crate) address: Address,
    pub(crate) path: Path,
    /// One for each of the provider's credentials.
    pub(crate) doors: Arc<[Door]>,
    /// Where the provider takes only so many calls at a time; the same for all its endpoints.
    pub(crate) gate: Option<Arc<Gate>>,
}

/// What opens a provider.
pub(crate) struct Door {
    /// Header lines, `name: value\r\n` for each, the credential included: never logged.
    pub(crate) head: Vec<u8>,
    pub(crate) opening: Opening,
}

impl World {
    /// Identities that were there before go on with the credentials they have. Call it on the admin runtime.
    pub(crate) fn new(
        snapshot: Arc<Snapshot>,
        kept: Arc<Kept>,
        before: Option<&World>,
        fetcher: &Fetcher,
    ) -> World {
        let mirrored = snapshot.models.values().filter(|alias| alias.shadow.is_some());
        let throttles = mirrored.map(|alias| {
            let kept = before.and_then(|before| before.throttle(alias.route)).cloned();
            (alias.route.0, kept.unwrap_or_default())
        });
        let throttles = throttles.collect();
        let reached = snapshot.providers.iter().map(|(name, provider)| {
            let before = before.and_then(|before| before.reached.get(name));
            (name.clone(), reached((name, provider), &kept, before, fetcher))
        });
        let reached = reached.collect();
        let access = Access::new(&snapshot.authentication, before.map(|before| &before.access), fetcher);
        World { snapshot, kept, reached, throttles, access }
    }

    /// What bounds the calls of a name that are mirrored.
    pub(crate) fn throttle(&self, route: RouteId) -> Option<&Arc<Throttle>> {
        self.throttles.get(&route.0)
    }

    pub(crate) fn endpoint(&self, target: &Target) -> Option<&Endpoint> {
        let reached = self.reached.get(&target.provider.facts.id)?;
        if let Some(form) = target.form {
            return reached.forms.iter().find(|(known, _)| *known == form).map(|(_, endpoint)| endpoint);
        }
        let spoken = &reached.dialects;
        spoken.iter().find(|(dialect, _)| *dialect == target.dialect).map(|(_, endpoint)| endpoint)
    }

    /// Those that providers have, with their names.
    pub(crate) fn gates(&self) -> impl Iterator<Item = (&str, &Gate)> {
        self.snapshot.providers.keys().filter_map(|name| {
            let gate = self.reached.get(name)?.gate.as_ref()?;
            Some((name.as_str(), &**gate))
        })
    }

    /// Where a provider's API begins; what follows its name in a path that is passed through stands below it.
    pub(crate) fn root(&self, provider: &str) -> Option<&Endpoint> {
        self.reached.get(provider)?.root.as_ref()
    }
}

/// Microseconds since 1970.
pub fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn reached(
    (name, provider): (&str, &Provider),
    kept: &Kept,
    before: Option<&Reached>,
    fetcher: &Fetcher,
) -> Reached {
    let door = |opens: &Opens| Door {
        head: head(provider, opens),
        opening: opening(name, provider, opens, before, fetcher),
    };
    let doors = provider.credentials.iter().map(|credential| match &credential.opens {
        Opens::Registered(wanted) => match kept.secret(wanted, name) {
            Ok(secret) => door(&Opens::Key(secret.clone())),
            Err(error) => {
                tracing::warn!(provider = name, error, "a provider cannot be opened");
                door(&credential.opens)
            }
        },
        opens @ (Opens::Nothing | Opens::Key(_) | Opens::Identity(_)) => door(opens),
    });
    let doors: Arc<[Door]> = doors.collect();
    let gate = gate(provider, before);
    let endpoint = |url: &str| {
        let (address, path) = Address::parse(url)?;
        Some(Endpoint { address, path, doors: Arc::clone(&doors), gate: gate.clone() })
    };
    let facts = &provider.facts;
    let dialects = facts.dialects.iter().filter_map(|(dialect, url)| Some((*dialect, endpoint(url)?)));
    let dialects = dialects.collect();
    let forms = facts.forms();
    let forms = forms.iter().filter_map(|(form, url)| Some((*form, endpoint(url)?))).collect();
    let listed = || facts.dialects.first().map(|(_, url)| origin(url));
    let base = facts.base_url.as_deref().map(root).or_else(listed);
    let root = base.and_then(endpoint);
    Reached { doors, gate, dialects, forms, root }
}

/// A provider's places: the same as before, whatever else has changed.
fn gate(provider: &Provider, before: Option<&Reached>) -> Option<Arc<Gate>> {
    let policy = provider.concurrency?;
    let Some(kept) = before.and_then(|before| before.gate.as_ref()) else { return Some(Gate::new(policy)) };
    kept.adopt(policy);
    Some(Arc::clone(kept))
}

/// What opens a provider beside header lines: the same as before, where the identity is.
fn opening(
    name: &str,
    provider: &Provider,
    opens: &Opens,
    before: Option<&Reached>,
    fetcher: &Fetcher,
) -> Opening {
    let identity = match (opens, &provider.facts.auth) {
        (Opens::Key(secret), Auth::Query(name)) => {
            let value = utf8_percent_encode(secret.expose(), NON_ALPHANUMERIC);
            return Opening::Query(Arc::new(Zeroizing::new(format!("{name}={value}"))));
        }
        (Opens::Nothing | Opens::Key(_), _) => return Opening::Written,
        (Opens::Registered(_), _) => return Opening::Missing,
        (Opens::Identity(identity), _) => identity,
    };
    let kept =
        before.into_iter().flat_map(|before| before.doors.iter()).find_map(|door| match &door.opening {
            Opening::Kept(keeper) if keeper.keeps(identity) => Some(Arc::clone(keeper)),
            Opening::Kept(_) | Opening::Written | Opening::Query(_) | Opening::Missing => None,
        });
    Opening::Kept(kept.unwrap_or_else(|| Arc::new(Keeper::start(name, identity, fetcher))))
}

/// An address without its path.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(host..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| host + at);
    url.get(..end).unwrap_or(url)
}

/// An API's address without its version: paths that are passed through bring their own.
fn root(base_url: &str) -> &str {
    let version = |segment: &str| {
        segment == "api"
            || segment.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    match base_url.rsplit_once('/') {
        Some((before, last)) if version(last) && !before.ends_with('/') => before,
        Some(_) | None => base_url,
    }
}

fn head(provider: &Provider, opens: &Opens) -> Vec<u8> {
    let mut head = Vec::with_capacity(256);
    let mut line = |name: &str, value: &str| {
        for piece in [name, ": ", value, "\r\n"] {
            head.extend_from_slice(piece.as_bytes());
        }
    };
    line("user-agent", concat!("tollgate/", env!("CARGO_PKG_VERSION")));
    if let Opens::Key(secret) = opens {
        match &provider.facts.auth {
            Auth::Bearer | Auth::Cloud(Cloud::Aws) => {
                line("authorization", &format!("Bearer {}", secret.expose()));
            }
            Auth::Header(name) => line(name, secret.expose()),
            Auth::Cloud(Cloud::Google) => line("x-goog-api-key", secret.expose()),
            Auth::Cloud(Cloud::Azure) => line("api-key", secret.expose()),
            Auth::Query(_) | Auth::None => {}
        }
    }
    for (name, value) in &provider.facts.headers {
        line(name, value);
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_through_stands_below_the_root() {
        let check = |url: &str, expected: &str| assert_eq!(root(url), expected);
        check("https://api.example.com/v1", "https://api.example.com");
        check("https://api.example.com/openai/v1", "https://api.example.com/openai");
        check("https://api.example.com/v1beta", "https://api.example.com");
        check("http://localhost:11434/api", "http://localhost:11434");
        check("https://api.example.com/video", "https://api.example.com/video");
        check("https://v1", "https://v1");
        assert_eq!(origin("http://localhost:1/v1/chat"), "http://localhost:1");
        assert_eq!(origin("http://localhost:1"), "http://localhost:1");
    }
}
