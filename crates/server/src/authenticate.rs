//! Who is asking: the key that a caller shows.

use std::sync::Arc;

use http::{HeaderMap, request};
use policy::key::{Key, Scope};
use wire::{Fault, Kind, Origin};

use crate::world::Keys;

/// Finds the key behind a request and checks that it is good for this scope.
pub(crate) fn authenticate(
    keys: &Keys,
    shown: Shown<'_>,
    scope: Scope,
    now_us: i64,
) -> Result<Arc<Key>, Fault> {
    let refused = |message: &str, code| Fault::new(Origin::Client, Kind::Unauthenticated, message).code(code);
    let shown = shown.key().ok_or_else(|| {
        refused(
            "no key was sent; send it as \"authorization: Bearer tg-…\" or in your SDK's own header",
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

/// The access key id of a request that an AWS SDK signed, which is the key. The signature says nothing here: who knows
/// the key is its owner
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).
fn signer(authorization: &str) -> Option<&str> {
    let credential = authorization.split(',').find_map(|part| part.trim().strip_prefix("Credential="))?;
    credential.split('/').next()
}

/// Where a request may show a key.
#[derive(Clone, Copy)]
pub(crate) struct Shown<'a> {
    headers: &'a HeaderMap,
    query: &'a str,
}

impl<'a> Shown<'a> {
    pub(crate) fn by(parts: &'a request::Parts) -> Shown<'a> {
        Shown { headers: &parts.headers, query: parts.uri.query().unwrap_or_default() }
    }

    /// A key in a header only: an address is written down in too many places to open the admin side.
    pub(crate) fn in_headers(headers: &'a HeaderMap) -> Shown<'a> {
        Shown { headers, query: "" }
    }

    /// The key in the header of any SDK, or in the address, as Google's older clients send it.
    fn key(self) -> Option<&'a str> {
        let text = |name: &str| self.headers.get(name).and_then(|value| value.to_str().ok());
        let bearer = text("authorization").and_then(|value| {
            let (scheme, key) = value.split_once(' ')?;
            if scheme.eq_ignore_ascii_case("AWS4-HMAC-SHA256") {
                return signer(key);
            }
            scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
        });
        let named = || KEY_HEADERS.iter().find_map(|name| text(name)).map(str::trim);
        let queried = || self.query.split('&').find_map(|pair| pair.strip_prefix("key="));
        bearer.or_else(named).or_else(queried)
    }
}
