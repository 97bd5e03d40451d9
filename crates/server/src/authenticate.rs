//! Who is asking: the key that a caller shows.

use std::sync::Arc;

use http::HeaderMap;
use policy::key::{Key, Scope};
use wire::{Fault, Kind, Origin};

use crate::world::Keys;

/// Finds the key behind a request and checks that it is good for this scope.
pub(crate) fn authenticate(
    keys: &Keys,
    headers: &HeaderMap,
    scope: Scope,
    now_us: i64,
) -> Result<Arc<Key>, Fault> {
    let refused = |message: &str, code| Fault::new(Origin::Client, Kind::Unauthenticated, message).code(code);
    let shown = shown_key(headers).ok_or_else(|| {
        refused(
            "no key was sent; send it as \"authorization: Bearer tg-…\" or \"x-api-key: tg-…\"",
            "key_missing",
        )
    })?;
    let key = keys.find(shown).ok_or_else(|| {
        refused(
            "this key is not known here; check that it was copied whole, or ask for a new one",
            "key_unknown",
        )
    })?;
    key.check(now_us)?;
    if key.scope == scope {
        return Ok(Arc::clone(key));
    }
    let message = match scope {
        Scope::Calls => "an admin key opens the admin API and no models; use an application's key",
        Scope::Admin => "this needs an admin key",
    };
    Err(Fault::new(Origin::Client, Kind::Forbidden, message).code("wrong_key_scope"))
}

/// The headers in which SDKs send a key: Anthropic's, Google's and Azure's.
const KEY_HEADERS: [&str; 3] = ["x-api-key", "x-goog-api-key", "api-key"];

/// The key in the header of any SDK.
fn shown_key(headers: &HeaderMap) -> Option<&str> {
    let bearer =
        headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
            let (scheme, key) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
        });
    let named = |name: &&str| headers.get(*name).and_then(|value| value.to_str().ok()).map(str::trim);
    bearer.or_else(|| KEY_HEADERS.iter().find_map(named))
}
